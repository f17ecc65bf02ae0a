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

// D3: while a batch is applied and not durable, nothing derived from it leaves: no reply, no
// grant, no event, no read.
func TestNothingLeavesBeforeItIsDurable(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		s := r.connect("agent", Message{Credit: 1})
		w, err := r.Watch(ctx, nil, EventFilter{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, at, err := w.Next(ctx); err != nil || at != 0 {
			t.Fatalf("bookmark %d, %v", at, err)
		}

		r.ledger.Hold()
		submit := begin(t, func() ([]bool, error) { return r.Submit(ctx, specs("a"), nil) })
		submit.waits("submit")
		if r.ledger.Held() != 1 {
			t.Fatalf("%d batches are held", r.ledger.Held())
		}
		grant := begin(t, func() (Out, error) { return s.Receive(ctx) })
		events := begin(t, func() ([]queue.Event, error) { e, _, err := w.Next(ctx); return e, err })
		read := begin(t, func() (*Task, error) { return r.Task(ctx, "a") })
		wait := begin(t, func() (*Task, error) { return r.Wait(ctx, "a", 0) })
		list := begin(t, func() ([]*Task, error) {
			l, _, err := r.List(ctx, ledger.Query{Limit: 10, Examine: 10})
			return l, err
		})
		explain := begin(t, func() (queue.State, error) { s, _, err := r.Explain(ctx, "a"); return s, err })
		status := begin(t, func() (Status, error) { return r.Status(ctx) })
		queues := begin(t, func() ([]queue.QueueView, error) { return r.Queues(ctx, "", 10) })
		again := begin(t, func() ([]bool, error) { return r.Submit(ctx, specs("a"), nil) })
		conflict := begin(t, func() ([]bool, error) {
			return r.Submit(ctx, []queue.Spec{spec("a", func(s *queue.Spec) { s.Payload = nil })}, nil)
		})
		// The watcher's bookmark alone may leave, and must not be ahead.
		synctest.Wait()
		fresh, err := r.Watch(ctx, nil, EventFilter{})
		if err != nil {
			t.Fatal(err)
		}
		if _, at, _ := fresh.Next(ctx); at != 0 {
			t.Errorf("a new watcher is told of event %d", at)
		}
		fresh.Close()
		submit.waits("submit")
		grant.waits("grant")
		events.waits("events")
		read.waits("read")
		wait.waits("wait")
		list.waits("list")
		explain.waits("explain")
		status.waits("status")
		queues.waits("queues")
		again.waits("submit again")
		conflict.waits("refusal")

		r.ledger.Release()
		submit.ends("submit")
		if o := grant.ends("grant"); len(o.Grants) != 1 || string(o.Grants[0].Payload) != "payload of a" {
			t.Errorf("granted %+v", o)
		}
		if e := events.ends("events"); len(e) != 2 || e[1].Kind != queue.EventGranted {
			t.Errorf("events %+v", e)
		}
		if got := read.ends("read"); got.Status.State != queue.Running {
			t.Errorf("read %+v", got)
		}
		wait.ends("wait")
		if l := list.ends("list"); len(l) != 1 {
			t.Errorf("list of %d", len(l))
		}
		explain.ends("explain")
		status.ends("status")
		queues.ends("queues")
		if existed := again.ends("submit again"); !existed[0] {
			t.Error("the second submit made the task again")
		}
		<-conflict.done
		wantReason(t, conflict.err, queue.TaskExists)
	})
}

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

// Never more than two batches are in flight; what comes meanwhile makes one more.
func TestPipelineOfTwo(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.ledger.Hold()
		var calls []*going[[]bool]
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			g := begin(t, func() ([]bool, error) { return r.Submit(t.Context(), specs(id), nil) })
			g.waits(id)
			calls = append(calls, g)
		}
		if n := r.ledger.Held(); n != 2 {
			t.Errorf("%d batches are in flight", n)
		}
		r.ledger.ReleaseNext()
		calls[0].ends("a")
		calls[1].waits("b")
		if n := r.ledger.Commits(); n != 3 {
			t.Errorf("%d batches were made", n)
		}
		r.ledger.Release()
		for _, g := range calls {
			g.ends("submit")
		}
		if n := r.ledger.Commits(); n != 3 {
			t.Errorf("%d batches for what had gathered", n-2)
		}
	})
}

// A clean stop releases what is committed; what was not stepped is refused.
func TestStopReleasesWhatIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, memledger.New())
		r.ledger.Hold()
		var calls []*going[[]bool]
		for _, id := range []string{"a", "b", "c"} {
			g := begin(t, func() ([]bool, error) { return r.Submit(t.Context(), specs(id), nil) })
			g.waits(id)
			calls = append(calls, g)
		}
		r.cancel()
		calls[0].waits("a")
		r.ledger.Release()
		calls[0].ends("a")
		calls[1].ends("b")
		if err := calls[2].failed(); !errors.Is(err, ErrStopping) {
			t.Errorf("the third submit: %v", err)
		}
		r.stop()
	})
}

// L7: a stall of the coordinator ends no lease, and what arrived meanwhile is stepped first.
func TestStallEndsNoLease(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		s := r.connect("agent", Message{Credit: 2})
		r.submit("a", "b")
		o := r.receive(s)
		if err := s.Send(ctx, Message{Beats: true, Number: 1, Held: held(o.Grants)}); err != nil {
			t.Fatal(err)
		}
		r.receive(s)

		r.ledger.Hold() // a disk that hangs for longer than every deadline
		x := begin(t, func() ([]bool, error) { return r.Submit(ctx, specs("c"), nil) })
		x.waits("c")
		y := begin(t, func() ([]bool, error) { return r.Submit(ctx, specs("d"), nil) })
		y.waits("d")
		time.Sleep(10 * r.config.LeaseTTL)
		r.ledger.Release()
		x.ends("c")
		y.ends("d")
		for _, id := range []string{"a", "b"} {
			if got := r.task(id); got.Status.State != queue.Running || got.Status.Lost != 0 {
				t.Errorf("after the stall %s is %+v", id, got.Status)
			}
		}
		// And a session that is silent without a stall does lose them.
		time.Sleep(2 * r.config.LeaseTTL)
		if got := r.task("a"); got.Status.State != queue.Ready || got.Status.Lost != 1 {
			t.Errorf("after a silence: %+v", got.Status)
		}
	})
}
