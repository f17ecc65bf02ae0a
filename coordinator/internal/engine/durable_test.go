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

// A read that sees more of the ledger than is durable is held until it is (D3).
func TestReadsOfTheLedgerAreHeld(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		r.submit("a", "b")
		slow := &slow{Ledger: r.ledger, get: newStop()}
		r.Engine.ledger = slow
		r.ledger.Hold()
		read := begin(t, func() (*Task, error) { return r.Task(ctx, "a") })
		<-slow.get.reached
		cancel := begin(t, func() (int, error) { return r.Cancel(ctx, []queue.Choice{{ID: "a"}}, "") })
		cancel.waits("cancel")
		close(slow.get.gone)
		read.waits("read")
		r.ledger.Release()
		if got := read.ends("read"); got.Status.State != queue.Cancelled {
			t.Errorf("read %+v", got.Status)
		}
		cancel.ends("cancel")
	})
}

// A task that ends while a page is put together is read again, and held like any read.
func TestListOfATaskThatEndsMeanwhile(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		r.submit("a", "b")
		slow := &slow{Ledger: r.ledger, get: newStop(), list: newStop()}
		r.Engine.ledger = slow
		list := begin(t, func() ([]*Task, error) {
			l, _, err := r.List(ctx, ledger.Query{Limit: 10, Examine: 10, IDPrefix: "a"})
			return l, err
		})
		<-slow.list.reached
		if n, err := r.Cancel(ctx, []queue.Choice{{ID: "a"}}, ""); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		close(slow.list.gone)
		<-slow.get.reached
		r.Engine.ledger = r.ledger
		r.ledger.Hold()
		retry := begin(t, func() (int, error) { return r.Retry(ctx, []queue.Choice{{ID: "a"}}, 0) })
		retry.waits("retry")
		close(slow.get.gone)
		list.waits("list")
		r.ledger.Release()
		if got := list.ends("list"); len(got) != 1 || got[0].Status.State != queue.Ready || got[0].Status.Run != 2 {
			t.Errorf("list %+v", got)
		}
		retry.ends("retry")
	})
}

// Nor is a watcher that reads the ledger told of what is not durable.
func TestWatcherOfTheLedgerIsHeld(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.submit("a")
		r.ledger.Hold()
		submit := begin(t, func() ([]bool, error) { return r.Submit(t.Context(), specs("b"), nil) })
		submit.waits("submit")
		w := r.watch(0, EventFilter{})
		defer w.Close()
		events, at, err := w.Next(t.Context())
		if len(events) != 1 || at != 1 || err != nil {
			t.Errorf("told %+v, bookmark %d, %v", events, at, err)
		}
		r.ledger.Release()
		submit.ends("submit")
		r.drain(w, 1, 2)
	})
}

// slow is a ledger whose first Get waits before it reads, and whose first List after it.
type slow struct {
	ledger.Ledger
	get, list *stop
}

type stop struct{ reached, gone chan struct{} }

func newStop() *stop { return &stop{make(chan struct{}), make(chan struct{})} }

func (s *stop) wait() {
	close(s.reached)
	<-s.gone
}

func (s *slow) Get(ctx context.Context, k ledger.Keys) (ledger.Found, error) {
	s.get.wait()
	return s.Ledger.Get(ctx, k)
}

func (s *slow) List(ctx context.Context, q ledger.Query) (ledger.Page, error) {
	p, err := s.Ledger.List(ctx, q)
	s.list.wait()
	return p, err
}

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

// L6: the clock of a grant starts when it has left, and to the point.
func TestGrantTimeoutRunsFromTheRelease(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		s := r.connect("agent", Message{Credit: 1})
		defer s.Close()
		time.Sleep(time.Second / 3)
		r.ledger.Hold()
		submit := begin(t, func() ([]bool, error) { return r.Submit(ctx, specs("a"), nil) })
		submit.waits("submit")
		time.Sleep(time.Second / 2)
		w, err := r.Watch(ctx, nil, EventFilter{Kinds: []queue.EventKind{queue.EventLeaseEnded}})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		_, _, _ = w.Next(ctx)
		r.ledger.Release()
		submit.ends("submit")
		released := time.Now()
		events, _, err := w.Next(ctx)
		if err != nil || len(events) != 1 || events[0].End != queue.EndUnconfirmed || time.Since(released) != r.config.GrantTimeout {
			t.Errorf("events %+v, %v after %v", events, err, time.Since(released))
		}
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
