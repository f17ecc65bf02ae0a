package engine

import (
	"errors"
	"sync"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// outbox holds what one stream's agent is to be told, bounded by outboxItems and outboxBytes. Putting
// never blocks.
type outbox struct {
	bell  chan struct{} // something was put, or err is set
	ended chan struct{} // closed: err is set

	mu     sync.Mutex
	grants []queue.Granted
	out    Out // all but grants
	bytes  int // its weight
	err    error
}

func newOutbox() outbox {
	return outbox{bell: make(chan struct{}, 1), ended: make(chan struct{})}
}

// put adds to what is waiting; the newest heartbeat ack and drain stand for those before them. The
// reader is not woken before ring, so that what is put together goes out together.
func (b *outbox) put(o *Out, grants []queue.Granted) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return
	}
	b.grants = append(b.grants, grants...)
	b.out.Acks = append(b.out.Acks, o.Acks...)
	b.out.Cancels = append(b.out.Cancels, o.Cancels...)
	if o.HasHeartbeatAck {
		b.out.HasHeartbeatAck, b.out.HeartbeatAck = true, o.HeartbeatAck
	}
	if o.Drain {
		b.out.Drain, b.out.DrainLeft = true, o.DrainLeft
	}
	b.out.GoingAway = b.out.GoingAway || o.GoingAway
	b.bytes += o.weight()
	if len(b.grants)+len(b.out.Acks)+len(b.out.Cancels) > outboxItems || b.bytes > outboxBytes {
		b.stop(ErrTooSlow)
	}
}

func (b *outbox) ring() {
	select {
	case b.bell <- struct{}{}:
	default: // it has rung already
	}
}

// take gives what is waiting, cut to the bounds of one Out. A cancel stays behind while grants
// do: it may be about one of them. What is waiting when the engine stops still goes out.
func (b *outbox) take() (Out, []queue.Granted, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil && (!errors.Is(b.err, ErrStopping) || len(b.grants) == 0 && b.out.empty()) {
		return Out{}, nil, b.err
	}
	out := b.out
	b.out = Out{}
	var grants []queue.Granted
	grants, b.grants = split(b.grants, outGrants)
	out.Acks, b.out.Acks = split(out.Acks, outItems)
	if len(b.grants) > 0 {
		out.Cancels, b.out.Cancels = nil, out.Cancels
	} else {
		out.Cancels, b.out.Cancels = split(out.Cancels, outItems)
	}
	b.bytes = b.out.weight()
	if len(b.grants) > 0 || !b.out.empty() || b.err != nil {
		b.ring()
	}
	return out, grants, nil
}

// split cuts off the first n of s.
func split[T any](s []T, n int) (first, rest []T) {
	if len(s) <= n {
		return s, nil
	}
	return s[:n:n], s[n:]
}

// end stops the outbox; the first reason stays.
func (b *outbox) end(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stop(err)
}

func (b *outbox) stop(err error) {
	if b.err != nil {
		return
	}
	b.err = err
	if !errors.Is(err, ErrStopping) {
		b.grants, b.out = nil, Out{}
	}
	close(b.ended)
	b.ring()
}

// error is why the outbox has ended; nil if it has not.
func (b *outbox) error() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (o *Out) empty() bool {
	return len(o.Grants) == 0 && len(o.Acks) == 0 && len(o.Cancels) == 0 &&
		!o.HasHeartbeatAck && !o.Drain && !o.GoingAway
}

// weight is what the peer's own words in it take, in bytes.
func (o *Out) weight() (n int) {
	for i := range o.Acks {
		n += len(o.Acks[i].LeaseID) + len(o.Acks[i].Message)
	}
	for i := range o.Cancels {
		n += len(o.Cancels[i].LeaseID)
	}
	return n
}
