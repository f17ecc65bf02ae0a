package engine

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
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
