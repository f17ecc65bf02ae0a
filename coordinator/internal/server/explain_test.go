package server

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// explain gives why a task is not running, in order.
func (c *coordinator) explain(t *testing.T, id string) []*stintv1.Explanation {
	t.Helper()
	return must(c.tasks.ExplainTask(t.Context(), &stintv1.ExplainTaskRequest{TaskId: id}))(t).GetReasons()
}

// explainCase makes a task q that is not running, and says what explains it.
type explainCase struct {
	make func(t *testing.T, c *coordinator, q string)
	code stintv1.ExplanationCode
	text string // of the message
	more func(*stintv1.Explanation) bool
}

// soon tells whether the cause passes by itself.
func soon(e *stintv1.Explanation) bool { return e.GetUntil() != nil }

// running submits tasks and has the first run.
func running(t *testing.T, c *coordinator, q string, tasks ...*stintv1.Task) *stintv1.Lease {
	t.Helper()
	for _, x := range tasks {
		x.Queue = q
	}
	c.give(t, tasks[0])
	leases := c.take(t, q, 1)
	if len(leases) != 1 {
		t.Fatalf("%s was not granted", tasks[0].GetId())
	}
	if len(tasks) > 1 {
		c.give(t, tasks[1:]...)
	}
	return leases[0]
}

var explainCases = map[string]explainCase{
	"running": {func(t *testing.T, c *coordinator, q string) {
		running(t, c, q, &stintv1.Task{Id: q})
	}, stintv1.ExplanationCode_EXPLANATION_CODE_RUNNING, "runs on agent me", nil},
	"terminal": {func(t *testing.T, c *coordinator, q string) {
		c.end(t, &stintv1.Report{LeaseId: running(t, c, q, &stintv1.Task{Id: q}).GetLeaseId(), Result: &stintv1.Result{}})
	}, stintv1.ExplanationCode_EXPLANATION_CODE_TERMINAL, "completed", nil},
	"blocked": {func(t *testing.T, c *coordinator, q string) {
		c.give(t, &stintv1.Task{Id: q, Queue: q, DependsOn: []string{q + ".p1", q + ".p2"}}, &stintv1.Task{Id: q + ".p1"}, &stintv1.Task{Id: q + ".p2"})
	}, stintv1.ExplanationCode_EXPLANATION_CODE_BLOCKED, "depends on", func(e *stintv1.Explanation) bool {
		return slices.Equal(e.GetTaskIds(), []string{"blocked.p1", "blocked.p2"})
	}},
	"not-before": {func(t *testing.T, c *coordinator, q string) {
		c.give(t, &stintv1.Task{Id: q, Queue: q, NotBefore: timestamppb.New(time.Now().Add(time.Hour))})
	}, stintv1.ExplanationCode_EXPLANATION_CODE_NOT_BEFORE, "", soon},
	"backing-off": {func(t *testing.T, c *coordinator, q string) {
		l := running(t, c, q, &stintv1.Task{Id: q, Retry: &stintv1.RetryPolicy{InitialBackoff: durationpb.New(time.Hour), MaxBackoff: durationpb.New(time.Hour)}})
		c.end(t, &stintv1.Report{LeaseId: l.GetLeaseId(), Failure: &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_OVERLOADED, RetryAfter: durationpb.New(time.Hour)}})
	}, stintv1.ExplanationCode_EXPLANATION_CODE_BACKING_OFF, "", soon},
	"paused": {func(t *testing.T, c *coordinator, q string) {
		c.give(t, &stintv1.Task{Id: q, Queue: q})
		must(c.queues.PauseQueue(t.Context(), &stintv1.PauseQueueRequest{Queue: q}))(t)
	}, stintv1.ExplanationCode_EXPLANATION_CODE_QUEUE_PAUSED, "ResumeQueue", nil},
	"queue-limit": {func(t *testing.T, c *coordinator, q string) {
		c.set(t, &stintv1.Queue{Name: q, MaxRunning: 1})
		running(t, c, q, &stintv1.Task{Id: q + ".1"}, &stintv1.Task{Id: q})
	}, stintv1.ExplanationCode_EXPLANATION_CODE_QUEUE_LIMIT, "at most 1 may", nil},
	"rate-limit": {func(t *testing.T, c *coordinator, q string) {
		c.set(t, &stintv1.Queue{Name: q, Rate: &stintv1.QueueRate{PerSecond: 0.001}})
		c.give(t, &stintv1.Task{Id: q, Queue: q})
	}, stintv1.ExplanationCode_EXPLANATION_CODE_RATE_LIMIT, "0.001 tasks a second", soon},
	"budget": {func(t *testing.T, c *coordinator, q string) {
		c.set(t, &stintv1.Queue{Name: q, Budget: &stintv1.QueueBudget{LimitUsd: new(0.15), Period: stintv1.BudgetPeriod_BUDGET_PERIOD_MONTH}})
		running(t, c, q, &stintv1.Task{Id: q + ".1"}, &stintv1.Task{Id: q})
	}, stintv1.ExplanationCode_EXPLANATION_CODE_BUDGET, "reserves 0.1 USD", soon},
	"concurrency-key": {func(t *testing.T, c *coordinator, q string) {
		c.set(t, &stintv1.Queue{Name: q, MaxRunningPerKey: 1})
		running(t, c, q, &stintv1.Task{Id: q + ".1", ConcurrencyKey: "k"}, &stintv1.Task{Id: q, ConcurrencyKey: "k"})
	}, stintv1.ExplanationCode_EXPLANATION_CODE_CONCURRENCY_KEY, "concurrency key k", nil},
	"no-matching-agent": {func(t *testing.T, c *coordinator, q string) {
		c.give(t, &stintv1.Task{Id: q, Queue: q, Requires: []string{"gpu", "region in (us, eu)", "!spot"}})
	}, stintv1.ExplanationCode_EXPLANATION_CODE_NO_MATCHING_AGENT, "none has region in (eu,us)", nil},
	"no-free-agent": {func(t *testing.T, c *coordinator, q string) {
		c.give(t, &stintv1.Task{Id: q + ".1", Queue: q}, &stintv1.Task{Id: q + ".2", Queue: q}, &stintv1.Task{Id: q, Queue: q})
	}, stintv1.ExplanationCode_EXPLANATION_CODE_NO_FREE_AGENT, "2 tasks come first", func(e *stintv1.Explanation) bool { return e.GetPosition() == 2 }},
}

// Every reason of ExplainTask, with what there is to know of it; an agent is connected that has
// the label gpu and takes nothing.
func TestEveryExplanation(t *testing.T) {
	c := overEngine(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream := must(c.agents.Session(ctx))(t)
	if err := stream.Send(&stintv1.SessionRequest{
		Hello: &stintv1.Hello{AgentId: "busy", InstanceId: "i", Labels: map[string]string{"gpu": "true"}}, Heartbeat: &stintv1.Heartbeat{},
	}); err != nil {
		t.Fatal(err)
	}
	must(stream.Recv())(t)
	seen := map[stintv1.ExplanationCode]bool{}
	for q, x := range explainCases {
		x.make(t, c, q)
		why := c.explain(t, q)
		if len(why) != 1 || why[0].GetCode() != x.code || !strings.Contains(why[0].GetMessage(), x.text) || x.more != nil && !x.more(why[0]) {
			t.Errorf("%s: %v", q, why)
		}
		seen[x.code] = true
	}
	for n, name := range stintv1.ExplanationCode_name {
		if n != 0 && !seen[stintv1.ExplanationCode(n)] {
			t.Errorf("%s has no case", name)
		}
	}
}

// All causes that apply are told, the plainest first.
func TestSeveralExplanations(t *testing.T) {
	c := overEngine(t)
	c.set(t, &stintv1.Queue{Name: "q", MaxRunning: 1, MaxRunningPerKey: 1, Budget: &stintv1.QueueBudget{LimitUsd: new(0.1)}})
	running(t, c, "q", &stintv1.Task{Id: "a", ConcurrencyKey: "k"}, &stintv1.Task{Id: "b", ConcurrencyKey: "k"})
	must(c.queues.PauseQueue(t.Context(), &stintv1.PauseQueueRequest{Queue: "q"}))(t)
	var codes []string
	for _, w := range c.explain(t, "b") {
		codes = append(codes, strings.TrimPrefix(w.GetCode().String(), "EXPLANATION_CODE_"))
	}
	want := []string{"QUEUE_PAUSED", "QUEUE_LIMIT", "BUDGET", "CONCURRENCY_KEY", "NO_MATCHING_AGENT"}
	if !slices.Equal(codes, want) {
		t.Errorf("got %q, want %q", codes, want)
	}
}
