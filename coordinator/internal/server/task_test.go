package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// ready is a task as the engine gives it.
func ready(t *testing.T, id string) *engine.Task {
	t.Helper()
	return &engine.Task{
		Spec: specOf(t, &stintv1.Task{Id: id}), Status: queue.Status{State: queue.Ready, Run: 1, Create: after(0)},
	}
}

func TestSubmitTask(t *testing.T) {
	f := newFake()
	var got queue.Spec
	f.submit = func(s []queue.Spec, _ []bool) ([]bool, error) { got = s[0]; return []bool{true}, nil }
	f.task = func(id string) (*engine.Task, error) {
		return &engine.Task{Spec: got, Status: queue.Status{State: queue.Ready, Run: 1}}, nil
	}
	conn, _ := served(t, f, time.Minute)
	reply := must(stintv1.NewTaskServiceClient(conn).SubmitTask(t.Context(),
		&stintv1.SubmitTaskRequest{Task: &stintv1.Task{Instruction: "x"}}))(t)
	if !reply.GetAlreadyExisted() || reply.GetTask().GetId() != got.ID || len(got.ID) != 26 ||
		reply.GetTask().GetStatus().GetState() != stintv1.TaskState_TASK_STATE_READY {
		t.Errorf("got %v", reply)
	}
}

// The reply for a new task is put together of what was submitted and how it was made; nothing is
// read. It shows what a read right behind it does.
func TestSubmitTaskShowsWhatWasMade(t *testing.T) {
	c, ctx := overEngine(t), t.Context()
	must(c.tasks.SubmitTask(ctx, &stintv1.SubmitTaskRequest{Task: &stintv1.Task{Id: "parent"}}))(t)
	for _, task := range []*stintv1.Task{
		{Id: "plain", Instruction: "x", Status: &stintv1.TaskStatus{Run: 7}}, {}, {Id: "parent"}, otherTask(),
		{Id: "child", DependsOn: []string{"parent"}, Budget: &stintv1.Budget{MaxUsd: new(1.0)}},
		{Id: "later", NotBefore: timestamppb.New(time.Now().Add(time.Hour)), ExpireTime: timestamppb.New(time.Now().Add(2 * time.Hour))},
	} {
		reply := must(c.tasks.SubmitTask(ctx, &stintv1.SubmitTaskRequest{Task: task}))(t)
		shown := must(c.tasks.GetTask(ctx, &stintv1.GetTaskRequest{TaskId: reply.GetTask().GetId()}))(t)
		if !proto.Equal(reply.GetTask(), shown.GetTask()) || reply.GetAlreadyExisted() != (task.GetId() == "parent") {
			t.Errorf("submit shows %v\nget shows     %v", reply, shown)
		}
	}
	f := newFake() // panics when a task is read
	f.submit = func([]queue.Spec, []bool) ([]bool, error) { return nil, nil }
	f.made = queue.Status{State: queue.Ready, Run: 1, Create: 1, Ready: 1}
	conn, _ := served(t, f, time.Minute)
	reply := must(stintv1.NewTaskServiceClient(conn).SubmitTask(ctx, &stintv1.SubmitTaskRequest{Task: &stintv1.Task{Id: "a"}}))(t)
	if got := reply.GetTask(); got.GetStatus().GetState() != stintv1.TaskState_TASK_STATE_READY || got.GetRetry().GetMaxAttempts() != defaultMaxAttempts {
		t.Errorf("got %v", got)
	}
}

// Every refusal names the field by its path, and nothing is done.
func TestBadRequestsAreRefused(t *testing.T) {
	f := newFake() // panics on any call of the engine, which would be INTERNAL
	conn, _ := served(t, f, time.Minute)
	tasks, agents, queues := stintv1.NewTaskServiceClient(conn), stintv1.NewAgentServiceClient(conn), stintv1.NewQueueServiceClient(conn)
	ctx := t.Context()
	many := make([]*stintv1.Task, 1001)
	for i := range many {
		many[i] = &stintv1.Task{}
	}
	for _, c := range []struct {
		name   string
		fields []string
		call   func() error
	}{
		{"no task", []string{"task"}, func() error {
			_, err := tasks.SubmitTask(ctx, &stintv1.SubmitTaskRequest{})
			return err
		}},
		{"dependency", []string{"tasks[1].depends_on[0]"}, func() error {
			_, err := tasks.SubmitTasks(ctx, &stintv1.SubmitTasksRequest{Tasks: []*stintv1.Task{{}, {DependsOn: []string{"no good"}}}})
			return err
		}},
		{"two faults", []string{"task.id", "task.priority"}, func() error {
			_, err := tasks.SubmitTask(ctx, &stintv1.SubmitTaskRequest{Task: &stintv1.Task{Id: "-", Priority: 101}})
			return err
		}},
		{"budget", []string{"task.budget"}, func() error {
			_, err := tasks.SubmitTask(ctx, &stintv1.SubmitTaskRequest{Task: &stintv1.Task{Budget: &stintv1.Budget{MinUsd: new(2.0), MaxUsd: new(1.0)}}})
			return err
		}},
		{"too deep", []string{"task.parameters" + strings.Repeat(`["k"]`, 30)}, func() error {
			_, err := tasks.SubmitTask(ctx, &stintv1.SubmitTaskRequest{Task: &stintv1.Task{Parameters: nested(31)}})
			return err
		}},
		{"too many tasks", []string{"tasks"}, func() error {
			_, err := tasks.SubmitTasks(ctx, &stintv1.SubmitTasksRequest{Tasks: many})
			return err
		}},
		{"no id", []string{"task_id"}, func() error { _, err := tasks.GetTask(ctx, &stintv1.GetTaskRequest{}); return err }},
		{"wait", []string{"timeout"}, func() error {
			_, err := tasks.WaitTask(ctx, &stintv1.WaitTaskRequest{TaskId: "a", Timeout: durationpb.New(time.Minute)})
			return err
		}},
		{"retry time", []string{"expire_time"}, func() error {
			_, err := tasks.RetryTask(ctx, &stintv1.RetryTaskRequest{TaskId: "a", ExpireTime: &timestamppb.Timestamp{Nanos: -5}})
			return err
		}},
		{"page", []string{"page_size"}, func() error { _, err := tasks.ListTasks(ctx, &stintv1.ListTasksRequest{PageSize: 1001}); return err }},
		{"empty filter", []string{"filter"}, func() error {
			_, err := tasks.CancelTasks(ctx, &stintv1.CancelTasksRequest{Filter: &stintv1.TaskFilter{}})
			return err
		}},
		{"no filter", []string{"filter"}, func() error { _, err := tasks.RetryTasks(ctx, &stintv1.RetryTasksRequest{}); return err }},
		{"filter time", []string{"filter.finished_after"}, func() error {
			_, err := tasks.ListTasks(ctx, &stintv1.ListTasksRequest{Filter: &stintv1.TaskFilter{FinishedAfter: &timestamppb.Timestamp{Seconds: 1 << 60}}})
			return err
		}},
		{"watch", []string{"after_sequence"}, func() error {
			w, err := tasks.WatchEvents(ctx, &stintv1.WatchEventsRequest{AfterSequence: new(int64(-1))})
			if err == nil {
				_, err = w.Recv()
			}
			return err
		}},
		{"report", []string{"reports[0]"}, func() error {
			_, err := agents.ReportLeases(ctx, &stintv1.ReportLeasesRequest{Reports: []*stintv1.Report{{LeaseId: "L"}}})
			return err
		}},
		{"lease", []string{"releases[1].lease_id"}, func() error {
			_, err := agents.ReleaseLeases(ctx, &stintv1.ReleaseLeasesRequest{Releases: []*stintv1.Release{{LeaseId: "L"}, {}}})
			return err
		}},
		{"length", []string{"lease_length"}, func() error {
			_, err := agents.AcquireLeases(ctx, &stintv1.AcquireLeasesRequest{AgentId: "a", LeaseLength: durationpb.New(time.Second)})
			return err
		}},
		{"queue", []string{"queue"}, func() error { _, err := queues.PauseQueue(ctx, &stintv1.PauseQueueRequest{Queue: "/"}); return err }},
	} {
		got := read(t, c.call())
		if got.code != codes.InvalidArgument || got.reason != "FIELD_INVALID" || !slices.Equal(got.fields, c.fields) {
			t.Errorf("%s: got %s %q %q (%s), want %q", c.name, got.code, got.reason, got.fields, got.status.Message(), c.fields)
		}
	}
}

func TestRequestSize(t *testing.T) {
	conn, _ := served(t, newFake(), time.Minute)
	var tasks []*stintv1.Task
	for range 9 {
		tasks = append(tasks, &stintv1.Task{Instruction: strings.Repeat("x", maxTaskInput)})
	}
	request := &stintv1.SubmitTasksRequest{Tasks: tasks}
	_, err := stintv1.NewTaskServiceClient(conn).SubmitTasks(t.Context(), request)
	got := read(t, err)
	if got.code != codes.InvalidArgument || got.reason != "REQUEST_TOO_LARGE" ||
		!strings.Contains(got.status.Message(), fmt.Sprint(proto.Size(request))) {
		t.Errorf("got %v", got.status)
	}
}

// A refusal of the engine for the one task of SubmitTask names that task's fields.
func TestSubmitTaskNamesItsField(t *testing.T) {
	f := newFake()
	f.submit = func([]queue.Spec, []bool) ([]bool, error) {
		return nil, &queue.Error{Reason: queue.FieldInvalid, Field: "tasks[0].expire_time", Detail: "must lie in the future"}
	}
	conn, _ := served(t, f, time.Minute)
	c := stintv1.NewTaskServiceClient(conn)
	_, err := c.SubmitTask(t.Context(), &stintv1.SubmitTaskRequest{Task: &stintv1.Task{}})
	if got := read(t, err); !slices.Equal(got.fields, []string{"task.expire_time"}) {
		t.Errorf("one: %q", got.fields)
	}
	_, err = c.SubmitTasks(t.Context(), &stintv1.SubmitTasksRequest{Tasks: []*stintv1.Task{{}}})
	if got := read(t, err); !slices.Equal(got.fields, []string{"tasks[0].expire_time"}) {
		t.Errorf("batch: %q", got.fields)
	}
}

func TestTaskCalls(t *testing.T) {
	f := newFake()
	f.task = func(id string) (*engine.Task, error) { return ready(t, id), nil }
	var wait time.Duration
	f.wait = func(_ context.Context, id string, d time.Duration) (*engine.Task, error) {
		wait = d
		return ready(t, id), nil
	}
	f.cancel = func(c []queue.Choice, reason string) (int, error) {
		if !slices.Equal(c, []queue.Choice{{ID: "a", Run: 2}}) || reason != "why" {
			t.Errorf("cancel %v %q", c, reason)
		}
		return 1, nil
	}
	f.retry = func(c []queue.Choice, expire queue.Instant) (int, error) {
		if !slices.Equal(c, []queue.Choice{{ID: "a", Run: 3}}) || expire != after(0) {
			t.Errorf("retry %v %d", c, expire)
		}
		return 1, nil
	}
	f.explain = func(string) (queue.State, []queue.Why, error) {
		return queue.Blocked, []queue.Why{{Code: queue.ExplainBlocked, Message: "m", Tasks: []string{"p"}, Until: after(0)}}, nil
	}
	conn, _ := served(t, f, time.Minute)
	c, ctx := stintv1.NewTaskServiceClient(conn), t.Context()
	for _, timeout := range []*durationpb.Duration{nil, durationpb.New(0), durationpb.New(time.Second)} {
		must(c.WaitTask(ctx, &stintv1.WaitTaskRequest{TaskId: "a", Timeout: timeout}))(t)
		if want := within(timeout, 50*time.Second); wait != want {
			t.Errorf("wait %v, want %v", wait, want)
		}
	}
	cancelled := must(c.CancelTask(ctx, &stintv1.CancelTaskRequest{TaskId: "a", Run: 2, Reason: "why"}))(t)
	retried := must(c.RetryTask(ctx, &stintv1.RetryTaskRequest{TaskId: "a", Run: 3, ExpireTime: timestamppb.New(noon)}))(t)
	if cancelled.GetTask().GetId() != "a" || retried.GetTask().GetId() != "a" {
		t.Errorf("got %v, %v", cancelled, retried)
	}
	why := must(c.ExplainTask(ctx, &stintv1.ExplainTaskRequest{TaskId: "a"}))(t)
	if why.GetState() != stintv1.TaskState_TASK_STATE_BLOCKED || why.GetReasons()[0].GetTaskIds()[0] != "p" ||
		!why.GetReasons()[0].GetUntil().AsTime().Equal(noon) {
		t.Errorf("why %v", why)
	}
}

// A fault of ours, a panic too, costs the call and is told without its text.
func TestFaultsAreHidden(t *testing.T) {
	f := newFake()
	f.task = func(id string) (*engine.Task, error) {
		if id == "panic" {
			panic("secret")
		}
		return nil, errors.New("secret")
	}
	conn, _ := served(t, f, time.Minute)
	for _, id := range []string{"panic", "error"} {
		_, err := stintv1.NewTaskServiceClient(conn).GetTask(t.Context(), &stintv1.GetTaskRequest{TaskId: id})
		if got := read(t, err); got.code != codes.Internal || got.reason != "INTERNAL" || strings.Contains(got.status.String(), "secret") {
			t.Errorf("%s: %v", id, got.status)
		}
	}
}

// A connection parks 64 calls and no more; a call that does not wait still goes through, and
// so does one that follows an end.
func TestParkedWaits(t *testing.T) {
	f := newFake()
	parked, release := make(chan struct{}), make(chan struct{})
	f.wait = func(ctx context.Context, id string, d time.Duration) (*engine.Task, error) {
		if d > 0 {
			parked <- struct{}{}
			<-release
		}
		return ready(t, id), nil
	}
	f.acquire = func(context.Context, engine.Acquire) ([]engine.Lease, error) { return nil, nil }
	conn, _ := served(t, f, time.Minute)
	c, a, ctx := stintv1.NewTaskServiceClient(conn), stintv1.NewAgentServiceClient(conn), t.Context()
	done := make(chan error)
	for range maxWaits {
		go func() {
			_, err := c.WaitTask(ctx, &stintv1.WaitTaskRequest{TaskId: "a"})
			done <- err
		}()
	}
	for range maxWaits {
		<-parked
	}
	_, err := c.WaitTask(ctx, &stintv1.WaitTaskRequest{TaskId: "a"})
	_, err2 := a.AcquireLeases(ctx, &stintv1.AcquireLeasesRequest{AgentId: "a", Wait: durationpb.New(time.Second)})
	for _, err := range []error{err, err2} {
		if got := read(t, err); got.code != codes.ResourceExhausted || got.reason != "TOO_MANY_WAITS" || !got.retry {
			t.Errorf("one more: %v", err)
		}
	}
	must(c.WaitTask(ctx, &stintv1.WaitTaskRequest{TaskId: "a", Timeout: durationpb.New(0)}))(t)
	must(a.AcquireLeases(ctx, &stintv1.AcquireLeasesRequest{AgentId: "a"}))(t)
	close(release)
	for range maxWaits {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	must(a.AcquireLeases(ctx, &stintv1.AcquireLeasesRequest{AgentId: "a", Wait: durationpb.New(time.Second)}))(t)
}
