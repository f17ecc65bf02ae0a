package blackbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// The reasons that no row below provokes, and the tests that show them where they can be.
var shownElsewhere = map[stintv1.ErrorReason]string{
	stintv1.ErrorReason_ERROR_REASON_UNSPECIFIED:      "is never sent",
	stintv1.ErrorReason_ERROR_REASON_TOO_MANY_WAITS:   "TestTooManyWaits: grpcurl makes one call a connection",
	stintv1.ErrorReason_ERROR_REASON_SESSION_REPLACED: "TestSessionReplaced: it ends the stream that was there before",
	stintv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN:    "TestShuttingDown: it ends what runs when the coordinator leaves",
	stintv1.ErrorReason_ERROR_REASON_WATCHER_TOO_SLOW: "server: TestWatcherTooSlow; a reader is cut only after half a minute",
	stintv1.ErrorReason_ERROR_REASON_SESSION_TOO_SLOW: "server: TestSessionStalls; likewise",
	stintv1.ErrorReason_ERROR_REASON_INTERNAL:         "server: TestFaultsAreHidden; there is no fault that could be asked for",
}

// refusal is one way to be refused.
type refusal struct {
	reason stintv1.ErrorReason
	code   codes.Code
	retry  bool // with RetryInfo
	flags  []string
	before func(t *testing.T, c *coordinator, l *link) // what must be so first
	body   string
	method string
}

// sub is the method of the contract that most rows call.
const sub = "stint.v1.TaskService/SubmitTask"

var refusals = []refusal{
	{stintv1.ErrorReason_ERROR_REASON_FIELD_INVALID, codes.InvalidArgument, false, nil, nil,
		`{"task":{"id":"not an id"}}`, sub},
	{stintv1.ErrorReason_ERROR_REASON_REQUEST_TOO_LARGE, codes.InvalidArgument, false, nil, nil,
		`{"task":{"instruction":"` + strings.Repeat("x", 600<<10) + `"}}`, sub},
	{stintv1.ErrorReason_ERROR_REASON_TASK_ID_REPEATED, codes.InvalidArgument, false, nil, nil,
		`{"tasks":[{"id":"a"},{"id":"a"}]}`, "stint.v1.TaskService/SubmitTasks"},
	{stintv1.ErrorReason_ERROR_REASON_DEPENDENCY_CYCLE, codes.InvalidArgument, false, nil, nil,
		`{"tasks":[{"id":"a","depends_on":["b"]},{"id":"b","depends_on":["a"]}]}`, "stint.v1.TaskService/SubmitTasks"},
	{stintv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID, codes.InvalidArgument, false, nil, nil,
		`{"page_token":"guessed"}`, "stint.v1.TaskService/ListTasks"},
	{stintv1.ErrorReason_ERROR_REASON_SESSION_PROTOCOL, codes.InvalidArgument, false, nil, nil,
		`{"heartbeat":{}}`, "stint.v1.AgentService/Session"},
	{stintv1.ErrorReason_ERROR_REASON_DEPENDENCY_NOT_FOUND, codes.FailedPrecondition, false, nil, nil,
		`{"task":{"depends_on":["nowhere"]}}`, sub},
	{stintv1.ErrorReason_ERROR_REASON_TASK_COMPLETED, codes.FailedPrecondition, false, nil, complete,
		`{"task_id":"done"}`, "stint.v1.TaskService/RetryTask"},
	{stintv1.ErrorReason_ERROR_REASON_VERSION_UNSUPPORTED, codes.FailedPrecondition, false, nil, nil,
		`{"hello":{"agent_id":"me","instance_id":"i1","slots":1,"protocol_version":99}}`, "stint.v1.AgentService/Session"},
	{stintv1.ErrorReason_ERROR_REASON_TASK_NOT_FOUND, codes.NotFound, false, nil, nil,
		`{"task_id":"nobody"}`, "stint.v1.TaskService/GetTask"},
	{stintv1.ErrorReason_ERROR_REASON_QUEUE_NOT_FOUND, codes.NotFound, false, nil, nil,
		`{"queue":"nowhere"}`, "stint.v1.QueueService/PauseQueue"},
	{stintv1.ErrorReason_ERROR_REASON_AGENT_NOT_FOUND, codes.NotFound, false, nil, nil,
		`{"agent_id":"nobody"}`, "stint.v1.AgentService/GetAgent"},
	{stintv1.ErrorReason_ERROR_REASON_TASK_EXISTS, codes.AlreadyExists, false, nil, complete,
		`{"task":{"id":"done","instruction":"something else"}}`, sub},
	{stintv1.ErrorReason_ERROR_REASON_AGENT_ID_IN_USE, codes.AlreadyExists, true, nil,
		func(t *testing.T, _ *coordinator, l *link) { openSession(t, l, "me", "i1") },
		`{"hello":{"agent_id":"me","instance_id":"i2","slots":1},"heartbeat":{}}`, "stint.v1.AgentService/Session"},
	{stintv1.ErrorReason_ERROR_REASON_SEQUENCE_PRUNED, codes.OutOfRange, false, nil, prune,
		`{"after_sequence":1}`, "stint.v1.TaskService/WatchEvents"},
	{stintv1.ErrorReason_ERROR_REASON_SEQUENCE_AHEAD, codes.OutOfRange, false, nil, nil,
		`{"after_sequence":1000000}`, "stint.v1.TaskService/WatchEvents"},
	{stintv1.ErrorReason_ERROR_REASON_QUEUE_FULL, codes.ResourceExhausted, true, []string{"--max-live-tasks", "1"},
		func(t *testing.T, _ *coordinator, l *link) { l.submit(t, task("only")) },
		`{"task":{"id":"more"}}`, sub},
	{stintv1.ErrorReason_ERROR_REASON_DISK_FULL, codes.ResourceExhausted, true, []string{"--min-free", "1000000TiB"}, nil,
		`{"task":{"id":"more"}}`, sub},
	{stintv1.ErrorReason_ERROR_REASON_TOO_MANY_QUEUES, codes.ResourceExhausted, false, nil,
		func(t *testing.T, _ *coordinator, l *link) {
			submitMany(t, l, 9999, func(one *stintv1.Task, i int) { one.Queue = fmt.Sprintf("q%d", i) }) // and `default`
		},
		`{"task":{"queue":"another"}}`, sub},
	{stintv1.ErrorReason_ERROR_REASON_TOO_MANY_LABEL_SETS, codes.ResourceExhausted, true, nil,
		func(t *testing.T, _ *coordinator, l *link) {
			submitMany(t, l, 4096, func(one *stintv1.Task, i int) { one.Requires = []string{fmt.Sprintf("rack=%d", i)} })
		},
		`{"task":{"requires":["another=set"]}}`, sub},
	{stintv1.ErrorReason_ERROR_REASON_BUDGET_TOO_LARGE, codes.FailedPrecondition, false, nil,
		func(t *testing.T, _ *coordinator, l *link) {
			l.set(t, &stintv1.Queue{Name: "poor", Budget: &stintv1.QueueBudget{LimitUsd: new(float64)}})
		},
		`{"task":{"queue":"poor"}}`, sub},
	{stintv1.ErrorReason_ERROR_REASON_ETAG_MISMATCH, codes.Aborted, false, nil, nil,
		`{"queue":{"name":"default","weight":2,"etag":"guessed"}}`, updateQueue},
}

// TestEveryReason provokes each reason with grpcurl, and checks code, domain and RetryInfo as a caller sees them.
func TestEveryReason(t *testing.T) {
	grpcurl(t)
	shown := map[stintv1.ErrorReason]bool{}
	for _, row := range refusals {
		shown[row.reason] = true
		t.Run(strings.TrimPrefix(row.reason.String(), "ERROR_REASON_"), func(t *testing.T) {
			t.Parallel()
			c := startCoordinator(t, row.flags...)
			if row.before != nil {
				row.before(t, c, c.dial(t))
			}
			row.check(t, c)
		})
	}
	for number, name := range stintv1.ErrorReason_name {
		if reason := stintv1.ErrorReason(number); !shown[reason] && shownElsewhere[reason] == "" {
			t.Errorf("no row for %s: provoke it, or name the test that shows it", name)
		}
	}
}

// wireError is an error as grpcurl writes it under -format-error.
type wireError struct {
	Code    int              `json:"code"`
	Message string           `json:"message"`
	Details []map[string]any `json:"details"`
}

// detail gives the detail of a type, or nil.
func (e *wireError) detail(name string) map[string]any {
	i := slices.IndexFunc(e.Details, func(d map[string]any) bool {
		kind, _ := d["@type"].(string)
		return strings.HasSuffix(kind, "/google.rpc."+name)
	})
	if i < 0 {
		return nil
	}
	return e.Details[i]
}

func (r *refusal) check(t *testing.T, c *coordinator) {
	t.Helper()
	p := command{name: grpcurl(t), args: []string{"-plaintext", "-format-error", "-d", "@", c.grpc, r.method}, stdin: r.body}.run(t)
	if want := 64 + int(r.code); p.code != want {
		t.Fatalf("exit code %d, want %d: %s%s", p.code, want, p.stdout, p.stderr)
	}
	var got wireError
	if err := json.Unmarshal([]byte(p.stderr), &got); err != nil {
		t.Fatalf("%v: %s", err, p.stderr)
	}
	info := got.detail("ErrorInfo")
	if want := strings.TrimPrefix(r.reason.String(), "ERROR_REASON_"); info["reason"] != want || info["domain"] != "stint.dev" {
		t.Errorf("ErrorInfo %v, want %s of stint.dev", info, want)
	}
	if has := got.detail("RetryInfo") != nil; has != r.retry {
		t.Errorf("RetryInfo: %v, want %v: %s", has, r.retry, p.stderr)
	}
	if got.Message == "" {
		t.Error("no message")
	}
}

// complete has a task `done` that is COMPLETED.
func complete(t *testing.T, _ *coordinator, l *link) {
	t.Helper()
	l.submit(t, task("done"))
	ctx := bounded(t)
	got, err := l.agents.AcquireLeases(ctx, &stintv1.AcquireLeasesRequest{AgentId: "me"})
	if err != nil || len(got.GetLeases()) != 1 {
		t.Fatalf("acquire: %v, %v", got, err)
	}
	report := &stintv1.Report{LeaseId: got.GetLeases()[0].GetLeaseId(), Result: &stintv1.Result{Text: "done"}}
	if _, err := l.agents.ReportLeases(ctx, &stintv1.ReportLeasesRequest{Reports: []*stintv1.Report{report}}); err != nil {
		t.Fatal(err)
	}
}

// prune has a coordinator that has forgotten its oldest events: it forgets at its start what is old enough.
func prune(t *testing.T, c *coordinator, l *link) {
	t.Helper()
	complete(t, c, l)
	if code := c.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	c.flags = []string{"--retain", "1ms"}
	c.serve(t)
	eventually(t, "the oldest events pruned", func() bool { return l.status(t).GetOldestSequence() > 2 })
}

// submitMany takes in so many tasks, each made by shape.
func submitMany(t *testing.T, l *link, n int, shape func(one *stintv1.Task, i int)) {
	t.Helper()
	for from := 0; from < n; from += 1000 {
		var batch []*stintv1.Task
		for i := from; i < min(from+1000, n); i++ {
			one := &stintv1.Task{Instruction: "wait"}
			shape(one, i)
			batch = append(batch, one)
		}
		l.submit(t, batch...)
	}
}

// session is an agent's stream in the hands of a test.
type session = grpc.BidiStreamingClient[stintv1.SessionRequest, stintv1.SessionResponse]

// openSession opens a stream and waits for its welcome.
func openSession(t *testing.T, l *link, agent, instance string) session {
	t.Helper()
	stream, err := l.agents.Session(bounded(t))
	if err != nil {
		t.Fatal(err)
	}
	hello := &stintv1.Hello{AgentId: agent, InstanceId: instance, Slots: 1}
	if err := stream.Send(&stintv1.SessionRequest{Hello: hello, Heartbeat: &stintv1.Heartbeat{}}); err != nil {
		t.Fatal(err)
	}
	if m, err := stream.Recv(); err != nil || m.GetWelcome() == nil {
		t.Fatalf("welcome: %v, %v", m, err)
	}
	return stream
}

// mostWaits is how many calls of a connection may wait.
const mostWaits = 64

// fillWaits has as many calls of a connection wait for a task as may. That one more is refused shows that all others wait.
// The channel gives the answer of each when it comes.
func fillWaits(t *testing.T, l *link, id string) <-chan error {
	t.Helper()
	ctx := bounded(t)
	errs := make(chan error, mostWaits+1)
	for range mostWaits + 1 {
		go func() {
			_, err := l.tasks.WaitTask(ctx, &stintv1.WaitTaskRequest{TaskId: id})
			errs <- err
		}()
	}
	wantReason(t, <-errs, codes.ResourceExhausted, stintv1.ErrorReason_ERROR_REASON_TOO_MANY_WAITS)
	return errs
}

// TestTooManyWaits: 64 calls of a connection may wait, one more is refused at once, and other calls still get through.
func TestTooManyWaits(t *testing.T) {
	l := startCoordinator(t).dial(t)
	l.submit(t, task("one"))
	answers := fillWaits(t, l, "one")
	if _, err := l.tasks.CancelTask(bounded(t), &stintv1.CancelTaskRequest{TaskId: "one"}); err != nil {
		t.Errorf("another call beside those that wait: %v", err)
	}
	for range mostWaits {
		if err := <-answers; err != nil {
			t.Errorf("a call that waited: %v", err)
		}
	}
}

// TestSessionReplaced: a second stream of the same instance takes the place of the first.
func TestSessionReplaced(t *testing.T) {
	l := startCoordinator(t).dial(t)
	first := openSession(t, l, "me", "i1")
	openSession(t, l, "me", "i1")
	_, err := receiveToEnd(first)
	wantReason(t, err, codes.Aborted, stintv1.ErrorReason_ERROR_REASON_SESSION_REPLACED)
}

// TestShuttingDown: at SIGTERM sessions hear that the coordinator leaves, waiting calls are answered, streams end with
// SHUTTING_DOWN, and the exit code is 0.
func TestShuttingDown(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	l.submit(t, task("one"))
	stream := openSession(t, l, "me", "i1")
	watch, err := l.tasks.WatchEvents(bounded(t), &stintv1.WatchEventsRequest{AfterSequence: new(int64)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	waits := fillWaits(t, l, "one")
	if code := c.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	leaving, err := receiveToEnd(stream)
	wantReason(t, err, codes.Unavailable, stintv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN)
	if !leaving {
		t.Error("the session did not hear going_away")
	}
	for err = nil; err == nil; {
		_, err = watch.Recv()
	}
	wantReason(t, err, codes.Unavailable, stintv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN)
	for range mostWaits {
		if err := <-waits; err != nil {
			t.Errorf("a call that waited: %v", err)
		}
	}
}

// receiveToEnd reads a session until it ends, and says whether it heard that the coordinator leaves.
func receiveToEnd(s session) (goingAway bool, err error) {
	for {
		m, err := s.Recv()
		if err != nil {
			return goingAway, err
		}
		goingAway = goingAway || m.GetGoingAway()
	}
}
