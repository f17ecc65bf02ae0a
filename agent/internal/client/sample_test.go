package client

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

func at(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(now.Add(d)) }

func ptr[T any](v T) *T { return &v }

func object(fields map[string]any) *structpb.Struct {
	s, err := structpb.NewStruct(fields)
	if err != nil {
		panic(err)
	}
	return s
}

func completed() *stintv1.Task {
	return &stintv1.Task{
		Id: "rivers", Queue: "default", Instruction: "List three rivers,\none a line",
		Parameters: object(map[string]any{"model": "small", "temperature": 0.2}),
		Budget:     &stintv1.Budget{MinUsd: ptr(0.05), MaxUsd: ptr(0.1)},
		Intensity:  stintv1.Intensity_INTENSITY_MEDIUM, OnDependencyFailure: stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_CANCEL,
		AttemptTimeout: durationpb.New(2 * time.Minute), Retry: &stintv1.RetryPolicy{MaxAttempts: 3},
		Labels: map[string]string{"team": "maps", "kind": "list"}, Requires: []string{"gpu=true", "region in (eu,us)"},
		FairnessKey: "acme", ConcurrencyKey: "acme/maps",
		Status: &stintv1.TaskStatus{
			State: stintv1.TaskState_TASK_STATE_COMPLETED, Run: 1,
			CreateTime: at(0), ReadyTime: at(0), StartTime: at(time.Second), FinishTime: at(40 * time.Second), LostLeases: 1,
			SpentUsd: 0.1125,
			Attempts: []*stintv1.Attempt{
				{Attempt: 1, Run: 1, AgentId: "worker_0a", StartTime: at(time.Second), FinishTime: at(31 * time.Second),
					Outcome: stintv1.AttemptOutcome_ATTEMPT_OUTCOME_LOST,
					Failure: &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_LEASE_EXPIRED, Message: "agent fell silent"}},
				{Attempt: 2, Run: 1, AgentId: "worker_0b", StartTime: at(31 * time.Second), FinishTime: at(40 * time.Second),
					Outcome: stintv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED, BudgetUsedUsd: ptr(0.0125)},
			},
			Result: &stintv1.Result{Text: "Amazon\nNile\nDanube\n", Model: "small", BudgetUsedUsd: ptr(0.0125),
				Usage: object(map[string]any{"input_tokens": 12})},
		},
	}
}

// failed carries text that tries to steer the terminal and to fake a row.
func failed() *stintv1.Task {
	return &stintv1.Task{
		Id: "broken", Queue: "default",
		Status: &stintv1.TaskStatus{
			State: stintv1.TaskState_TASK_STATE_FAILED, Run: 2, CreateTime: at(0), FinishTime: at(time.Minute), CountedFailures: 3,
			Attempts: []*stintv1.Attempt{{Attempt: 1, Run: 1}, {Attempt: 2, Run: 2}},
			Failure: &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_SERVER_ERROR, HttpStatus: 500,
				Message: "500 \x1b[2J\x1b]0;title\x07from the API\nrivers  default  COMPLETED"},
		},
	}
}

func running() *stintv1.Task {
	return &stintv1.Task{
		Id: "busy", Queue: "slow",
		Status: &stintv1.TaskStatus{
			State: stintv1.TaskState_TASK_STATE_RUNNING, Run: 1, CreateTime: at(0), ReadyTime: at(0), StartTime: at(0),
			Attempts: []*stintv1.Attempt{{Attempt: 1, Run: 1, AgentId: "worker_0a", StartTime: at(0),
				Outcome: stintv1.AttemptOutcome_ATTEMPT_OUTCOME_RUNNING}},
			ReservedUsd: 0.1,
			Lease:       &stintv1.CurrentLease{AgentId: "worker_0a", Attempt: 1, ExpireTime: at(30 * time.Second), Progress: ptr(0.5), Message: "half"},
		},
	}
}

func ready(id string) *stintv1.Task {
	return &stintv1.Task{Id: id, Queue: "default", Status: &stintv1.TaskStatus{
		State: stintv1.TaskState_TASK_STATE_READY, Run: 1, CreateTime: at(0), ReadyTime: at(0)}}
}

func waiting() []*stintv1.Task {
	return []*stintv1.Task{
		{Id: "later", Queue: "default", Status: &stintv1.TaskStatus{
			State: stintv1.TaskState_TASK_STATE_SCHEDULED, Run: 1, CreateTime: at(0), ReadyTime: at(time.Hour)}},
		{Id: "child", Queue: "default", DependsOn: []string{"rivers", "later"}, Status: &stintv1.TaskStatus{
			State: stintv1.TaskState_TASK_STATE_BLOCKED, Run: 1, CreateTime: at(0)}},
	}
}

func standing(n *stintv1.TaskCounts) *stintv1.GetStatusResponse {
	return &stintv1.GetStatusResponse{
		LedgerId: "01JGK8", Role: stintv1.CoordinatorRole_COORDINATOR_ROLE_ACTIVE, Version: "v1.0.0", Counts: n,
		NewestSequence: 42, OldestSequence: 1, Uptime: durationpb.New(90 * time.Second),
	}
}

func agent() *stintv1.Agent {
	return &stintv1.Agent{
		Id: "worker_0a", InstanceId: "i1", Version: "v1.0.0", State: stintv1.AgentState_AGENT_STATE_ONLINE,
		Labels: map[string]string{"gpu": "true"}, Slots: 4, Held: 1, ConnectTime: at(0), LastHeartbeatTime: at(10 * time.Second),
		RoundTrip: durationpb.New(1234567 * time.Nanosecond),
	}
}

func line(paused bool) *stintv1.Queue {
	return &stintv1.Queue{Name: "default", Paused: paused, Status: &stintv1.QueueStatus{
		Counts:         &stintv1.TaskCounts{Submitted: 9, Ready: 3, Running: 1, Completed: 2, Failed: 1, Cancelled: 1, Expired: 1},
		OldestReadyAge: durationpb.New(75 * time.Second),
	}}
}

// limited is a queue in the state that its name says.
func limited(name string) *stintv1.Queue {
	q := line(name == "paused")
	q.Name, q.Weight, q.Etag = name, 3, "7"
	q.Status.Running = 1
	switch name {
	case "full":
		q.MaxRunning = 1
	case "slow":
		q.Rate = &stintv1.QueueRate{PerSecond: 0.5, Burst: 2}
		q.Status.RateAvailable = 0.75
	case "idle": // reached, and nothing waits for it
		q.MaxRunning = 1
		q.Status.Counts.Ready = 0
	case "exhausted", "head", "fits", "default":
		q.Budget = &stintv1.QueueBudget{LimitUsd: ptr(20.0), Period: stintv1.BudgetPeriod_BUDGET_PERIOD_DAY}
		q.Status.SpentUsd, q.Status.ReservedUsd = 19.85, 0.1
		q.Status.PeriodStartTime, q.Status.PeriodEndTime = at(-1e9), at(3600e9)
	}
	if name == "exhausted" || name == "default" {
		q.MaxRunning, q.MaxRunningPerKey, q.StrictFencing = 5, 1, true
		q.Rate = &stintv1.QueueRate{PerSecond: 10, Burst: 10}
		q.Retry = &stintv1.RetryPolicy{MaxAttempts: 5, MaxBackoff: durationpb.New(time.Minute)}
		q.Status.SpentUsd, q.Status.OverrunUsd, q.Status.RateAvailable = 20.4, 0.5, 2.25
	}
	return q
}

func explained(code stintv1.ExplanationCode) *stintv1.ExplainTaskResponse {
	return &stintv1.ExplainTaskResponse{State: stintv1.TaskState_TASK_STATE_READY, Reasons: []*stintv1.Explanation{{Code: code}}}
}

func history() []*stintv1.Event {
	return []*stintv1.Event{
		{Sequence: 1, Time: at(0), Kind: stintv1.EventKind_EVENT_KIND_SUBMITTED, TaskId: "rivers", Queue: "default", Run: 1},
		{Sequence: 2, Time: at(0), Kind: stintv1.EventKind_EVENT_KIND_GRANTED, TaskId: "rivers", Queue: "default", Run: 1, Attempt: 1, AgentId: "worker_0a"},
		{Sequence: 3, Time: at(30 * time.Second), Kind: stintv1.EventKind_EVENT_KIND_LEASE_ENDED, TaskId: "rivers", Queue: "default", Run: 1, Attempt: 1,
			AgentId: "worker_0a", LeaseEndReason: stintv1.LeaseEndReason_LEASE_END_REASON_EXPIRED, CostUsd: ptr(0.1),
			FailureClass: stintv1.FailureClass_FAILURE_CLASS_LEASE_EXPIRED},
		{Sequence: 4, Time: at(40 * time.Second), Kind: stintv1.EventKind_EVENT_KIND_QUEUE_CHANGED, Queue: "default", Reason: "paused\x1b[2J"},
	}
}
