package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// D5: after a failed write or sync nothing is acknowledged, and Run returns the error.
func TestFailStop(t *testing.T) {
	broken := errors.New("broken disk")
	for name, fail := range map[string]func(*memledger.Ledger){
		"commit": func(l *memledger.Ledger) { l.FailCommit(broken) },
		"sync":   func(l *memledger.Ledger) { l.FailWait(broken) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := start(t, memledger.New())
				ctx, hangUp := context.WithCancel(t.Context())
				s := r.connect("agent", Message{})
				r.submit("a")
				l := r.acquire(1)[0]
				commits := r.ledger.Commits()
				fail(r.ledger)

				report := begin(t, func() ([]ReportAck, error) { return r.Report(ctx, []Report{success(l)}) })
				receive := begin(t, func() (Out, error) { return s.Receive(ctx) })
				report.waits("report")
				if err := <-r.ended; !errors.Is(err, broken) {
					t.Errorf("Run: %v", err)
				}
				submit := begin(t, func() ([]bool, error) { return r.Submit(ctx, specs("b"), nil) })
				read := begin(t, func() (*Task, error) { return r.Task(ctx, "a") })
				status := begin(t, func() (Status, error) { return r.Status(ctx) })
				time.Sleep(time.Minute) // of the bubble's clock
				report.waits("report")
				receive.waits("stream")
				submit.waits("submit")
				read.waits("read")
				status.waits("status")
				if n := r.ledger.Commits(); n > commits+1 {
					t.Errorf("%d batches were applied after the failure", n-commits)
				}

				hangUp()
				for _, g := range []interface{ failed() error }{report, receive, submit, read, status} {
					if err := g.failed(); !errors.Is(err, ErrFailed) {
						t.Errorf("error is %v, want ErrFailed", err)
					}
				}
				s.Close()
			})
		})
	}
}

func (g *going[T]) failed() error { <-g.done; return g.err }

// D5: also what was about to be acknowledged when a later write failed is not.
func TestNothingIsAcknowledgedAfterALaterWriteFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken disk")
		ctx, hangUp := context.WithCancel(t.Context())
		mem := memledger.New()
		r := start(t, mem, func(e *Engine) { e.ledger = &brokenAt{Ledger: mem, batch: 2, err: broken} })
		mem.Hold()
		first := begin(t, func() ([]bool, error) { return r.Submit(ctx, specs("a"), nil) })
		first.waits("first")
		second := begin(t, func() ([]bool, error) { return r.Submit(ctx, specs("b"), nil) })
		second.waits("second")
		mem.Release() // the first becomes durable after all
		if err := <-r.ended; !errors.Is(err, broken) {
			t.Errorf("Run: %v", err)
		}
		first.waits("first")
		hangUp()
		for _, g := range []*going[[]bool]{first, second} {
			if err := g.failed(); !errors.Is(err, ErrFailed) {
				t.Errorf("error is %v, want ErrFailed", err)
			}
		}
	})
}

// A failure that the ledger tells of itself stops all, even if a write hangs for ever.
func TestFailWhileAWriteHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken, back := errors.New("broken disk"), make(chan struct{})
		r := start(t, memledger.New(), func(e *Engine) { e.hooks.beforeCommit = func(uint64) { <-back } })
		ctx, hangUp := context.WithCancel(t.Context())
		submit := begin(t, func() ([]bool, error) { return r.Submit(ctx, specs("a"), nil) })
		submit.waits("submit")
		r.Fail(broken)
		r.Fail(errors.New("another"))
		if err := <-r.ended; !errors.Is(err, broken) {
			t.Errorf("Run: %v", err)
		}
		submit.waits("submit")
		close(back)
		submit.waits("submit")
		hangUp()
		if err := submit.failed(); !errors.Is(err, ErrFailed) {
			t.Errorf("error is %v, want ErrFailed", err)
		}
	})
}

// brokenAt is a ledger that cannot write one batch.
type brokenAt struct {
	ledger.Ledger
	batch uint64
	err   error
}

func (b *brokenAt) Commit(batch *queue.Batch) (func() error, error) {
	if batch.Head.Batch == b.batch {
		return nil, b.err
	}
	return b.Ledger.Commit(batch)
}
