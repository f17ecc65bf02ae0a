package server

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// L4: under strict_fencing a success of an attempt before the newest is refused, and says so.
func TestStrictFencing(t *testing.T) {
	c := overEngine(t)
	c.set(t, &stintv1.Queue{Name: "q", StrictFencing: true})
	c.give(t, &stintv1.Task{Id: "a", Queue: "q"})
	first := c.grantTo(t, "i1")
	second := c.grantTo(t, "i2") // takes over, and the first attempt is lost
	if second.GetAttempt() != 2 {
		t.Fatalf("second %v", second)
	}
	result := &stintv1.Result{BudgetUsedUsd: new(0.03)}
	ack := c.end(t, &stintv1.Report{LeaseId: first.GetLeaseId(), Result: result})
	if ack.GetOutcome() != stintv1.ReportOutcome_REPORT_OUTCOME_LEASE_LOST || ack.GetReason() != stintv1.LeaseEndReason_LEASE_END_REASON_FENCED {
		t.Errorf("the old attempt: %v", ack)
	}
	if ack := c.end(t, &stintv1.Report{LeaseId: second.GetLeaseId(), Result: result}); ack.GetOutcome() != stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED {
		t.Errorf("the newest attempt: %v", ack)
	}
	if s := c.task(t, "a").GetStatus(); s.GetSpentUsd() != 0.06 {
		t.Errorf("both are paid for: %v", s)
	}
}

// grantTo has an instance of an agent granted a lease, confirms it, and drops the stream.
func (c *coordinator) grantTo(t *testing.T, instance string) (lease *stintv1.Lease) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := must(c.agents.Session(ctx))(t)
	if err := stream.Send(&stintv1.SessionRequest{
		Hello: &stintv1.Hello{AgentId: "agent", InstanceId: instance}, Heartbeat: &stintv1.Heartbeat{}, CreditTotal: 1,
	}); err != nil {
		t.Fatal(err)
	}
	for lease == nil {
		if g := must(stream.Recv())(t).GetGrants(); len(g) > 0 {
			lease = g[0]
		}
	}
	beat := &stintv1.Heartbeat{Number: 7, Leases: []*stintv1.LeaseProgress{{LeaseId: lease.GetLeaseId()}}}
	if err := stream.Send(&stintv1.SessionRequest{Heartbeat: beat}); err != nil {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := stream.Recv(); err != nil {
			return lease // io.EOF: the session is there, the stream is not
		}
	}
}

// A child's lease brings its parents' results as they were reported.
func TestParentsInALease(t *testing.T) {
	c := overEngine(t)
	c.give(t, &stintv1.Task{Id: "p"}, &stintv1.Task{Id: "q", Retry: &stintv1.RetryPolicy{MaxAttempts: 1}}, &stintv1.Task{
		Id: "child", DependsOn: []string{"q", "p"}, Instruction: "{{ results.p.text }}",
		OnDependencyFailure: stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_RUN,
	})
	done := &stintv1.Result{Text: "{{ results.p.text }}", Model: "m", BudgetUsedUsd: new(0.01)}
	for _, l := range c.take(t, "default", 2) {
		if len(l.GetParents()) != 0 {
			t.Errorf("%s has parents", l.GetTask().GetId())
		}
		if l.GetTask().GetId() == "p" {
			c.end(t, &stintv1.Report{LeaseId: l.GetLeaseId(), Result: done})
		} else {
			c.end(t, &stintv1.Report{LeaseId: l.GetLeaseId(), Failure: &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_TASK_FAILED, Message: "no"}})
		}
	}
	l := c.take(t, "default", 1)[0]
	want := []*stintv1.ParentResult{
		{TaskId: "q", State: stintv1.TaskState_TASK_STATE_FAILED, Failure: &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_TASK_FAILED, Message: "no"}},
		{TaskId: "p", State: stintv1.TaskState_TASK_STATE_COMPLETED, Result: done},
	}
	if !slices.EqualFunc(l.GetParents(), want, func(a, b *stintv1.ParentResult) bool { return proto.Equal(a, b) }) {
		t.Errorf("parents %v", l.GetParents())
	}
	if l.GetTask().GetInstruction() != "{{ results.p.text }}" {
		t.Errorf("the instruction is %q: filling it in is the agent's", l.GetTask().GetInstruction())
	}
}

// finished_after reaches the ledger, with the other conditions.
func TestListFinishedAfter(t *testing.T) {
	c, ctx := overEngine(t), t.Context()
	c.give(t, &stintv1.Task{Id: "a", Labels: map[string]string{"k": "v"}}, &stintv1.Task{Id: "b"})
	for _, l := range c.take(t, "default", 2) {
		c.end(t, &stintv1.Report{LeaseId: l.GetLeaseId(), Result: &stintv1.Result{}})
	}
	at := c.task(t, "a").GetStatus().GetFinishTime()
	for name, f := range map[string]struct {
		*stintv1.TaskFilter
		want int
	}{
		"before": {&stintv1.TaskFilter{FinishedAfter: timestamppb.New(at.AsTime().Add(-time.Hour)), Labels: map[string]string{"k": "v"}}, 1},
		"later":  {&stintv1.TaskFilter{FinishedAfter: timestamppb.New(at.AsTime().Add(time.Hour))}, 0},
		"prefix": {&stintv1.TaskFilter{FinishedAfter: timestamppb.New(at.AsTime().Add(-time.Hour)), IdPrefix: "b"}, 1},
	} {
		if got := must(c.tasks.ListTasks(ctx, &stintv1.ListTasksRequest{Filter: f.TaskFilter}))(t).GetTasks(); len(got) != f.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
