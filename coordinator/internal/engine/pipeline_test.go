package engine

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Never more than three batches are in flight; what comes meanwhile makes one more.
func TestPipelineOfThree(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.ledger.Hold()
		var calls []*going[[]bool]
		for _, id := range []string{"a", "b", "c", "d", "e"} {
			g := begin(t, func() ([]bool, error) { return r.Submit(t.Context(), specs(id), nil) })
			g.waits(id)
			calls = append(calls, g)
		}
		if n := r.ledger.Held(); n != 3 {
			t.Errorf("%d batches are in flight", n)
		}
		r.ledger.ReleaseNext()
		calls[0].ends("a")
		calls[1].waits("b")
		if n := r.ledger.Commits(); n != 4 {
			t.Errorf("%d batches were made", n)
		}
		r.ledger.Release()
		for _, g := range calls {
			g.ends("submit")
		}
		if n := r.ledger.Commits(); n != 4 {
			t.Errorf("%d batches for what had gathered", n-3)
		}
	})
}

// A clean stop releases what is committed; what was not stepped is refused.
func TestStopReleasesWhatIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, memledger.New())
		r.ledger.Hold()
		var calls []*going[[]bool]
		for _, id := range []string{"a", "b", "c", "d"} {
			g := begin(t, func() ([]bool, error) { return r.Submit(t.Context(), specs(id), nil) })
			g.waits(id)
			calls = append(calls, g)
		}
		r.cancel()
		calls[0].waits("a")
		r.ledger.Release()
		for _, g := range calls[:3] {
			g.ends("submit")
		}
		if err := calls[3].failed(); !errors.Is(err, ErrStopping) {
			t.Errorf("the fourth submit: %v", err)
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
		var calls []*going[[]bool]
		for _, id := range []string{"c", "d", "e"} {
			g := begin(t, func() ([]bool, error) { return r.Submit(ctx, specs(id), nil) })
			g.waits(id)
			calls = append(calls, g)
		}
		time.Sleep(10 * r.config.LeaseTTL)
		r.ledger.Release()
		for _, g := range calls {
			g.ends("submit")
		}
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
