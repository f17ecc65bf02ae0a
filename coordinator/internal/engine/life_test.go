package engine

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// One task from submit to result by the unary calls, and what the reads show on the way.
func TestLifeOfATask(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		r.submit("a")
		if got := r.task("a"); got.Status.State != queue.Ready || string(got.Spec.Payload) != "payload of a" {
			t.Errorf("submitted: %+v", got)
		}
		l := r.acquire(5)
		if len(l) != 1 || l[0].TaskID != "a" || l[0].Attempt != 1 || string(l[0].Payload) != "payload of a" || l[0].Left != 5*time.Minute {
			t.Fatalf("leases %+v", l)
		}
		x, err := r.Extend(ctx, []Extension{{LeaseID: l[0].ID, Progress: 0.5, HasProgress: true, Message: "half"}})
		if err != nil || !x[0].Extended {
			t.Errorf("extend: %+v, %v", x, err)
		}
		got := r.task("a")
		if got.Lease == nil || got.Lease.Progress != 0.5 || len(got.Attempts) != 1 || got.Attempts[0].Outcome != queue.OutcomeRunning {
			t.Errorf("running: %+v", got)
		}
		if a := r.report(success(l[0])); a[0].Ack != queue.AckRecorded || a[0].LeaseID != l[0].ID {
			t.Errorf("ack %+v", a)
		}
		got = r.task("a")
		if got.Status.State != queue.Completed || string(got.Result) != "result of a" || len(got.Attempts) != 1 ||
			got.Attempts[0].Outcome != queue.OutcomeSucceeded {
			t.Errorf("completed: %+v", got)
		}
		state, whys, err := r.Explain(ctx, "a")
		if err != nil || state != queue.Completed || whys[0].Code != queue.ExplainTerminal {
			t.Errorf("explain: %v %v %v", state, whys, err)
		}
		s, err := r.Status(ctx)
		if err != nil || s.Newest != 3 || s.Counts.States[queue.Completed] != 1 {
			t.Errorf("status %+v, %v", s, err)
		}
	})
}

// What only the ledger knows is judged as it was while the machine held it (C3, C4).
func TestLateCallsAreJudgedFromTheLedger(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		r.submit("a")
		l := r.acquire(1)[0]
		r.report(success(l))
		r.settle()

		if a := r.report(success(l)); a[0].Ack != queue.AckDuplicate {
			t.Errorf("the same report: %+v", a)
		}
		other := success(l)
		other.Digest = digest("other")
		if a := r.report(other); a[0].Ack != queue.AckLeaseLost || a[0].End != queue.EndReported {
			t.Errorf("another report: %+v", a)
		}
		if x, err := r.Extend(ctx, []Extension{{LeaseID: l.ID}}); err != nil || x[0].Extended || x[0].End != queue.EndReported {
			t.Errorf("extend: %+v, %v", x, err)
		}
		if x, err := r.Release(ctx, []Release{{LeaseID: l.ID}}); err != nil || x[0].Released {
			t.Errorf("release: %+v, %v", x, err)
		}
		if n, err := r.Cancel(ctx, []queue.Choice{{ID: "a"}}, ""); n != 0 || err != nil {
			t.Errorf("cancel: %d, %v", n, err)
		}
		_, err := r.Retry(ctx, []queue.Choice{{ID: "a"}}, 0)
		wantReason(t, err, queue.TaskCompleted)
		existed, err := r.Submit(ctx, specs("a"), nil)
		if err != nil || !existed[0] {
			t.Errorf("submit again: %v, %v", existed, err)
		}
		changed := spec("a", func(s *queue.Spec) { s.Payload = []byte("other") })
		_, err = r.Submit(ctx, []queue.Spec{changed}, nil)
		wantReason(t, err, queue.TaskExists)
	})
}

// A retry brings the task back from the ledger, its history with it, and its child's parent.
func TestRetryFromTheLedger(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		child := spec("child", func(s *queue.Spec) { s.DependsOn = []string{"parent"} })
		r.submit("parent")
		r.complete(1)
		r.settle()
		if _, err := r.Submit(ctx, []queue.Spec{child}, nil); err != nil {
			t.Fatal(err)
		}
		l := r.acquire(1)[0]
		r.report(Report{LeaseID: l.ID, Failure: queue.Failure{Class: queue.ClassTaskFailed, Message: "no"}, Digest: digest("no")})
		r.settle()
		if n, err := r.Retry(ctx, []queue.Choice{{ID: "child"}}, 0); n != 1 || err != nil {
			t.Fatalf("retry: %d, %v", n, err)
		}
		got := r.task("child")
		if got.Status.State != queue.Ready || got.Status.Run != 2 || len(got.Attempts) != 1 || got.Attempts[0].Failure.Message != "no" {
			t.Errorf("after the retry: %+v", got)
		}
		if l := r.acquire(1); len(l) != 1 || l[0].Attempt != 2 || string(l[0].Payload) != "payload of child" {
			t.Errorf("granted again: %+v", l)
		}
	})
}

// Attempts with records of their own are found by late reports and kept by a retry.
func TestAttemptsWithRecordsOfTheirOwn(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.submit("a")
		first := r.acquire(1)[0]
		failed := Report{LeaseID: first.ID, Failure: queue.Failure{Class: queue.ClassAuth, Message: "no"}, Digest: digest("no")}
		r.report(failed)
		second := r.acquire(1)[0]
		if _, err := r.Cancel(t.Context(), []queue.Choice{{ID: "a"}}, ""); err != nil {
			t.Fatal(err)
		}
		r.settle()
		if a := r.report(failed)[0]; a.Ack != queue.AckDuplicate {
			t.Errorf("the first report again: %+v", a)
		}
		late := success(second)
		late.Cost, late.HasCost = 5000, true
		if a := r.report(late)[0]; a.Ack != queue.AckLeaseLost || a.End != queue.EndCancelled {
			t.Errorf("a late success: %+v", a)
		}
		r.settle()
		if n, err := r.Retry(t.Context(), []queue.Choice{{ID: "a"}}, 0); n != 1 || err != nil {
			t.Fatalf("retry: %d, %v", n, err)
		}
		got := r.task("a").Attempts
		if len(got) != 2 || got[0].Outcome != queue.OutcomeFailed || got[1].Outcome != queue.OutcomeCancelled || got[1].Cost != 5000 {
			t.Errorf("attempts %+v", got)
		}
	})
}

// Everything goes on after a restart, and the time told never goes back.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memledger.New()
		r := start(t, mem)
		r.submit("a", "b")
		l := r.acquire(1)[0]
		r.stop()

		wall := time.Now().Add(-time.Hour)
		r = start(t, mem, func(e *Engine) { e.config.Wall = func() time.Time { return wall } })
		if got := r.task("a"); got.Status.State != queue.Running || got.Status.Attempt != 1 {
			t.Errorf("after the restart: %+v", got.Status)
		}
		if a := r.report(success(l)); a[0].Ack != queue.AckRecorded {
			t.Errorf("report of a lease of before: %+v", a)
		}
		got := r.task("a")
		if got.Status.Finish < got.Status.Start {
			t.Errorf("finished at %d, begun at %d", got.Status.Finish, got.Status.Start)
		}
		if now, _ := r.clock.read(); now < got.Status.Finish {
			t.Errorf("now is %d, after %d", now, got.Status.Finish)
		}
		if l := r.acquire(5); len(l) != 1 || string(l[0].Payload) != "payload of b" {
			t.Errorf("payload from the ledger: %+v", l)
		}
		r.stop()
	})
}

// An engine that serves nobody, for as long as an import may take, ends no lease that it finds: nobody
// could extend one (L5).
func TestOfflineLeasesDoNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memledger.New()
		r := start(t, mem)
		r.submit("a", "b")
		r.acquire(1)
		s := r.connect("agent", Message{Credit: 1})
		synctest.Wait()
		s.Close()
		r.stop()

		r = start(t, mem, func(e *Engine) { e.config.Offline = true })
		time.Sleep(24 * time.Hour)
		r.submit("c")
		for _, id := range []string{"a", "b"} {
			if got := r.task(id); got.Status.State != queue.Running || got.Lease == nil {
				t.Errorf("%s is %s", id, got.Status.State)
			}
		}
		r.stop()
	})
}

func TestCallsOutsideOfServing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		mem := memledger.New()
		idle, err := New(config(), mem)
		if err != nil {
			t.Fatal(err)
		}
		ran := start(t, mem)
		ran.stop()
		for name, e := range map[string]*Engine{"before Run": idle, "after Run": ran.Engine} {
			calls := map[string]func() error{
				"Submit":  func() error { _, err := e.Submit(ctx, specs("a"), nil); return err },
				"Task":    func() error { _, err := e.Task(ctx, "a"); return err },
				"Acquire": func() error { _, err := e.Acquire(ctx, Acquire{Agent: "x", Max: 1}); return err },
				"Report":  func() error { _, err := e.Report(ctx, []Report{{LeaseID: "x"}}); return err },
				"Connect": func() error { _, err := e.Connect(ctx, Hello{Agent: "x"}); return err },
				"Status":  func() error { _, err := e.Status(ctx); return err },
			}
			for call, f := range calls {
				if err := f(); !errors.Is(err, ErrStopping) {
					t.Errorf("%s %s: %v", call, name, err)
				}
			}
		}
	})
}

func TestConfigReportsAllFaults(t *testing.T) {
	_, err := New(Config{Retain: -1}, nil)
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("New: %v", err)
	}
	inner := joined.Unwrap()[0].(interface{ Unwrap() []error })
	if got := len(joined.Unwrap()) - 1 + len(inner.Unwrap()); got != 5 {
		t.Errorf("%d faults: %v", got, err)
	}
}
