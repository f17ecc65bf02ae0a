package blackbox

import (
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// patient has a call wait for a coordinator that is not there yet.
var patient = grpc.WaitForReady(true)

// submit takes tasks in, all or none.
func (l *link) submit(t *testing.T, tasks ...*stintv1.Task) {
	t.Helper()
	if _, err := l.tasks.SubmitTasks(bounded(t), &stintv1.SubmitTasksRequest{Tasks: tasks}, patient); err != nil {
		t.Fatalf("submit: %v", err)
	}
}

// task is one to submit; change may set more.
func task(id string, change ...func(*stintv1.Task)) *stintv1.Task {
	one := &stintv1.Task{Id: id, Instruction: "Count the words of task " + id + "."}
	for _, c := range change {
		c(one)
	}
	return one
}

func after(ids ...string) func(*stintv1.Task) {
	return func(t *stintv1.Task) { t.DependsOn = ids }
}

func in(queue string) func(*stintv1.Task) {
	return func(t *stintv1.Task) { t.Queue = queue }
}

func attempts(most int32) func(*stintv1.Task) {
	return func(t *stintv1.Task) { t.Retry = &stintv1.RetryPolicy{MaxAttempts: most} }
}

func timeout(d time.Duration) func(*stintv1.Task) {
	return func(t *stintv1.Task) { t.AttemptTimeout = durationpb.New(d) }
}

func (l *link) get(t *testing.T, id string) *stintv1.Task {
	t.Helper()
	resp, err := l.tasks.GetTask(bounded(t), &stintv1.GetTaskRequest{TaskId: id}, patient)
	if err != nil {
		t.Fatalf("get %s: %v", id, err)
	}
	return resp.GetTask()
}

// ended waits until a task is in a terminal state.
func (l *link) ended(t *testing.T, id string) *stintv1.Task {
	t.Helper()
	ctx := bounded(t)
	for {
		resp, err := l.tasks.WaitTask(ctx, &stintv1.WaitTaskRequest{TaskId: id}, patient)
		if err != nil {
			t.Fatalf("wait for %s: %v", id, err)
		}
		if resp.GetTask().GetStatus().GetFinishTime() != nil {
			return resp.GetTask()
		}
	}
}

// completed waits for a task that must succeed.
func (l *link) completed(t *testing.T, id string) *stintv1.Task {
	t.Helper()
	return l.endedAs(t, id, stintv1.TaskState_TASK_STATE_COMPLETED)
}

// endedAs waits for a task that must end in the given state.
func (l *link) endedAs(t *testing.T, id string, want stintv1.TaskState) *stintv1.Task {
	t.Helper()
	one := l.ended(t, id)
	if got := one.GetStatus().GetState(); got != want {
		t.Fatalf("%s ended %v, want %v: %v", id, got, want, one.GetStatus())
	}
	return one
}

// follow calls see with each event from the first one kept on, until see says that it has seen enough.
func (l *link) follow(t *testing.T, see func(*stintv1.Event) (enough bool)) {
	t.Helper()
	stream, err := l.tasks.WatchEvents(bounded(t), &stintv1.WatchEventsRequest{AfterSequence: new(int64)}, patient)
	if err != nil {
		t.Fatalf("watch: %v", err)
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			t.Fatalf("watch: %v", err)
		}
		for _, e := range m.GetEvents() {
			if see(e) {
				return
			}
		}
	}
}

// event waits for the first event of a kind about a task.
func (l *link) event(t *testing.T, id string, kind stintv1.EventKind) *stintv1.Event {
	t.Helper()
	var found *stintv1.Event
	l.follow(t, func(e *stintv1.Event) bool {
		if e.GetTaskId() == id && e.GetKind() == kind {
			found = e
		}
		return found != nil
	})
	return found
}

// granted waits for an attempt of a task to be granted.
func (l *link) granted(t *testing.T, id string, attempt int32) *stintv1.Event {
	t.Helper()
	var found *stintv1.Event
	l.follow(t, func(e *stintv1.Event) bool {
		if e.GetTaskId() == id && e.GetKind() == stintv1.EventKind_EVENT_KIND_GRANTED && e.GetAttempt() == attempt {
			found = e
		}
		return found != nil
	})
	return found
}

// held waits until the agent of a running task has confirmed its lease: until then a lease that nobody holds goes back at no
// cost. The second heartbeat from now names it; the first may have been on its way when the grant was.
func (l *link) held(t *testing.T, id string) {
	t.Helper()
	l.granted(t, id, 1)
	last, agent := time.Now(), l.get(t, id).GetStatus().GetLease().GetAgentId()
	for range 2 {
		eventually(t, "a heartbeat of "+agent+", which holds "+id, func() bool {
			resp, err := l.agents.GetAgent(bounded(t), &stintv1.GetAgentRequest{AgentId: agent})
			beat := resp.GetAgent().GetLastHeartbeatTime().AsTime()
			if err != nil || !beat.After(last) {
				return false
			}
			last = beat
			return true
		})
	}
}

// history is every event kept, up to what was the newest at the time of the call.
func (l *link) history(t *testing.T) []*stintv1.Event {
	t.Helper()
	newest := l.status(t).GetNewestSequence()
	var all []*stintv1.Event
	if newest == 0 {
		return nil
	}
	l.follow(t, func(e *stintv1.Event) bool {
		all = append(all, e)
		return e.GetSequence() >= newest
	})
	return all
}

func (l *link) status(t *testing.T) *stintv1.GetStatusResponse {
	t.Helper()
	resp, err := l.queues.GetStatus(bounded(t), &stintv1.GetStatusRequest{}, patient)
	if err != nil {
		t.Fatalf("status: %v", err)
	}
	return resp
}
