package server

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// shownTask puts a task together: what was submitted, and where it stands at now.
func shownTask(t *engine.Task, view stintv1.TaskView, now time.Time) (*stintv1.Task, error) {
	out := &stintv1.Task{}
	if err := proto.Unmarshal(t.Spec.Payload, out); err != nil {
		return nil, fmt.Errorf("server: stored task %q: %w", t.Spec.ID, err)
	}
	ofThisRun(out, t.Status)
	s, err := shownStatus(t, now)
	if err != nil {
		return nil, err
	}
	out.Status = s
	if view == stintv1.TaskView_TASK_VIEW_BASIC {
		out.Instruction, out.Parameters, s.Result = "", nil, nil
	}
	return out, nil
}

// ofThisRun shows the times of the current run: a retry drops or replaces those submitted.
func ofThisRun(t *stintv1.Task, s queue.Status) {
	if s.Run > 1 {
		t.NotBefore, t.ExpireTime = stamp(s.NotBefore), stamp(s.ExpireTime)
	}
}

// shownMade is the status of a task that has just been made; nil: it must be read.
func shownMade(s queue.Status) *stintv1.TaskStatus {
	if s.State == 0 {
		return nil
	}
	return &stintv1.TaskStatus{
		State: stintv1.TaskState(s.State), Run: s.Run, CreateTime: stamp(s.Create), ReadyTime: stamp(s.Ready),
	}
}

func shownStatus(t *engine.Task, now time.Time) (*stintv1.TaskStatus, error) {
	s := t.Status
	out := &stintv1.TaskStatus{
		State: stintv1.TaskState(s.State), Run: s.Run,
		CreateTime: stamp(s.Create), ReadyTime: stamp(s.Ready),
		StartTime: stamp(s.Start), FinishTime: stamp(s.Finish),
		Failure: shownFailure(t.Failure), Lease: shownLease(t.Lease, now),
		CountedFailures: s.Counted, LostLeases: s.Lost, Attempts: shownAttempts(t.Attempts),
	}
	var spent queue.Micros // of each attempt's record: one that settled late has not moved the status
	for i := range t.Attempts {
		spent += t.Attempts[i].Spent
	}
	if out.SpentUsd = usd(spent); s.State == queue.Running {
		out.ReservedUsd = usd(t.Spec.MaxCost)
	}
	if s.State != queue.Completed {
		return out, nil
	}
	out.Result = &stintv1.Result{}
	if err := proto.Unmarshal(t.Result, out.Result); err != nil {
		return nil, fmt.Errorf("server: stored result of task %q: %w", t.Spec.ID, err)
	}
	return out, nil
}

func shownFailure(f queue.Failure) *stintv1.Failure {
	if f.Class == 0 {
		return nil
	}
	return &stintv1.Failure{
		FailureClass: stintv1.FailureClass(f.Class), Message: f.Message, HttpStatus: f.HTTPStatus,
		RetryAfter: span(f.RetryAfter), BudgetUsedUsd: shownCost(f.Cost, f.HasCost),
	}
}

func shownLease(l *queue.LeaseView, now time.Time) *stintv1.CurrentLease {
	if l == nil {
		return nil
	}
	out := &stintv1.CurrentLease{
		AgentId: l.Agent, Attempt: l.Attempt, Message: l.Message,
		ExpireTime: timestamppb.New(now.Add(l.Left)),
	}
	if l.HasProgress {
		out.Progress = new(l.Progress)
	}
	return out
}

// shownAttempts are the newest, until there is no room for more, and the one that succeeded: its agent
// and cost belong to the result.
func shownAttempts(all []queue.Attempt) []*stintv1.Attempt {
	var out []*stintv1.Attempt
	room := maxAttemptBytes
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Outcome != queue.OutcomeSucceeded && (room <= 0 || len(out) >= maxAttempts) {
			continue
		}
		a := shownAttempt(all[i])
		out, room = append(out, a), room-proto.Size(a)
	}
	slices.Reverse(out)
	return out
}

func shownAttempt(a queue.Attempt) *stintv1.Attempt {
	return &stintv1.Attempt{
		Attempt: a.Number, Run: a.Run, AgentId: a.Agent,
		StartTime: stamp(a.Start), FinishTime: stamp(a.Finish),
		Outcome: stintv1.AttemptOutcome(a.Outcome), Failure: shownFailure(a.Failure),
		BudgetUsedUsd: shownCost(a.Cost, a.HasCost),
	}
}

func shownWhy(w queue.Why) *stintv1.Explanation {
	return &stintv1.Explanation{
		Code: stintv1.ExplanationCode(w.Code), Message: w.Message, TaskIds: w.Tasks, Until: stamp(w.Until),
		Position: w.Position,
	}
}

func shownEvent(e *queue.Event) *stintv1.Event {
	return &stintv1.Event{
		Sequence: e.Sequence, Time: stamp(e.Time), Kind: stintv1.EventKind(e.Kind),
		TaskId: e.Task, Queue: e.Queue, Run: e.Run, Attempt: e.Attempt, AgentId: e.Agent,
		Reason: e.Reason, LeaseEndReason: stintv1.LeaseEndReason(e.End),
		FailureClass: stintv1.FailureClass(e.Class), CostUsd: shownCost(e.Cost, e.HasCost),
	}
}

func shownCounts(c queue.Counts) *stintv1.TaskCounts {
	return &stintv1.TaskCounts{
		Submitted: c.Submitted, Pruned: c.Pruned,
		Blocked: c.States[queue.Blocked], Scheduled: c.States[queue.Scheduled],
		Ready: c.States[queue.Ready], Running: c.States[queue.Running],
		Completed: c.States[queue.Completed], Failed: c.States[queue.Failed],
		Cancelled: c.States[queue.Cancelled], Expired: c.States[queue.Expired],
		Quarantined: c.States[queue.Quarantined],
	}
}

func shownAgent(a queue.AgentView) *stintv1.Agent {
	return &stintv1.Agent{
		Id: a.ID, InstanceId: a.Instance, Version: a.Version, State: stintv1.AgentState(a.State),
		Labels: labelMap(a.Labels), Queues: a.Queues, Slots: a.Slots, Held: a.Held,
		ConnectTime: stamp(a.Connected), LastHeartbeatTime: stamp(a.Heard), RoundTrip: span(a.RoundTrip),
	}
}
