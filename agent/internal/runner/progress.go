package runner

import (
	"net/http/httptrace"
	"sync"
	"time"
)

// settleTime bounds the wait for the transport's word on whether a request was written, once its connection has broken.
// The word comes at once unless the machine is overloaded; without it the request counts as sent.
const settleTime = time.Second

// progress is how far a call came. The transport's goroutines write it, and may do so after the call has returned.
type progress struct {
	mu       sync.Mutex
	writing  chan struct{} // nil: no connection was had; closed once the newest write has ended
	written  bool          // a whole request was written
	answered bool          // a byte of the answer has come
}

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn:              func(httptrace.GotConnInfo) { p.started() },
		WroteRequest:         func(info httptrace.WroteRequestInfo) { p.ended(info.Err == nil) },
		GotFirstResponseByte: p.gotByte,
	}
}

func (p *progress) started() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writing = make(chan struct{})
}

func (p *progress) ended(whole bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written = p.written || whole
	select {
	case <-p.writing:
	default:
		close(p.writing)
	}
}

func (p *progress) gotByte() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = true
}

// sent is true unless the API cannot have got the whole request.
func (p *progress) sent() bool {
	p.mu.Lock()
	writing := p.writing
	p.mu.Unlock()
	if writing == nil {
		return false
	}
	select {
	case <-writing:
	case <-time.After(settleTime):
		return true
	}
	return p.wasWritten()
}

func (p *progress) wasWritten() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.written
}

func (p *progress) wasAnswered() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answered
}
