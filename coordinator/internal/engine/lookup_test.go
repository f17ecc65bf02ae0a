package engine

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func TestSettledIsTheLeastSeen(t *testing.T) {
	var l lookups
	l.advance(3)
	a := l.begin()
	l.advance(5)
	b, c := l.begin(), l.begin()
	l.advance(9)
	for i, row := range []struct {
		end  *floor
		want uint64
	}{{nil, 3}, {b, 3}, {a, 5}, {c, 9}} {
		l.end(row.end)
		if got := l.settled(); got != row.want {
			t.Errorf("step %d: settled is %d, want %d", i, got, row.want)
		}
	}
	d := l.begin()
	l.advance(11)
	if got := l.settled(); got != 9 {
		t.Errorf("settled is %d, want 9", got)
	}
	l.end(d)
}

// pause holds the first look-up of a kind between its read and the step, until let go.
type pause struct {
	reached, gone chan struct{}
	used          atomic.Bool
}

func (p *pause) at(match func(queue.Command) bool) func(*Engine) {
	return func(e *Engine) {
		p.reached, p.gone = make(chan struct{}), make(chan struct{})
		e.hooks.afterLookup = func(c queue.Command) {
			if match(c) && p.used.CompareAndSwap(false, true) {
				close(p.reached)
				<-p.gone
			}
		}
	}
}

// A look-up that found nothing is not stale when it is stepped, whatever happened meanwhile: the
// machine remembers what ended since (D1, C3).
func TestSubmitLookedUpBeforeTheTaskCameAndWent(t *testing.T) {
	var p pause
	kind := func(c queue.Command) bool { _, ok := c.(*queue.Submit); return ok }
	bubble(t, func(t *testing.T, r *rig) {
		early := begin(t, func() ([]bool, error) { return r.Submit(t.Context(), specs("a"), nil) })
		<-p.reached
		r.submit("a")
		r.complete(1)
		r.settle()
		close(p.gone)
		if existed := early.ends("submit"); !existed[0] {
			t.Error("the task was made twice")
		}
		if n := len(r.lookups.floors); n > 1 {
			t.Errorf("%d floors are left", n)
		}
	}, p.at(kind))
}

// A report that was looked up before a retry is judged by the state after it: its task lives
// again, and the success of an earlier attempt wins (L4).
func TestReportLookedUpBeforeARetry(t *testing.T) {
	var p pause
	kind := func(c queue.Command) bool { _, ok := c.(*queue.ReportLeases); return ok }
	bubble(t, func(t *testing.T, r *rig) {
		r.submit("a")
		l := r.acquire(1)[0]
		if _, err := r.Cancel(t.Context(), []queue.Choice{{ID: "a"}}, ""); err != nil {
			t.Fatal(err)
		}
		r.settle()
		report := begin(t, func() ([]ReportAck, error) { return r.Report(t.Context(), []Report{success(l)}) })
		<-p.reached
		if n, err := r.Retry(t.Context(), []queue.Choice{{ID: "a"}}, 0); n != 1 || err != nil {
			t.Fatalf("retry: %d, %v", n, err)
		}
		close(p.gone)
		if a := report.ends("report"); a[0].Ack != queue.AckRecorded {
			t.Errorf("ack %+v", a[0])
		}
		if got := r.task("a"); got.Status.State != queue.Completed || string(got.Result) != "result of a" {
			t.Errorf("task %+v", got)
		}
	}, p.at(kind))
}

// What was just stepped is not in the ledger yet: a retry in that moment looks again.
func TestRetryOfATaskWhoseEndIsBeingWritten(t *testing.T) {
	hold := make(chan chan struct{}, 1)
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		r.submit("a")
		held := make(chan struct{})
		hold <- held
		cancel := begin(t, func() (int, error) { return r.Cancel(ctx, []queue.Choice{{ID: "a"}}, "") })
		cancel.waits("cancel")
		retry := begin(t, func() (int, error) { return r.Retry(ctx, []queue.Choice{{ID: "a"}}, 0) })
		retry.waits("retry")
		close(held)
		cancel.ends("cancel")
		if n := retry.ends("retry"); n != 1 {
			t.Errorf("%d tasks were retried", n)
		}
		if got := r.task("a"); got.Status.State != queue.Ready || got.Status.Run != 2 {
			t.Errorf("task %+v", got.Status)
		}
	}, func(e *Engine) {
		e.hooks.beforeCommit = func(uint64) {
			select {
			case held := <-hold:
				<-held
			default:
			}
		}
	})
}

// A look-up that fails is answered with its error, and keeps nothing.
func TestLookUpFails(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.submit("a")
		broken := errors.New("unreadable block")
		r.Engine.ledger = failing{r.ledger, broken}
		calls := map[string]func() error{
			"submit": func() error { _, err := r.Submit(t.Context(), specs("b"), nil); return err },
			"cancel": func() error {
				_, err := r.Cancel(t.Context(), []queue.Choice{{ID: "b"}}, "")
				return err
			},
			"task": func() error { _, err := r.Task(t.Context(), "a"); return err },
		}
		for name, call := range calls {
			if err := call(); !errors.Is(err, broken) {
				t.Errorf("%s: %v", name, err)
			}
		}
		for _, f := range r.lookups.floors {
			if f.users != 0 {
				t.Errorf("a floor at %d is still used", f.batch)
			}
		}
		if l, err := r.Acquire(t.Context(), Acquire{Agent: "x", Max: 1}); err != nil || len(l) != 1 {
			t.Errorf("what needs no look-up: %v, %v", l, err)
		}
	})
}
