package engine

import (
	"sync"
	"time"
)

// lull holds heartbeats back, each for a moment, so that those of thousands of idle sessions go
// through the loop and out again some at a time: one by one each wakes everybody on its way, which
// costs far more than what it says. A turn takes all that is held, so nothing expires while a
// heartbeat that keeps it lies here (L6).
type lull struct {
	sending sync.Mutex // held from take until the loop's channel has it

	mu     sync.Mutex
	first  *call
	last   *call
	calls  int
	timer  *time.Timer
	length time.Duration // of the pause; 0: hold nothing
}

// lullFor is how long a heartbeat may wait with so many streams open: until some of them have come.
func lullFor(streams int) time.Duration {
	if d := time.Duration(streams) * lullShare; d >= lullLeast {
		return min(d, lullMost)
	}
	return 0
}

// resize follows the number of open streams.
func (l *lull) resize(streams int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.length = lullFor(streams)
}

// hold keeps a call back, and tells whether it did; flush is called when the pause is over.
func (l *lull) hold(c *call, flush func()) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.length == 0 || l.calls >= lullCalls {
		return false
	}
	switch {
	case l.first != nil:
		l.last.next = c
	case l.timer == nil:
		l.first, l.timer = c, time.AfterFunc(l.length, flush)
	default:
		l.first = c
		l.timer.Reset(l.length)
	}
	l.last = c
	l.calls++
	return true
}

// take gives all that is held, as one chain; nil: nothing is.
func (l *lull) take() *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.first
	l.first, l.last, l.calls = nil, nil, 0
	return c
}

// flush hands all that is held to the loop. When it returns, what another one took is there too.
func (e *Engine) flush() {
	e.lull.sending.Lock()
	defer e.lull.sending.Unlock()
	if c := e.lull.take(); c != nil {
		e.post(c)
	}
}
