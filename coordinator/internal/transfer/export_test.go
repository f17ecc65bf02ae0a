package transfer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// everyState gives tasks of every kind of content, as a coordinator would show them in full.
func everyState(t *testing.T) []*stintv1.Task {
	t.Helper()
	parameters, err := structpb.NewStruct(map[string]any{
		"model": "large-2", "model_tier": 3.0, "type": "", "parallel_safe": true, "prompt": "not the prompt",
		"list": []any{1.5, nil, map[string]any{"a\u2028<b>": "\x01\\\"ü"}}, "id": "inner",
	})
	if err != nil {
		t.Fatal(err)
	}
	usage, err := structpb.NewStruct(map[string]any{"tokens": 12.0})
	if err != nil {
		t.Fatal(err)
	}
	day := timestamppb.New(time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))
	failed := func(c stintv1.FailureClass, text string) *stintv1.TaskStatus {
		return &stintv1.TaskStatus{Failure: &stintv1.Failure{FailureClass: c, Message: text}}
	}
	tasks := []*stintv1.Task{
		{Id: "full", Queue: "night", Instruction: "All fields", Parameters: parameters, Budget: &stintv1.Budget{MinUsd: proto.Float64(0.01), MaxUsd: proto.Float64(0.123457)},
			Intensity: stintv1.Intensity_INTENSITY_HIGH, Priority: -7, NotBefore: day, AttemptTimeout: durationpb.New(90e9),
			Requires: []string{"gpu=true", "region in (eu,us)", "!spot"}, FairnessKey: "team/a", ConcurrencyKey: "customer-7",
			Labels: map[string]string{"team": "a"}, OnDependencyFailure: stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_RUN,
			Retry: &stintv1.RetryPolicy{MaxAttempts: 1, UnknownOutcome: stintv1.UnknownOutcome_UNKNOWN_OUTCOME_RETRY}},
		{Id: "empty", Parameters: &structpb.Struct{}, ExpireTime: day},
		{Id: "done", Instruction: "Was done", ExpireTime: timestamppb.New(stamp(noon).AsTime().AddDate(0, 0, -1)), Status: &stintv1.TaskStatus{
			Result: &stintv1.Result{Text: "a\nb", Model: "m", Usage: usage, BudgetUsedUsd: proto.Float64(0.25)}}},
		{Id: "child", Instruction: "Waits for {{ results.done.text }}", DependsOn: []string{"full", "done"}},
		{Id: "failed", Instruction: "x", Status: failed(stintv1.FailureClass_FAILURE_CLASS_SERVER_ERROR, "500: oh; no")},
		{Id: "cancelled", Instruction: "x", DependsOn: []string{"failed"}, Status: failed(stintv1.FailureClass_FAILURE_CLASS_DEPENDENCY_FAILED, "failed ended")},
		{Id: "expired", Instruction: "x", Status: failed(stintv1.FailureClass_FAILURE_CLASS_DEADLINE, "")},
		{Id: "quarantined", Instruction: "x", Status: failed(stintv1.FailureClass_FAILURE_CLASS_LEASE_EXPIRED, "agents fell silent")},
		{Id: "unsaid", Instruction: "x", Status: failed(stintv1.FailureClass_FAILURE_CLASS_TASK_FAILED, noError)},
		{Id: "tuned", Queue: "night", Instruction: "x", Retry: &stintv1.RetryPolicy{MaxAttempts: 5}},
		{Id: "retried", Instruction: "x", NotBefore: stamp(noon - 2e6), ExpireTime: day, Status: failed(stintv1.FailureClass_FAILURE_CLASS_TASK_FAILED, "no")},
	}
	return tasks
}

var statesOf = map[string]queue.State{
	"done": queue.Completed, "failed": queue.Failed, "cancelled": queue.Cancelled, "expired": queue.Expired, "quarantined": queue.Quarantined,
	"unsaid": queue.Failed, "retried": queue.Failed,
}

// filled brings such tasks into a ledger.
func filled(t *testing.T) ledger.Ledger {
	t.Helper()
	p := newReading().plan(admission(t), noon)
	for _, task := range everyState(t) {
		d := &definition{task: task}
		if s := task.Status; s != nil {
			d.own = &record{state: statesOf[task.Id], agent: "agent-1", start: noon - 2e6, finish: noon - 1e6, result: s.Result, failure: s.Failure}
			task.Status = nil
		}
		p.add(d, admission(t))
	}
	p.tasks[p.byID["tuned"]].Spec.Digest = withoutRetry(t, "tuned")
	l := memledger.New()
	write(t, p, l)
	retry(t, l, "retried", queue.Instant(time.Date(2098, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()))
	return l
}

// withoutRetry is the digest of a task whose retry policy was left to its queue.
func withoutRetry(t *testing.T, id string) queue.Digest {
	t.Helper()
	for _, task := range everyState(t) {
		if task.Id == id {
			task.Retry = nil
			s, err := admission(t).Spec(task)
			if err != nil {
				t.Fatal(err)
			}
			return s.Digest
		}
	}
	t.Fatalf("no task %s", id)
	return queue.Digest{}
}

// retry starts another run of a task, with another expire_time.
func retry(t *testing.T, l ledger.Ledger, id string, expire queue.Instant) {
	t.Helper()
	served(t, l, func(e *engine.Engine) {
		if n, err := e.Retry(t.Context(), []queue.Choice{{ID: id}}, expire); n != 1 || err != nil {
			t.Fatal(n, err)
		}
	})
}

// served runs f while an engine serves the ledger.
func served(t *testing.T, l ledger.Ledger, f func(e *engine.Engine)) {
	t.Helper()
	e, err := engine.New(engine.Config{LeaseTTL: writerTTL, GrantTimeout: writerGrant, MaxLive: writerLive, Logger: quiet}, l)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	<-e.Active()
	f(e)
	stop()
	if err := errors.Join(<-ended, l.Close()); err != nil {
		t.Fatal(err)
	}
}

func export(t *testing.T, l ledger.Ledger) string {
	t.Helper()
	var b bytes.Buffer
	led(t, l, func() {
		n, err := ExportLedger(t.Context(), l, &b)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Count(b.String(), "\n"); n != lines {
			t.Errorf("%d tasks told, %d written", n, lines)
		}
	})
	return b.String()
}

func reimport(t *testing.T, text string) *Plan {
	t.Helper()
	r := newReading()
	r.source("export.jsonl", strings.NewReader(text))
	return r.plan(admission(t), noon)
}

// kept is what must survive of each task, in the order of submits.
func kept(t *testing.T, l ledger.Ledger) []string {
	t.Helper()
	var out []string
	led(t, l, func() {
		page, err := l.List(t.Context(), ledger.Query{Limit: 1000, Examine: 1000, Payload: true, Result: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range page.Tasks {
			s := fmt.Sprintf("%s %x %x", x.Spec.ID, ofThisRun(t, x), x.Spec.Digest)
			if x.Live != nil {
				s += fmt.Sprint(x.Live.Status.State)
			} else {
				d := x.Terminal
				s += fmt.Sprintf("%v %v %x %v-%v %s", d.Status.State, d.Failure, d.Result, d.Status.Start, d.Status.Finish, d.Final.Agent)
			}
			out = append(out, s)
		}
	})
	slices.Reverse(out)
	return out
}

// ofThisRun is the content of a task with the times of its run, since runs of imported ones begin at 1.
func ofThisRun(t *testing.T, x *ledger.Task) []byte {
	t.Helper()
	if x.Live == nil || x.Live.Status.Run == 1 {
		return x.Spec.Payload
	}
	task := &stintv1.Task{}
	if err := proto.Unmarshal(x.Spec.Payload, task); err != nil {
		t.Fatal(err)
	}
	task.NotBefore, task.ExpireTime = stamp(x.Live.Status.NotBefore), stamp(x.Live.Status.ExpireTime)
	b, err := (proto.MarshalOptions{Deterministic: true}).Marshal(task)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The digest too is the same, so that a submit that made a task still repeats (C3).
func TestImportOfAnExportGivesTheSameTasks(t *testing.T) {
	from := filled(t)
	text := export(t, from)
	p := reimport(t, text)
	to := memledger.New()
	write(t, p, to)
	got, want := kept(t, to), kept(t, from)
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s\nof\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"), text)
	}
	if len(p.reading.unknown) > 0 || len(p.reading.unused) > 0 {
		t.Errorf("keys without a meaning: %v %v", p.reading.unknown, p.reading.unused)
	}

	again := reimport(t, text)
	write(t, again, from)
	if o := again.Outcome(); o != "0 tasks, 11 already there" {
		t.Errorf("into the ledger that it came from: %s", o)
	}
}

// A digest is optional, since older exports have none, and never trusted to be more than one.
func TestExportedDigestIsCheckedForItsForm(t *testing.T) {
	const fault = "digest is "
	for value, want := range map[string]string{
		`null`: "", `"00112233445566778899aabbccddeeff"`: "", `"00112233445566778899AABBCCDDEEFF"`: "",
		`""`: fault, `"00"`: fault, `"00112233445566778899aabbccddeeff00"`: fault, `"0x112233445566778899aabbccddeeff"`: fault, `7`: fault,
	} {
		err := reimport(t, `{"id": "a", "prompt": "x", "stint": {}, "digest": `+value+`}`).Err()
		if got := fmt.Sprint(err); (err != nil) != (want != "") || !strings.Contains(got, want) {
			t.Errorf("%s: %v, want %q", value, err, want)
		}
	}
	plain := reimport(t, `{"id": "a", "prompt": "x", "digest": "7"}`)
	if err := plain.Err(); err != nil || plain.reading.unknown["digest"] != 1 {
		t.Errorf("in a line that export did not write: %v, unknown %v; want a parameter", err, plain.reading.unknown)
	}
}

// A program that knew the worker's files finds its keys in an export.
func TestExportHasTheKeysOfQueueAndLog(t *testing.T) {
	text := export(t, filled(t))
	want := map[string]string{
		"done": `{"id":"done","prompt":"Was done","depends_on":[],"min_budget":0.05,"max_budget":0.1,"intensity":"medium","priority":0,` +
			`"task_id":"done","status":"completed","worker_id":"agent-1","timestamp":"2026-05-01T11:59:59.000000Z","started_at":"2026-05-01T11:59:58.000000Z",` +
			`"completed_at":"2026-05-01T11:59:59.000000Z","result_summary":"a\nb","state":"COMPLETED","run":1,"attempts":1`,
		"failed": `{"id":"failed","prompt":"x","depends_on":[],"min_budget":0.05,"max_budget":0.1,"intensity":"medium","priority":0,` +
			`"task_id":"failed","status":"failed","worker_id":"agent-1","timestamp":"2026-05-01T11:59:59.000000Z","started_at":"2026-05-01T11:59:58.000000Z",` +
			`"completed_at":"2026-05-01T11:59:59.000000Z","errors":["500: oh; no"],"state":"FAILED","run":1,"attempts":1`,
	}
	for l := range strings.Lines(text) {
		var head struct{ ID string }
		if err := json.Unmarshal([]byte(l), &head); err != nil {
			t.Fatal(err)
		}
		if w := want[head.ID]; !strings.HasPrefix(l, w) {
			t.Errorf("got\n%s\nwant\n%s", l, w)
		}
	}
}

// A task outlives the ones that it depended on; its line can still be imported.
func TestExportedTerminalTaskMayLackItsDependency(t *testing.T) {
	var lines []string
	for l := range strings.Lines(export(t, filled(t))) {
		if strings.Contains(l, `{"id":"cancelled"`) {
			lines = append(lines, l)
		}
	}
	p := reimport(t, strings.Join(lines, ""))
	write(t, p, memledger.New())
	if n := len(p.reading.warnings.list); n != 1 {
		t.Errorf("%d warnings, want 1: %v", n, p.reading.warnings.list)
	}
}

// orphan is the line of a live task whose parent has none.
func orphan(policy string) string {
	return `{"id": "child", "prompt": "After {{ results.gone.text }}", "depends_on": ["gone"], "status": "pending", "state": "READY",` +
		` "stint": {"onDependencyFailure": "ON_DEPENDENCY_FAILURE_` + policy + `"}}`
}

// A task that runs whatever becomes of its parent outlives one that failed. It waits for nothing more,
// and its lease has the parent as one that is forgotten; a retry is refused, as it was before (Q2).
func TestExportedTaskThatRunsAnywayMayLackItsDependency(t *testing.T) {
	l := memledger.New()
	p := reimport(t, orphan("RUN"))
	write(t, p, l)
	if n := len(p.reading.warnings.list); n != 1 {
		t.Errorf("%d warnings, want 1: %v", n, p.reading.warnings.list)
	}
	served(t, l, func(e *engine.Engine) {
		leases, err := e.Acquire(t.Context(), engine.Acquire{Agent: "me", Max: 1, Length: time.Minute})
		if err != nil || len(leases) != 1 || len(leases[0].Parents) != 1 || leases[0].Parents[0].ID != "gone" || leases[0].Parents[0].State != 0 {
			t.Fatalf("leases %+v, %v; want one, whose parent has no state", leases, err)
		}
		failed := engine.Report{LeaseID: leases[0].ID, Failure: queue.Failure{Class: queue.ClassTaskFailed}}
		if _, err := e.Report(t.Context(), []engine.Report{failed}); err != nil {
			t.Fatal(err)
		}
		var refused *queue.Error
		if _, err := e.Retry(t.Context(), []queue.Choice{{ID: "child"}}, 0); !errors.As(err, &refused) || refused.Reason != queue.DependencyNotFound {
			t.Errorf("retry: %v", err)
		}
	})
}

// While a task with another policy lives, nothing that it depends on is forgotten.
func TestExportedTaskThatWaitsMustHaveItsDependency(t *testing.T) {
	for _, policy := range []string{"CANCEL", "WAIT"} {
		p := reimport(t, orphan(policy))
		if err := p.Check(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), "found nowhere") {
			t.Errorf("%s: %v", policy, err)
		}
	}
}

// A deadline that passes between export and import has its effect.
func TestExportedTaskPastItsExpireTimeIsExpired(t *testing.T) {
	text := export(t, filled(t))
	r := newReading()
	r.source("export.jsonl", strings.NewReader(text))
	p := r.plan(admission(t), queue.Instant(time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()))
	write(t, p, memledger.New())
	if got := p.tasks[p.byID["empty"]].State; got != queue.Expired {
		t.Errorf("state %v, want EXPIRED", got)
	}
}

// pages is a coordinator whose lists have a task a page, and empty pages between them.
type pages struct {
	stintv1.TaskServiceClient
	tasks []*stintv1.Task
}

func (c *pages) ListTasks(_ context.Context, r *stintv1.ListTasksRequest, _ ...grpc.CallOption) (*stintv1.ListTasksResponse, error) {
	n := len(r.GetPageToken())
	if r.GetView() != stintv1.TaskView_TASK_VIEW_FULL {
		return nil, fmt.Errorf("view %v", r.GetView())
	}
	out := &stintv1.ListTasksResponse{NextPageToken: strings.Repeat("x", n+1)}
	if n%2 == 1 {
		out.Tasks = c.tasks[n/2 : n/2+1]
	}
	if n/2 == len(c.tasks)-1 && n%2 == 1 {
		out.NextPageToken = ""
	}
	return out, nil
}

func TestExportThroughACoordinatorFollowsAllPages(t *testing.T) {
	c := &pages{}
	for _, id := range []string{"c", "b", "a"} {
		c.tasks = append(c.tasks, &stintv1.Task{Id: id, Instruction: "x", Status: &stintv1.TaskStatus{
			State: stintv1.TaskState_TASK_STATE_RUNNING, Run: 1, CreateTime: stamp(noon),
			Attempts: []*stintv1.Attempt{{Attempt: 1, AgentId: "first"}, {Attempt: 2, AgentId: "second"}},
		}})
	}
	var b bytes.Buffer
	if n, err := exportTasks(t.Context(), c, &b); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	if !strings.Contains(b.String(), `"status":"in_progress","worker_id":"second"`) || strings.Count(b.String(), `"attempts":2`) != 3 {
		t.Errorf("got %s", b.String())
	}
	p := reimport(t, b.String())
	write(t, p, memledger.New())
	if o := p.Outcome(); o != "3 tasks (3 ready), 0 already there" {
		t.Errorf("outcome %s", o)
	}
	if p.tasks[0].Spec.ID != "a" {
		t.Errorf("first is %s, want the oldest", p.tasks[0].Spec.ID)
	}
}
