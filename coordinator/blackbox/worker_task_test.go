package blackbox

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// TestWorkerPyLeaseLength: a lease of the calls without a stream lives 300 s unless the caller says otherwise; that of a
// session lives the time that the welcome tells, 30 s by default.
func TestWorkerPyLeaseLength(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	l.submit(t, task("one"))
	got, err := l.agents.AcquireLeases(bounded(t), &stintv1.AcquireLeasesRequest{AgentId: "me"})
	if err != nil || len(got.GetLeases()) != 1 {
		t.Fatalf("acquire: %v, %v", got, err)
	}
	if d := got.GetLeases()[0].GetExpiresIn().AsDuration(); d != 300*time.Second {
		t.Errorf("expires in %v, want 300s", d)
	}
	stream, err := l.agents.Session(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	hello := &stintv1.SessionRequest{Hello: &stintv1.Hello{AgentId: "it", InstanceId: "i1", Slots: 1}, Heartbeat: &stintv1.Heartbeat{}}
	if err := stream.Send(hello); err != nil {
		t.Fatal(err)
	}
	m, err := stream.Recv()
	if err != nil || m.GetWelcome().GetLeaseTtl().AsDuration() != 30*time.Second || m.GetWelcome().GetHeartbeatInterval().AsDuration() != 10*time.Second {
		t.Errorf("welcome: %v, %v; want leases of 30s and heartbeats of 10s", m, err)
	}
}

// TestWorkerPyRequestTimeout: a call may take 120 s unless the task says otherwise; over its time it is closed and the task
// fails, for nobody knows what the API did.
func TestWorkerPyRequestTimeout(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	closed := make(chan struct{}, 1)
	startAgent(t, c, serveAPI(t, closing(closed)).addr)
	l.submit(t, task("slow", timeout(time.Second)))
	s := l.endedAs(t, "slow", stintv1.TaskState_TASK_STATE_FAILED).GetStatus()
	if f := s.GetFailure(); f.GetFailureClass() != stintv1.FailureClass_FAILURE_CLASS_TIMEOUT || len(s.GetAttempts()) != 1 {
		t.Errorf("status: %v", s)
	}
	select {
	case <-closed:
	case <-bounded(t).Done():
		t.Error("the call was not closed")
	}
}

// TestWorkerPyDefaults: what a task does not say is filled in as before, shown by reads, and sent to the API.
func TestWorkerPyDefaults(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	api := serveAPI(t, nil)
	model, err := structpb.NewStruct(map[string]any{"model": "small", "model_tier": "economy"})
	if err != nil {
		t.Fatal(err)
	}
	l.submit(t, task("plain", func(t *stintv1.Task) { t.Parameters = model }))
	startAgent(t, c, api.addr)
	one := l.completed(t, "plain")
	if b := one.GetBudget(); b.GetMinUsd() != 0.05 || b.GetMaxUsd() != 0.10 || one.GetIntensity() != stintv1.Intensity_INTENSITY_MEDIUM ||
		one.GetAttemptTimeout().AsDuration() != 120*time.Second {
		t.Errorf("defaults: %v", one)
	}
	calls := api.calls()
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	for key, want := range map[string]any{"method and path": "POST /grind", "prompt": one.GetInstruction(), "task_id": "plain",
		"min_budget": 0.05, "max_budget": 0.10, "intensity": "medium", "model": "small", "model_tier": "economy"} {
		if calls[0][key] != want {
			t.Errorf("%s: the API got %v, want %v", key, calls[0][key], want)
		}
	}
}

// TestWorkerPyNetworkFailures: a failure says where, what kind and which text; its class decides what follows.
func TestWorkerPyNetworkFailures(t *testing.T) {
	nobody := refusingAddress(t)
	for _, tt := range []struct {
		name   string
		api    string
		class  stintv1.FailureClass
		begins string
	}{
		{"refused", nobody, stintv1.FailureClass_FAILURE_CLASS_CONNECT, "http://" + nobody + "/grind: connect: "},
		{"status", serveAPI(t, func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":{"message":"out of order"}}`, http.StatusInternalServerError)
		}).addr, stintv1.FailureClass_FAILURE_CLASS_SERVER_ERROR, "500 Internal Server Error: server error: out of order"},
		{"cut", serveAPI(t, func(http.ResponseWriter, *http.Request) {
			panic(http.ErrAbortHandler)
		}).addr, stintv1.FailureClass_FAILURE_CLASS_TIMEOUT, "connection lost before an answer came"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := startCoordinator(t)
			l := c.dial(t)
			startAgent(t, c, tt.api)
			l.submit(t, task("one", attempts(1)))
			f := l.endedAs(t, "one", stintv1.TaskState_TASK_STATE_FAILED).GetStatus().GetFailure()
			if f.GetFailureClass() != tt.class || !strings.Contains(f.GetMessage(), tt.begins) {
				t.Errorf("failure %v %q, want %v and %q", f.GetFailureClass(), f.GetMessage(), tt.class, tt.begins)
			}
		})
	}
}

// TestWorkerPyFailedIsFinal: with max_attempts 1 the first failure is final; by default there are three tries.
func TestWorkerPyFailedIsFinal(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	api := startSandbox(t, "--status", "500")
	startAgent(t, c, api.addr)
	quick := func(t *stintv1.Task) {
		t.Retry = &stintv1.RetryPolicy{InitialBackoff: durationpb.New(time.Millisecond)}
	}
	l.submit(t, task("once", attempts(1)), task("thrice", quick))
	for id, want := range map[string]int{"once": 1, "thrice": 3} {
		s := l.endedAs(t, id, stintv1.TaskState_TASK_STATE_FAILED).GetStatus()
		if len(s.GetAttempts()) != want || s.GetCountedFailures() != int32(want) {
			t.Errorf("%s: %d attempts, %d counted, want %d", id, len(s.GetAttempts()), s.GetCountedFailures(), want)
		}
	}
}

// TestWorkerPyChildOfAFailedTask: the child of a failed task is cancelled by default; it may also run, or wait for ever as
// before.
func TestWorkerPyChildOfAFailedTask(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	api := serveAPI(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusBadRequest) })
	startAgent(t, c, api.addr)
	on := func(p stintv1.OnDependencyFailure) func(*stintv1.Task) {
		return func(t *stintv1.Task) { t.OnDependencyFailure = p }
	}
	l.submit(t, task("parent"), task("child", after("parent")),
		task("runs", after("parent"), on(stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_RUN)),
		task("waits", after("parent"), on(stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_WAIT)))
	l.endedAs(t, "parent", stintv1.TaskState_TASK_STATE_FAILED)
	s := l.endedAs(t, "child", stintv1.TaskState_TASK_STATE_CANCELLED).GetStatus()
	if s.GetFailure().GetFailureClass() != stintv1.FailureClass_FAILURE_CLASS_DEPENDENCY_FAILED {
		t.Errorf("child: %v", s)
	}
	l.endedAs(t, "runs", stintv1.TaskState_TASK_STATE_FAILED)
	if s := l.get(t, "waits").GetStatus(); s.GetState() != stintv1.TaskState_TASK_STATE_BLOCKED {
		t.Errorf("waits: %v", s)
	}
}
