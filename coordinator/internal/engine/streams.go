package engine

import (
	"sync"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// streams are the open ones, by id.
type streams struct {
	mu    sync.Mutex
	last  queue.StreamID
	byID  map[queue.StreamID]*Stream
	going bool  // all are to be told that this coordinator leaves
	err   error // set: the engine has stopped
}

// open makes one, and says how many there are.
func (r *streams) open(e *Engine) (*Stream, int) {
	s := &Stream{engine: e, window: make(chan struct{}, window), outbox: newOutbox()}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	s.id = r.last
	if r.byID == nil {
		r.byID = make(map[queue.StreamID]*Stream)
	}
	r.byID[s.id] = s
	if r.going {
		s.outbox.put(&Out{GoingAway: true}, nil)
		s.outbox.ring()
	}
	if r.err != nil {
		s.outbox.end(r.err)
	}
	return s, len(r.byID)
}

// forget says how many are left.
func (r *streams) forget(id queue.StreamID) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, id)
	return len(r.byID)
}

// deliver passes on what the machine has for a stream. One that has gone hears nothing.
func (r *streams) deliver(o *queue.StreamOut) {
	r.mu.Lock()
	s := r.byID[o.Stream]
	r.mu.Unlock()
	if s == nil {
		return
	}
	out := Out{Drain: o.Drain, DrainLeft: o.Left, Cancels: s.engine.signer.cancels(nil, o.Cancels)}
	s.tell(&out, o.Grants)
	if o.Close {
		s.outbox.end(ErrReplaced)
	}
}

// goAway tells all streams that this coordinator leaves.
func (r *streams) goAway() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.going = true
	for _, s := range r.byID {
		s.outbox.put(&Out{GoingAway: true}, nil)
		s.outbox.ring()
	}
}

// end stops all streams, those to come too.
func (r *streams) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	for _, s := range r.byID {
		s.outbox.end(err)
	}
}
