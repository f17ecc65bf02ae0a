package server

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// after is so many seconds after noon.
func after(seconds int64) queue.Instant {
	return queue.Instant(noon.UnixMicro() + seconds*1_000_000)
}

func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := canonical(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestShownTask(t *testing.T) {
	spec := specOf(t, &stintv1.Task{
		Id: "a", Instruction: "think", Parameters: fields(map[string]*structpb.Value{"m": structpb.NewStringValue("x")}),
		NotBefore: timestamppb.New(noon), ExpireTime: timestamppb.New(noon.Add(time.Hour)),
	})
	task := &engine.Task{
		Spec: spec,
		Status: queue.Status{
			State: queue.Running, Run: 1, Create: after(0), Ready: after(1), Start: after(2), Counted: 2, Lost: 1,
		},
		Lease: &queue.LeaseView{Agent: "me", Attempt: 3, Left: 30 * time.Second, Progress: 0.25, HasProgress: true, Message: "on it"},
		Attempts: []queue.Attempt{{
			Number: 1, Run: 1, Agent: "other", Start: after(1), Finish: after(2), Outcome: queue.OutcomeFailed,
			Failure: queue.Failure{Class: queue.ClassTimeout, Message: "m", HTTPStatus: 504, RetryAfter: time.Second},
			Cost:    10_000, HasCost: true, Reserved: 100_000, Spent: 10_000, Settled: true,
		}},
	}
	got, err := shownTask(task, stintv1.TaskView_TASK_VIEW_FULL, noon)
	if err != nil {
		t.Fatal(err)
	}
	want := stored(t, spec)
	want.Status = &stintv1.TaskStatus{
		State: stintv1.TaskState_TASK_STATE_RUNNING, Run: 1, CountedFailures: 2, LostLeases: 1,
		SpentUsd: 0.01, ReservedUsd: 0.1,
		CreateTime: timestamppb.New(noon), ReadyTime: timestamppb.New(noon.Add(time.Second)), StartTime: timestamppb.New(noon.Add(2 * time.Second)),
		Lease: &stintv1.CurrentLease{
			AgentId: "me", Attempt: 3, ExpireTime: timestamppb.New(noon.Add(30 * time.Second)), Progress: new(0.25), Message: "on it",
		},
		Attempts: []*stintv1.Attempt{{
			Attempt: 1, Run: 1, AgentId: "other", StartTime: timestamppb.New(noon.Add(time.Second)), FinishTime: timestamppb.New(noon.Add(2 * time.Second)),
			Outcome: stintv1.AttemptOutcome_ATTEMPT_OUTCOME_FAILED, BudgetUsedUsd: new(0.01),
			Failure: &stintv1.Failure{
				FailureClass: stintv1.FailureClass_FAILURE_CLASS_TIMEOUT, Message: "m", HttpStatus: 504, RetryAfter: span(time.Second),
			},
		}},
	}
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// A retry drops not_before, and expire_time is that of the run.
func TestShownTimesAreOfTheRun(t *testing.T) {
	spec := specOf(t, &stintv1.Task{Id: "a", NotBefore: timestamppb.New(noon), ExpireTime: timestamppb.New(noon.Add(time.Hour))})
	for _, c := range []struct {
		status                queue.Status
		notBefore, expireTime *timestamppb.Timestamp
	}{
		{queue.Status{Run: 1}, timestamppb.New(noon), timestamppb.New(noon.Add(time.Hour))},
		{queue.Status{Run: 2}, nil, nil},
		{queue.Status{Run: 2, ExpireTime: after(7)}, nil, timestamppb.New(noon.Add(7 * time.Second))},
	} {
		task, err := shownTask(&engine.Task{Spec: spec, Status: c.status}, stintv1.TaskView_TASK_VIEW_FULL, noon)
		if err != nil {
			t.Fatal(err)
		}
		lease, err := grantedLease(&engine.Lease{ID: "L", Run: c.status.Run, Payload: spec.Payload, Status: c.status})
		if err != nil {
			t.Fatal(err)
		}
		sent := &stintv1.Lease{}
		if err := proto.Unmarshal(encoded(t, lease), sent); err != nil {
			t.Fatal(err)
		}
		for _, got := range []*stintv1.Task{task, sent.GetTask()} {
			if !proto.Equal(got.GetNotBefore(), c.notBefore) || !proto.Equal(got.GetExpireTime(), c.expireTime) || got.GetId() != "a" {
				t.Errorf("run %d: %v", c.status.Run, got)
			}
		}
	}
}

func TestBasicViewLeavesOutTheContent(t *testing.T) {
	task := &engine.Task{
		Spec: specOf(t, &stintv1.Task{
			Id: "a", Instruction: "think", Labels: map[string]string{"k": "v"},
			Parameters: fields(map[string]*structpb.Value{"m": structpb.NewStringValue("x")}),
		}),
		Status: queue.Status{State: queue.Completed, Run: 1}, Result: encoded(t, &stintv1.Result{Text: "4"}),
	}
	full, err := shownTask(task, stintv1.TaskView_TASK_VIEW_FULL, noon)
	if err != nil || full.GetStatus().GetResult().GetText() != "4" || full.GetInstruction() == "" || full.GetParameters() == nil {
		t.Errorf("full: %v (%v)", full, err)
	}
	basic, err := shownTask(task, stintv1.TaskView_TASK_VIEW_BASIC, noon)
	if err != nil || basic.GetStatus().GetResult() != nil || basic.GetInstruction() != "" || basic.GetParameters() != nil ||
		basic.GetLabels()["k"] != "v" || basic.GetBudget() == nil {
		t.Errorf("basic: %v (%v)", basic, err)
	}
	task.Result = nil // as an empty message is encoded
	if empty, err := shownTask(task, stintv1.TaskView_TASK_VIEW_FULL, noon); err != nil || empty.GetStatus().GetResult() == nil {
		t.Errorf("an empty result is not shown: %v (%v)", empty, err)
	}
}

// Bytes that cannot be read are a fault of ours, told with the task's name.
func TestUnreadablePayload(t *testing.T) {
	_, err := shownTask(&engine.Task{Spec: queue.Spec{ID: "a", Payload: []byte{0xff}}}, 0, noon)
	if r, _ := judge(err); r == nil || !r.faulty() {
		t.Errorf("got %v", err)
	}
	if _, err := grantedLease(&engine.Lease{TaskID: "a", Run: 2, Payload: []byte{0xff}}); err == nil {
		t.Error("a lease of it goes out")
	}
}

// A task is shown whole however often it was granted: the newest attempts, and the one that succeeded;
// what it has cost is that of all.
func TestShownAttemptsAreTheNewest(t *testing.T) {
	const granted = 100_000
	for _, c := range []struct {
		name    string
		message int // bytes of each failure
		shown   int
	}{
		{"small", 0, maxAttempts},
		{"large", maxFailureMessage, 128},
	} {
		task := &engine.Task{Spec: specOf(t, &stintv1.Task{Id: "a"}), Status: queue.Status{State: queue.Ready, Run: 1}}
		failure := queue.Failure{Class: queue.ClassTimeout, Message: strings.Repeat("m", c.message)}
		for i := range int32(granted) {
			task.Attempts = append(task.Attempts, queue.Attempt{
				Number: i + 1, Run: 1, Agent: "me", Outcome: queue.OutcomeReleased, Failure: failure, Spent: 10,
			})
		}
		task.Attempts[7].Outcome = queue.OutcomeSucceeded
		got, err := shownTask(task, stintv1.TaskView_TASK_VIEW_BASIC, noon)
		if err != nil {
			t.Fatal(err)
		}
		list := got.GetStatus().GetAttempts()
		if n := proto.Size(got); n > maxReply {
			t.Errorf("%s: the task has %d bytes", c.name, n)
		}
		if len(list) != c.shown+1 || list[0].GetAttempt() != 8 || list[1].GetAttempt() != int32(granted-c.shown+1) ||
			list[c.shown].GetAttempt() != granted {
			t.Errorf("%s: %d attempts, from %d and %d to %d", c.name, len(list), list[0].GetAttempt(), list[1].GetAttempt(),
				list[len(list)-1].GetAttempt())
		}
		if got.GetStatus().GetSpentUsd() != 1 {
			t.Errorf("%s: spent %v", c.name, got.GetStatus().GetSpentUsd())
		}
	}
}
