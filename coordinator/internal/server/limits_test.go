package server

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// set updates a queue by what the message sets.
func (c *coordinator) set(t *testing.T, q *stintv1.Queue) *stintv1.Queue {
	t.Helper()
	return must(c.queues.UpdateQueue(t.Context(), &stintv1.UpdateQueueRequest{Queue: q}))(t).GetQueue()
}

// give submits tasks.
func (c *coordinator) give(t *testing.T, tasks ...*stintv1.Task) {
	t.Helper()
	must(c.tasks.SubmitTasks(t.Context(), &stintv1.SubmitTasksRequest{Tasks: tasks}))(t)
}

// take acquires up to n leases of a queue.
func (c *coordinator) take(t *testing.T, name string, n int32) []*stintv1.Lease {
	t.Helper()
	return must(c.agents.AcquireLeases(t.Context(), &stintv1.AcquireLeasesRequest{
		AgentId: "me", Queues: []string{name}, MaxLeases: n,
	}))(t).GetLeases()
}

// end reports one lease.
func (c *coordinator) end(t *testing.T, r *stintv1.Report) *stintv1.ReportAck {
	t.Helper()
	return must(c.agents.ReportLeases(t.Context(), &stintv1.ReportLeasesRequest{Reports: []*stintv1.Report{r}}))(t).GetAcks()[0]
}

func (c *coordinator) task(t *testing.T, id string) *stintv1.Task {
	t.Helper()
	return must(c.tasks.GetTask(t.Context(), &stintv1.GetTaskRequest{TaskId: id}))(t).GetTask()
}

func (c *coordinator) queue(t *testing.T, name string) *stintv1.Queue {
	t.Helper()
	return must(c.queues.GetQueue(t.Context(), &stintv1.GetQueueRequest{Queue: name}))(t).GetQueue()
}

// events gives the history of a queue so far.
func (c *coordinator) events(t *testing.T, name string) (events []*stintv1.Event) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	newest := must(c.queues.GetStatus(ctx, &stintv1.GetStatusRequest{}))(t).GetNewestSequence()
	watch := must(c.tasks.WatchEvents(ctx, &stintv1.WatchEventsRequest{AfterSequence: new(int64(0)), Queue: name}))(t)
	for at := int64(-1); at < newest; {
		m := must(watch.Recv())(t)
		events, at = append(events, m.GetEvents()...), m.GetBookmarkSequence()
	}
	return events
}

// An update is shown by every read, rises the etag, is one event, and makes the queue; one that
// changes nothing does none of it. An old etag is refused.
func TestUpdateQueue(t *testing.T) {
	c, ctx := overEngine(t), t.Context()
	full := fullQueue()
	full.Etag = ""
	made := c.set(t, full)
	if made.GetEtag() == "" || made.GetRate().GetBurst() != 3 || made.GetMaxRunning() != 7 || made.GetBudget().GetLimitUsd() != 1.5 {
		t.Errorf("made %v", made)
	}
	if again := c.set(t, full); again.GetEtag() != made.GetEtag() {
		t.Errorf("the etag went from %s to %s for nothing", made.GetEtag(), again.GetEtag())
	}
	lift := &stintv1.UpdateQueueRequest{
		Queue: &stintv1.Queue{Name: "q", Etag: made.GetEtag()}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"rate", "budget"}},
	}
	lifted := must(c.queues.UpdateQueue(ctx, lift))(t).GetQueue()
	if lifted.GetRate() != nil || lifted.GetBudget() != nil || lifted.GetWeight() != 3 || lifted.GetEtag() == made.GetEtag() {
		t.Errorf("lifted %v", lifted)
	}
	shown := c.queue(t, "q")
	if shown.Status, lifted.Status = nil, nil; !proto.Equal(shown, lifted) {
		t.Errorf("read %v, was answered %v", shown, lifted)
	}
	for _, etag := range []string{made.GetEtag(), "abc", "0", "99999999999999999999"} {
		lift.Queue.Name, lift.Queue.Etag = "q", etag
		if _, err := c.queues.UpdateQueue(ctx, lift); read(t, err).reason != "ETAG_MISMATCH" || read(t, err).code != codes.Aborted {
			t.Errorf("the etag %s: %v", etag, err)
		}
		lift.Queue.Name = "nowhere"
		if _, err := c.queues.UpdateQueue(ctx, lift); read(t, err).reason != "QUEUE_NOT_FOUND" {
			t.Errorf("the etag %s of no queue: %v", etag, err)
		}
	}
	paused := must(c.queues.PauseQueue(ctx, &stintv1.PauseQueueRequest{Queue: "q"}))(t).GetQueue()
	if paused.GetEtag() == lifted.GetEtag() {
		t.Error("a pause leaves the etag")
	}
	var told []string
	for _, e := range c.events(t, "q") {
		told = append(told, e.GetReason())
	}
	if len(told) != 3 || !strings.Contains(told[0], "made") || !strings.Contains(told[0], "max_running") || !strings.Contains(told[1], "rate, budget") {
		t.Errorf("events %q", told)
	}
}

// A submit after the answer to an update takes the queue's defaults; tasks of before keep theirs,
// and repeats are repeats.
func TestSubmitTakesTheQueuesRetry(t *testing.T) {
	c := overEngine(t)
	before := &stintv1.Task{Id: "before", Queue: "q"}
	c.give(t, proto.CloneOf(before))
	c.set(t, &stintv1.Queue{Name: "q", Retry: &stintv1.RetryPolicy{MaxAttempts: 9}})
	c.give(t, &stintv1.Task{Id: "after", Queue: "q"}, &stintv1.Task{Id: "elsewhere"})
	for id, want := range map[string]int32{"before": 3, "after": 9, "elsewhere": 3} {
		if got := c.task(t, id).GetRetry().GetMaxAttempts(); got != want {
			t.Errorf("%s has %d attempts, want %d", id, got, want)
		}
	}
	again := must(c.tasks.SubmitTask(t.Context(), &stintv1.SubmitTaskRequest{Task: before}))(t)
	if !again.GetAlreadyExisted() || again.GetTask().GetRetry().GetMaxAttempts() != 3 {
		t.Errorf("repeated %v", again)
	}
}

// A task that may cost more than the whole budget is refused, naming field, figures and queue.
func TestBudgetTooLarge(t *testing.T) {
	c := overEngine(t)
	c.set(t, &stintv1.Queue{Name: "q", Budget: &stintv1.QueueBudget{LimitUsd: new(1.0)}})
	_, err := c.tasks.SubmitTask(t.Context(), &stintv1.SubmitTaskRequest{Task: &stintv1.Task{
		Queue: "q", Budget: &stintv1.Budget{MaxUsd: new(1.01)},
	}})
	got := read(t, err)
	if got.code != codes.FailedPrecondition || got.reason != "BUDGET_TOO_LARGE" || !strings.Contains(got.status.Message(), "task.budget.max_usd: is 1.01 USD") {
		t.Errorf("got %v", got.status)
	}
	named := slices.ContainsFunc(got.status.Details(), func(d any) bool {
		p, ok := d.(*errdetails.PreconditionFailure)
		return ok && p.GetViolations()[0].GetType() == "BUDGET_TOO_LARGE" && p.GetViolations()[0].GetSubject() == "q"
	})
	if !named {
		t.Errorf("details %v", got.status.Details())
	}
}

// What is reserved and settled is told by task, queue, events and sums alike (B2, B3).
func TestMoneyIsShown(t *testing.T) {
	c, ctx := overEngine(t), t.Context()
	c.set(t, &stintv1.Queue{Name: "q", Budget: &stintv1.QueueBudget{LimitUsd: new(5.0), Period: stintv1.BudgetPeriod_BUDGET_PERIOD_DAY}})
	task := func(id, key string) *stintv1.Task {
		return &stintv1.Task{Id: id, Queue: "q", FairnessKey: key, Budget: &stintv1.Budget{MaxUsd: new(1.0)}}
	}
	c.give(t, task("a", "x"), task("b", "y"))
	leases := c.take(t, "q", 2)
	if s := c.queue(t, "q").GetStatus(); s.GetReservedUsd() != 2 || s.GetRunning() != 2 || s.GetSpentUsd() != 0 ||
		s.GetPeriodEndTime().AsTime().Sub(s.GetPeriodStartTime().AsTime()) != 24*time.Hour {
		t.Errorf("running: %v", s)
	}
	if s := c.task(t, "a").GetStatus(); s.GetReservedUsd() != 1 || s.GetSpentUsd() != 0 {
		t.Errorf("running: %v", s)
	}
	c.end(t, &stintv1.Report{LeaseId: leases[0].GetLeaseId(), Result: &stintv1.Result{BudgetUsedUsd: new(1.25)}})
	must(c.tasks.CancelTask(ctx, &stintv1.CancelTaskRequest{TaskId: "b"}))(t)
	if s := c.task(t, "b").GetStatus(); s.GetSpentUsd() != 1 || s.GetReservedUsd() != 0 {
		t.Errorf("cancelled: %v", s)
	}
	late := &stintv1.Report{LeaseId: leases[1].GetLeaseId(), Result: &stintv1.Result{BudgetUsedUsd: new(0.5)}}
	for range 2 { // the second settles nothing
		c.end(t, late)
	}
	if s := c.task(t, "b").GetStatus(); s.GetSpentUsd() != 0.5 {
		t.Errorf("settled late: %v", s)
	}
	if s := c.queue(t, "q").GetStatus(); s.GetReservedUsd() != 0 || s.GetSpentUsd() != 1.75 || s.GetOverrunUsd() != 0.25 {
		t.Errorf("after all: %v", s)
	}
	costs := map[stintv1.EventKind][]float64{}
	for _, e := range c.events(t, "q") {
		if e.CostUsd != nil {
			costs[e.GetKind()] = append(costs[e.GetKind()], e.GetCostUsd())
		}
	}
	for kind, want := range map[stintv1.EventKind]float64{
		stintv1.EventKind_EVENT_KIND_COMPLETED: 1.25, stintv1.EventKind_EVENT_KIND_LEASE_ENDED: 1, stintv1.EventKind_EVENT_KIND_SPEND_SETTLED: 0.5,
	} {
		if !slices.Equal(costs[kind], []float64{want}) {
			t.Errorf("%v tells %v, want %v", kind, costs[kind], want)
		}
	}
	for by, want := range map[stintv1.SpendGroup][]*stintv1.Spend{
		stintv1.SpendGroup_SPEND_GROUP_UNSPECIFIED:  {{Queue: "q", SpentUsd: 1.75, Attempts: 2}},
		stintv1.SpendGroup_SPEND_GROUP_AGENT:        {{Queue: "q", AgentId: "me", SpentUsd: 1.75, Attempts: 2}},
		stintv1.SpendGroup_SPEND_GROUP_FAIRNESS_KEY: {{Queue: "q", FairnessKey: "x", SpentUsd: 1.25, Attempts: 1}, {Queue: "q", FairnessKey: "y", SpentUsd: 0.5, Attempts: 1}},
	} {
		got := must(c.queues.GetSpend(ctx, &stintv1.GetSpendRequest{Queue: "q", GroupBy: by}))(t).GetSpend()
		if !slices.EqualFunc(got, want, func(a, b *stintv1.Spend) bool { return proto.Equal(a, b) }) {
			t.Errorf("%v: %v, want %v", by, got, want)
		}
	}
	if _, err := c.queues.GetSpend(ctx, &stintv1.GetSpendRequest{Queue: "none"}); read(t, err).reason != "QUEUE_NOT_FOUND" {
		t.Errorf("spend of no queue: %v", err)
	}
}
