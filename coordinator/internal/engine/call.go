package engine

import (
	"context"
	"sync"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// call is a command on its way through the loop, and who waits for it.
type call struct {
	cmd  queue.Command
	next *call         // stepped right behind it, in the same turn
	done chan struct{} // closed when the answer may leave
	then func()        // called instead, by the releaser; must not block
	err  error         // the look-up failed; set before done
	look *floor        // the look-up whose answer cmd carries; nil: none

	looked bool // a look-up has been made before
}

func newCall(cmd queue.Command) *call { return &call{cmd: cmd, done: make(chan struct{})} }

// answer hands the call back to whoever waits for it.
func (c *call) answer() {
	if c.then != nil {
		c.then()
		return
	}
	close(c.done)
}

// do hands a command to the loop and waits until its answer may leave.
func (e *Engine) do(ctx context.Context, cmd queue.Command) error {
	return e.doCall(ctx, newCall(cmd))
}

// doCall waits for the last of a chain, which the loop takes apart.
func (e *Engine) doCall(ctx context.Context, c *call) error {
	last := c
	for last.next != nil {
		last = last.next
	}
	if err := e.enqueue(ctx, c); err != nil {
		return err
	}
	return e.await(ctx, last)
}

func (e *Engine) await(ctx context.Context, c *call) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return e.cut(ctx)
	case <-e.stopped:
	}
	select {
	case <-c.done: // it left just before the stop
		return c.err
	default:
		return ErrStopping
	}
}

// enqueue waits for room in the backlog.
func (e *Engine) enqueue(ctx context.Context, c *call) error {
	if err := e.running(); err != nil {
		return err
	}
	select {
	case e.calls <- c:
		return nil
	case <-ctx.Done():
		return e.cut(ctx)
	case <-e.halted:
		return e.gone(ctx)
	}
}

// tell hands a command in whose answer nobody waits for, in the order of such. It is lost only if the engine
// stops. It does not wait for room in the backlog: whoever leaves must get on while the loop is stuck at the
// disk.
func (e *Engine) tell(cmd queue.Command) {
	c := &call{cmd: cmd, then: func() {}}
	e.untold.Lock()
	defer e.untold.Unlock()
	if len(e.untold.calls) == 0 {
		select {
		case e.calls <- c:
			return
		default:
			go e.postUntold()
		}
	}
	e.untold.calls = append(e.untold.calls, c)
}

// untold is what is to be told and found no room in the backlog.
type untold struct {
	sync.Mutex
	calls []*call // the first stays until it is posted
}

func (e *Engine) postUntold() {
	for c := e.untold.first(); c != nil; c = e.untold.next() {
		e.post(c)
	}
}

func (u *untold) first() *call {
	u.Lock()
	defer u.Unlock()
	return u.calls[0]
}

// next takes the first out; nil: there is no other.
func (u *untold) next() *call {
	u.Lock()
	defer u.Unlock()
	u.calls[0] = nil
	if u.calls = u.calls[1:]; len(u.calls) == 0 {
		return nil
	}
	return u.calls[0]
}

// post is enqueue for those that have no context to give up by.
func (e *Engine) post(c *call) {
	select {
	case e.calls <- c:
	case <-e.halted:
	}
}

// cut is the error of a call whose context has ended.
func (e *Engine) cut(ctx context.Context) error {
	if e.hasFailed() {
		return ErrFailed
	}
	return ctx.Err()
}

// gone is the error of a call that the loop does not take any more. After a failure nothing is
// answered at all: the caller is held until its connection dies with the process (D5).
func (e *Engine) gone(ctx context.Context) error {
	if !e.hasFailed() {
		return ErrStopping
	}
	<-ctx.Done()
	return ErrFailed
}
