package engine

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func on(ids ...string) func(*queue.Spec) {
	return func(s *queue.Spec) { s.DependsOn, s.OnFailure = ids, queue.PolicyRun }
}

// chain submits parents, and a child that depends on them.
func (r *rig) chain(child string, parents ...string) {
	r.t.Helper()
	if _, err := r.Submit(r.t.Context(), append(specs(parents...), spec(child, on(parents...))), nil); err != nil {
		r.t.Fatal(err)
	}
}

// bring runs tasks to their end, each with so many bytes of result.
func (r *rig) bring(n, size int) {
	r.t.Helper()
	for _, l := range r.acquire(n) {
		done := success(l)
		done.Result = make([]byte, size)
		r.report(done)
	}
}

// A grant carries what became of the tasks it depends on, in their order, from memory and from the
// ledger alike; also of those that failed.
func TestParentsComeWithTheGrant(t *testing.T) {
	check := func(t *testing.T, what string, l Lease) {
		t.Helper()
		if len(l.Parents) != 3 {
			t.Fatalf("%s: parents %+v", what, l.Parents)
		}
		a, b, c := l.Parents[0], l.Parents[1], l.Parents[2]
		if a.ID != "a" || a.State != queue.Completed || string(a.Result) != "result of a" || a.Failure.Class != 0 {
			t.Errorf("%s: a is %+v", what, a)
		}
		if b.ID != "b" || b.State != queue.Failed || len(b.Result) != 0 || b.Failure.Message != "no" {
			t.Errorf("%s: b is %+v", what, b)
		}
		if c.ID != "c" || c.State != queue.Completed || string(c.Result) != "result of c" {
			t.Errorf("%s: c is %+v", what, c)
		}
	}
	bubble(t, func(t *testing.T, r *rig) {
		r.chain("child", "a", "b", "c")
		for _, l := range r.acquire(3) {
			if len(l.Parents) != 0 {
				t.Errorf("%s has parents %+v", l.TaskID, l.Parents)
			}
			report := success(l)
			if l.TaskID == "b" {
				report = Report{LeaseID: l.ID, Failure: queue.Failure{Class: queue.ClassTaskFailed, Message: "no"}}
			}
			r.report(report)
		}
		l := r.acquire(1)[0]
		check(t, "first grant", l)
		if _, err := r.Release(t.Context(), []Release{{LeaseID: l.ID}}); err != nil {
			t.Fatal(err)
		}
		r.settle()
		s := r.connect("agent", Message{Credit: 1})
		defer s.Close()
		check(t, "second grant, by a session", r.receive(s).Grants[0])
	})
}

// A parent that is run again meanwhile is told as it is.
func TestParentThatWasRetried(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.chain("child", "a")
		l := r.acquire(1)[0]
		r.report(Report{LeaseID: l.ID, Failure: queue.Failure{Class: queue.ClassTaskFailed}})
		first := r.acquire(1)[0]
		if _, err := r.Retry(t.Context(), []queue.Choice{{ID: "a"}}, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Release(t.Context(), []Release{{LeaseID: first.ID}}); err != nil {
			t.Fatal(err)
		}
		for _, l := range r.acquire(2) {
			if l.TaskID == "child" && (l.Parents[0].State != queue.Running && l.Parents[0].State != queue.Ready || len(l.Parents[0].Result) != 0) {
				t.Errorf("parents %+v", l.Parents)
			}
		}
	})
}

// D3: what a parent has become since is told only once it is durable.
func TestParentThatMovesIsHeldBack(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.chain("child", "a")
		l := r.acquire(1)[0]
		r.report(Report{LeaseID: l.ID, Failure: queue.Failure{Class: queue.ClassTaskFailed}})
		s := r.connect("agent", Message{Credit: 1})
		defer s.Close()
		synctest.Wait() // the grant waits for its reader
		r.ledger.Hold()
		retry := begin(t, func() (int, error) { return r.Retry(t.Context(), []queue.Choice{{ID: "a"}}, 0) })
		retry.waits("retry")
		told := begin(t, func() (Out, error) { return s.Receive(t.Context()) })
		told.waits("a lease that tells of the retry")
		r.ledger.Release()
		retry.ends("retry")
		if o := told.ends("receive"); len(o.Grants) != 1 || o.Grants[0].Parents[0].State != queue.Ready {
			t.Errorf("told %+v", o)
		}
	})
}

// failedTooLarge checks that a task ended because of what its parents brought, at no cost.
func failedTooLarge(t *testing.T, r *rig, id string) {
	t.Helper()
	got := r.task(id)
	f := got.Failure
	if got.Status.State != queue.Failed || f.Class != queue.ClassResultTooLarge || !strings.Contains(f.Message, "over 1048576 bytes") {
		t.Errorf("%s is %+v with %+v", id, got.Status, f)
	}
	if len(got.Attempts) != 1 || got.Attempts[0].Outcome != queue.OutcomeFailed || !got.Attempts[0].HasCost || got.Attempts[0].Cost != 0 {
		t.Errorf("attempts of %s: %+v", id, got.Attempts)
	}
}

// Parents with more than fits are no grant but a recorded failure, and the call gets what comes
// next within its wait.
func TestParentsTooLargeForAcquire(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.chain("fits", "a", "b")
		r.bring(2, parentsBytes/2)
		if l := r.acquire(1); len(l) != 1 || len(l[0].Parents) != 2 {
			t.Fatalf("just as much as fits: %d leases", len(l))
		}
		r.chain("over", "c", "d")
		r.bring(2, parentsBytes/2+1)
		g := begin(t, func() ([]Lease, error) {
			return r.Acquire(t.Context(), Acquire{Agent: "unary", Request: "r", Max: 1, Length: time.Minute, Wait: 30 * time.Second})
		})
		g.waits("an acquire of what is not handed out")
		failedTooLarge(t, r, "over")
		r.submit("next")
		if l := g.ends("acquire"); len(l) != 1 || l[0].TaskID != "next" {
			t.Errorf("leases %+v", l)
		}
	})
}

// On a stream nothing is sent of it, the failure is recorded, and the credit is there for the next.
func TestParentsTooLargeForASession(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.chain("over", "a", "b")
		r.bring(2, parentsBytes)
		s := r.connect("agent", Message{Credit: 1})
		defer s.Close()
		soon, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		g := begin(t, func() (Out, error) { return s.Receive(soon) })
		g.waits("a stream that is granted what is not handed out")
		failedTooLarge(t, r, "over")
		r.submit("next", "beyond")
		if o := g.ends("receive"); len(o.Grants) != 1 || o.Grants[0].TaskID != "next" || len(o.Acks)+len(o.Cancels) > 0 {
			t.Errorf("told %+v", o)
		}
		// The agent goes on counting: 2 is one more, whatever was withheld.
		if err := s.Send(t.Context(), Message{Credit: 2}); err != nil {
			t.Fatal(err)
		}
		if o := r.receive(s); len(o.Grants) != 1 {
			t.Errorf("told %+v", o)
		}
		r.submit("more")
		synctest.Wait()
		if st := r.task("more").Status.State; st != queue.Ready {
			t.Errorf("granted beyond the credit: %v", st)
		}
	})
}
