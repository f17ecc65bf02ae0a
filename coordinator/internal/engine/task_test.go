package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func TestUnknownTaskIsNotFound(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		_, err := r.Task(ctx, "nobody")
		wantReason(t, err, queue.TaskNotFound)
		_, _, err = r.Explain(ctx, "nobody")
		wantReason(t, err, queue.TaskNotFound)
		_, err = r.Wait(ctx, "nobody", time.Second)
		wantReason(t, err, queue.TaskNotFound)
		_, err = r.Cancel(ctx, []queue.Choice{{ID: "nobody"}}, "")
		wantReason(t, err, queue.TaskNotFound)
		_, err = r.Agent(ctx, "nobody")
		wantReason(t, err, queue.AgentNotFound)
		_, err = r.DrainAgent(ctx, "nobody", 0)
		wantReason(t, err, queue.AgentNotFound)
		_, err = r.SetPaused(ctx, "nobody", true)
		wantReason(t, err, queue.QueueNotFound)
	})
}

// Explain names what a task waits for, also what only the ledger knows by its id.
func TestExplainNamesParents(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		r.submit("failed", "pending")
		child := spec("child", func(s *queue.Spec) {
			s.DependsOn, s.OnFailure = []string{"failed", "pending"}, queue.PolicyWait
		})
		if _, err := r.Cancel(ctx, []queue.Choice{{ID: "failed"}}, ""); err != nil {
			t.Fatal(err)
		}
		r.settle()
		if _, err := r.Submit(ctx, []queue.Spec{child}, nil); err != nil {
			t.Fatal(err)
		}
		state, whys, err := r.Explain(ctx, "child")
		if err != nil || state != queue.Blocked || len(whys) != 1 {
			t.Fatalf("%v, %+v, %v", state, whys, err)
		}
		if got := slices.Sorted(slices.Values(whys[0].Tasks)); !slices.Equal(got, []string{"failed", "pending"}) {
			t.Errorf("waits for %v", got)
		}
		state, whys, err = r.Explain(ctx, "failed")
		if err != nil || state != queue.Cancelled || whys[0].Code != queue.ExplainTerminal {
			t.Errorf("%v, %+v, %v", state, whys, err)
		}
	})
}

// What the machine said and what the ledger showed a moment later make one task.
func TestAssemble(t *testing.T) {
	attempt := func(n int32, o queue.Outcome) queue.Attempt { return queue.Attempt{Number: n, Outcome: o} }
	stored := []queue.Attempt{attempt(1, queue.OutcomeLost), attempt(2, queue.OutcomeFailed), attempt(3, queue.OutcomeLost)}
	running := &queue.TaskView{Status: queue.Status{State: queue.Running, Attempt: 2}, Lease: &queue.LeaseView{Attempt: 2}}
	ready := &queue.TaskView{Status: queue.Status{State: queue.Ready, Attempt: 2}}
	ended := &queue.Terminal{Status: queue.Status{State: queue.Failed}, Final: attempt(2, queue.OutcomeSuperseded)}
	alive := &queue.Live{Status: queue.Status{State: queue.Running, Attempt: 4}, Grant: queue.Grant{Agent: "x"}}
	const lost, failed, super, runs = queue.OutcomeLost, queue.OutcomeFailed, queue.OutcomeSuperseded, queue.OutcomeRunning
	for name, row := range map[string]struct {
		view     *queue.TaskView
		task     ledger.Task
		state    queue.State
		attempts []queue.Outcome
	}{
		"the ledger is ahead of a running one": {running, ledger.Task{Live: alive, Attempts: stored}, queue.Running, []queue.Outcome{lost, runs}},
		"the ledger is ahead of a ready one":   {ready, ledger.Task{Live: alive, Attempts: stored}, queue.Ready, []queue.Outcome{lost, failed}},
		"it ended after the view":              {running, ledger.Task{Terminal: ended, Attempts: stored[:1]}, queue.Failed, []queue.Outcome{lost, super}},
		"a record overrides the final one":     {nil, ledger.Task{Terminal: ended, Attempts: stored[:2]}, queue.Failed, []queue.Outcome{lost, failed}},
		"a later one stays behind it":          {nil, ledger.Task{Terminal: ended, Attempts: stored[2:]}, queue.Failed, []queue.Outcome{super, lost}},
		"made after the view":                  {nil, ledger.Task{Live: alive, Attempts: stored}, queue.Running, []queue.Outcome{lost, failed, lost, runs}},
	} {
		got := assemble(row.view, &row.task)
		var outcomes []queue.Outcome
		for _, a := range got.Attempts {
			outcomes = append(outcomes, a.Outcome)
		}
		if got.Status.State != row.state || !slices.Equal(outcomes, row.attempts) {
			t.Errorf("%s: state %v, attempts %v", name, got.Status.State, outcomes)
		}
	}
}

func TestWait(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		r.submit("a")
		began := time.Now()
		got, err := r.Wait(ctx, "a", 10*time.Second)
		if err != nil || got.Status.State != queue.Ready || time.Since(began) != 10*time.Second {
			t.Errorf("time up: %+v, %v after %v", got, err, time.Since(began))
		}
		w := begin(t, func() (*Task, error) { return r.Wait(ctx, "a", 50*time.Second) })
		w.waits("wait")
		r.complete(1)
		if got := w.ends("wait"); got.Status.State != queue.Completed {
			t.Errorf("woken: %+v", got)
		}
		if len(r.waiters.byID) != 0 {
			t.Errorf("waiters left behind: %v", r.waiters.byID)
		}
	})
}

// The page shows live tasks as the machine holds them, and drops those that left the states.
func TestListOverlaysWhatIsLive(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		r.submit("a", "b", "c")
		l := r.acquire(1)
		if _, err := r.Extend(ctx, []Extension{{LeaseID: l[0].ID, Message: "on it"}}); err != nil {
			t.Fatal(err)
		}
		query := ledger.Query{Limit: 10, Examine: 100, Payload: true, Result: true, History: true}
		tasks, cursor, err := r.List(ctx, query)
		if err != nil || cursor != nil || len(tasks) != 3 {
			t.Fatalf("%d tasks, cursor %q, %v", len(tasks), cursor, err)
		}
		if last := tasks[2]; last.Spec.ID != "a" || last.Lease == nil || last.Lease.Message != "on it" || len(last.Attempts) != 1 {
			t.Errorf("running: %+v", last)
		}
		query.States = []queue.State{queue.Ready}
		if tasks, _, err = r.List(ctx, query); err != nil || len(tasks) != 2 {
			t.Errorf("ready: %d tasks, %v", len(tasks), err)
		}
	})
}
