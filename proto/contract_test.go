// Package proto_test holds the contract to its word: every rule written in the .proto files compiles, and
// the rules refuse what the comments say is refused, at the path that is told, and nothing else.
package proto_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// refusal is a message that breaks one rule, and the path at which the refusal must point.
type refusal struct {
	name string
	msg  proto.Message
	path string
}

// contractMessages gives an empty message of every type of the contract.
func contractMessages() []proto.Message {
	var all []proto.Message
	var walk func(protoreflect.MessageDescriptors)
	walk = func(mds protoreflect.MessageDescriptors) {
		for i := range mds.Len() {
			md := mds.Get(i)
			if md.IsMapEntry() {
				continue
			}
			mt, err := protoregistry.GlobalTypes.FindMessageByName(md.FullName())
			if err != nil {
				panic(err)
			}
			all = append(all, mt.New().Interface())
			walk(md.Messages())
		}
	}
	protoregistry.GlobalFiles.RangeFilesByPackage("stint.v1", func(fd protoreflect.FileDescriptor) bool {
		walk(fd.Messages())
		return true
	})
	return all
}

func newValidator(t *testing.T) protovalidate.Validator {
	t.Helper()
	v, err := protovalidate.New(protovalidate.WithMessages(contractMessages()...))
	if err != nil {
		t.Fatalf("proto: validator: %v", err)
	}
	return v
}

// refusedAt gives the paths at which a message is refused; none if it is taken.
func refusedAt(t *testing.T, v protovalidate.Validator, msg proto.Message) []string {
	t.Helper()
	err := v.Validate(msg)
	if err == nil {
		return nil
	}
	var invalid *protovalidate.ValidationError
	if !errors.As(err, &invalid) {
		t.Fatalf("proto: the rules of %s do not compile: %v", msg.ProtoReflect().Descriptor().FullName(), err)
	}
	var paths []string
	for _, violation := range invalid.Violations {
		paths = append(paths, protovalidate.FieldPathString(violation.Proto.GetField()))
	}
	return paths
}

func checkRefusals(t *testing.T, tests []refusal) {
	t.Helper()
	v := newValidator(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			paths := refusedAt(t, v, tt.msg)
			if len(paths) != 1 || paths[0] != tt.path {
				t.Errorf("refused at %q, want %q", paths, tt.path)
			}
		})
	}
}

func checkTaken(t *testing.T, tests map[string]proto.Message) {
	t.Helper()
	v := newValidator(t)
	for name, msg := range tests {
		t.Run(name, func(t *testing.T) {
			if paths := refusedAt(t, v, msg); len(paths) > 0 {
				t.Errorf("refused at %q, want taken", paths)
			}
		})
	}
}

func submit(change func(*stintv1.Task)) *stintv1.SubmitTaskRequest {
	task := &stintv1.Task{Id: "t", Instruction: "count"}
	change(task)
	return &stintv1.SubmitTaskRequest{Task: task}
}

func seconds(n int64) *durationpb.Duration { return durationpb.New(time.Duration(n) * time.Second) }

func ids(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("id-%d", i)
	}
	return all
}

func labels(n int) map[string]string {
	all := map[string]string{}
	for i := range n {
		all[fmt.Sprintf("k%d", i)] = "v"
	}
	return all
}

func repeat[T any](n int, item T) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = item
	}
	return all
}

// TestEveryRuleCompiles: an annotation that does not compile would fail every call at run time.
func TestEveryRuleCompiles(t *testing.T) {
	v := newValidator(t)
	all := contractMessages()
	if len(all) < 60 {
		t.Fatalf("found %d messages of stint.v1, want all of them", len(all))
	}
	for _, msg := range all {
		refusedAt(t, v, msg)
	}
}

// TestSubmitRefused: each rule of a task refuses what lies just outside its bounds.
func TestSubmitRefused(t *testing.T) {
	type task = stintv1.Task
	checkRefusals(t, []refusal{
		{"no task", &stintv1.SubmitTaskRequest{}, "task"},
		{"id shape", submit(func(k *task) { k.Id = "-a" }), "task.id"},
		{"id with newline", submit(func(k *task) { k.Id = "a\n" }), "task.id"},
		{"id of 129", submit(func(k *task) { k.Id = strings.Repeat("a", 129) }), "task.id"},
		{"queue shape", submit(func(k *task) { k.Queue = "a b" }), "task.queue"},
		{"101 dependencies", submit(func(k *task) { k.DependsOn = ids(101) }), "task.depends_on"},
		{"dependency twice", submit(func(k *task) { k.DependsOn = []string{"a", "a"} }), "task.depends_on"},
		{"empty dependency", submit(func(k *task) { k.DependsOn = []string{"a", ""} }), "task.depends_on[1]"},
		{"policy unknown", submit(func(k *task) { k.OnDependencyFailure = 9 }), "task.on_dependency_failure"},
		{"intensity unknown", submit(func(k *task) { k.Intensity = 9 }), "task.intensity"},
		{"priority low", submit(func(k *task) { k.Priority = -101 }), "task.priority"},
		{"priority high", submit(func(k *task) { k.Priority = 101 }), "task.priority"},
		{"attempt too short", submit(func(k *task) { k.AttemptTimeout = durationpb.New(time.Second - 1) }), "task.attempt_timeout"},
		{"attempt too long", submit(func(k *task) { k.AttemptTimeout = seconds(86401) }), "task.attempt_timeout"},
		{"33 labels", submit(func(k *task) { k.Labels = labels(33) }), "task.labels"},
		{"label key", submit(func(k *task) { k.Labels = map[string]string{"": "v"} }), `task.labels[""]`},
		{"label value", submit(func(k *task) { k.Labels = map[string]string{"k": "a b"} }), `task.labels["k"]`},
		{"17 requires", submit(func(k *task) { k.Requires = repeat(17, "gpu=true") }), "task.requires"},
		{"requires nothing", submit(func(k *task) { k.Requires = []string{""} }), "task.requires[0]"},
		{"requires too long", submit(func(k *task) { k.Requires = []string{strings.Repeat("a", 16385)} }), "task.requires[0]"},
		{"fairness key", submit(func(k *task) { k.FairnessKey = "a b" }), "task.fairness_key"},
		{"fairness key too long", submit(func(k *task) { k.FairnessKey = strings.Repeat("a", 129) }), "task.fairness_key"},
		{"concurrency key", submit(func(k *task) { k.ConcurrencyKey = "a,b" }), "task.concurrency_key"},
		{"negative budget", submit(func(k *task) { k.Budget = &stintv1.Budget{MinUsd: proto.Float64(-0.01)} }), "task.budget.min_usd"},
		{"budget too high", submit(func(k *task) { k.Budget = &stintv1.Budget{MaxUsd: proto.Float64(1000000.5)} }), "task.budget.max_usd"},
		{"budget not finite", submit(func(k *task) { k.Budget = &stintv1.Budget{MaxUsd: proto.Float64(math.Inf(1))} }), "task.budget.max_usd"},
		{"budget not a number", submit(func(k *task) { k.Budget = &stintv1.Budget{MinUsd: proto.Float64(math.NaN())} }), "task.budget.min_usd"},
		{"budget turned round", submit(func(k *task) {
			k.Budget = &stintv1.Budget{MinUsd: proto.Float64(2), MaxUsd: proto.Float64(1)}
		}), "task.budget"},
		{"101 attempts", submit(func(k *task) { k.Retry = &stintv1.RetryPolicy{MaxAttempts: 101} }), "task.retry.max_attempts"},
		{"negative attempts", submit(func(k *task) { k.Retry = &stintv1.RetryPolicy{MaxAttempts: -1} }), "task.retry.max_attempts"},
		{"initial back-off", submit(func(k *task) { k.Retry = &stintv1.RetryPolicy{InitialBackoff: seconds(3601)} }), "task.retry.initial_backoff"},
		{"max back-off", submit(func(k *task) { k.Retry = &stintv1.RetryPolicy{MaxBackoff: seconds(86401)} }), "task.retry.max_backoff"},
		{"unknown outcome unknown", submit(func(k *task) { k.Retry = &stintv1.RetryPolicy{UnknownOutcome: 9} }), "task.retry.unknown_outcome"},
		{"no tasks", &stintv1.SubmitTasksRequest{}, "tasks"},
		{"1001 tasks", &stintv1.SubmitTasksRequest{Tasks: repeat(1001, &task{})}, "tasks"},
		{"path into a batch", &stintv1.SubmitTasksRequest{Tasks: []*task{{}, {DependsOn: []string{"?"}}}}, "tasks[1].depends_on[0]"},
	})
}

// TestSubmitTaken: bounds themselves are inside, and fields that are not judged here never refuse.
func TestSubmitTaken(t *testing.T) {
	type task = stintv1.Task
	deep, _ := structpb.NewValue(map[string]any{"a": math.NaN()})
	checkTaken(t, map[string]proto.Message{
		"nothing set":  &stintv1.SubmitTaskRequest{Task: &task{}},
		"id of 128":    submit(func(k *task) { k.Id = strings.Repeat("a", 128) }),
		"lower bounds": submit(func(k *task) { k.Priority, k.AttemptTimeout = -100, seconds(1) }),
		"upper bounds": submit(func(k *task) { k.Priority, k.AttemptTimeout = 100, seconds(86400) }),
		"counts": submit(func(k *task) {
			k.DependsOn, k.Labels, k.Requires = ids(100), labels(32), repeat(16, "gpu=true")
		}),
		"empty label value": submit(func(k *task) { k.Labels, k.Requires = map[string]string{"k": ""}, []string{"k="} }),
		"keys": submit(func(k *task) {
			k.FairnessKey, k.ConcurrencyKey = strings.Repeat("a", 128), "/eu/customer:7@x"
		}),
		"expressions are the server's": submit(func(k *task) { k.Requires = []string{"gpu", "!spot", "region in (eu, us)", "in in in"} }),
		"equal budget": submit(func(k *task) {
			k.Budget = &stintv1.Budget{MinUsd: proto.Float64(1000000), MaxUsd: proto.Float64(1000000)}
		}),
		"one bound of a budget": submit(func(k *task) { k.Budget = &stintv1.Budget{MaxUsd: proto.Float64(0)} }),
		"back-offs of nothing": submit(func(k *task) {
			k.Retry = &stintv1.RetryPolicy{MaxAttempts: 100, InitialBackoff: seconds(0), MaxBackoff: seconds(0)}
		}),
		"status on input": submit(func(k *task) {
			k.Status = &stintv1.TaskStatus{State: 99, Failure: &stintv1.Failure{HttpStatus: -1}}
		}),
		"parameters are the server's": submit(func(k *task) { k.Parameters = deep.GetStructValue() }),
		"1000 tasks":                  &stintv1.SubmitTasksRequest{Tasks: repeat(1000, &task{})},
	})
}

// TestCallsRefused: the other calls of submitters and operators.
func TestCallsRefused(t *testing.T) {
	checkRefusals(t, []refusal{
		{"no task id", &stintv1.GetTaskRequest{}, "task_id"},
		{"page size", &stintv1.ListTasksRequest{PageSize: 1001}, "page_size"},
		{"negative page size", &stintv1.ListAgentsRequest{PageSize: -1}, "page_size"},
		{"view", &stintv1.ListTasksRequest{View: 9}, "view"},
		{"state of a filter", &stintv1.ListTasksRequest{Filter: &stintv1.TaskFilter{States: []stintv1.TaskState{0}}}, "filter.states[0]"},
		{"prefix of a filter", &stintv1.ListTasksRequest{Filter: &stintv1.TaskFilter{IdPrefix: " "}}, "filter.id_prefix"},
		{"wait too long", &stintv1.WaitTaskRequest{TaskId: "a", Timeout: seconds(51)}, "timeout"},
		{"negative wait", &stintv1.WaitTaskRequest{TaskId: "a", Timeout: seconds(-1)}, "timeout"},
		{"negative run", &stintv1.CancelTaskRequest{TaskId: "a", Run: -1}, "run"},
		{"reason of 257 bytes", &stintv1.CancelTaskRequest{TaskId: "a", Reason: strings.Repeat("é", 128) + "a"}, "reason"},
		{"cancel without filter", &stintv1.CancelTasksRequest{}, "filter"},
		{"retry without filter", &stintv1.RetryTasksRequest{}, "filter"},
		{"negative sequence", &stintv1.WatchEventsRequest{AfterSequence: proto.Int64(-1)}, "after_sequence"},
		{"kind", &stintv1.WatchEventsRequest{Kinds: []stintv1.EventKind{99}}, "kinds[0]"},
		{"no queue", &stintv1.PauseQueueRequest{}, "queue"},
		{"negative drain", &stintv1.DrainAgentRequest{AgentId: "a", Timeout: seconds(-1)}, "timeout"},
	})
}

// TestQueueUpdatesRefused: the settings of a queue.
func TestQueueUpdatesRefused(t *testing.T) {
	type q = stintv1.Queue
	update := func(change func(*q)) proto.Message {
		queue := &q{Name: "q"}
		change(queue)
		return &stintv1.UpdateQueueRequest{Queue: queue}
	}
	rate := func(perSecond float64, burst int32) proto.Message {
		return update(func(k *q) { k.Rate = &stintv1.QueueRate{PerSecond: perSecond, Burst: burst} })
	}
	limit := func(usd float64) proto.Message {
		return update(func(k *q) { k.Budget = &stintv1.QueueBudget{LimitUsd: &usd} })
	}
	checkRefusals(t, []refusal{
		{"no queue", &stintv1.UpdateQueueRequest{}, "queue"},
		{"no name", &stintv1.UpdateQueueRequest{Queue: &q{}}, "queue.name"},
		{"negative running", update(func(k *q) { k.MaxRunning = -1 }), "queue.max_running"},
		{"negative rate", rate(-1, 0), "queue.rate.per_second"},
		{"rate not a number", rate(math.NaN(), 0), "queue.rate.per_second"},
		{"rate too slow", rate(0.00009, 0), "queue.rate"},
		{"rate too fast", rate(1000001, 0), "queue.rate.per_second"},
		{"negative burst", rate(1, -1), "queue.rate.burst"},
		{"burst too large", rate(1, 100001), "queue.rate.burst"},
		{"weight", update(func(k *q) { k.Weight = 1001 }), "queue.weight"},
		{"attempts", update(func(k *q) { k.Retry = &stintv1.RetryPolicy{MaxAttempts: 101} }), "queue.retry.max_attempts"},
		{"negative budget", limit(-1), "queue.budget.limit_usd"},
		{"budget not finite", limit(math.Inf(1)), "queue.budget.limit_usd"},
		{"period", update(func(k *q) { k.Budget = &stintv1.QueueBudget{Period: 9} }), "queue.budget.period"},
		{"per key", update(func(k *q) { k.MaxRunningPerKey = -1 }), "queue.max_running_per_key"},
		{"etag", update(func(k *q) { k.Etag = strings.Repeat("a", 65) }), "queue.etag"},
		{"group", &stintv1.GetSpendRequest{GroupBy: 9}, "group_by"},
		{"page size", &stintv1.GetSpendRequest{PageSize: 1001}, "page_size"},
		{"spend of a queue", &stintv1.GetSpendRequest{Queue: "?"}, "queue"},
	})
	checkTaken(t, map[string]proto.Message{
		"nothing but a name": update(func(*q) {}),
		"a rate of nothing":  rate(0, 0),
		"slowest rate":       rate(0.0001, 100000),
		"a budget of 0":      limit(0),
		"status on input": update(func(k *q) {
			k.Status = &stintv1.QueueStatus{SpentUsd: math.NaN(), Running: -1}
		}),
		"all spend": &stintv1.GetSpendRequest{},
	})
}

// TestLeaseCallsRefused: the unary calls of agents.
func TestLeaseCallsRefused(t *testing.T) {
	type acquire = stintv1.AcquireLeasesRequest
	report := func(r *stintv1.Report) proto.Message {
		return &stintv1.ReportLeasesRequest{Reports: []*stintv1.Report{r}}
	}
	both := &stintv1.Report{LeaseId: "l", Result: &stintv1.Result{}, Failure: &stintv1.Failure{}}
	checkRefusals(t, []refusal{
		{"no agent", &acquire{}, "agent_id"},
		{"request id", &acquire{AgentId: "a", RequestId: "?"}, "request_id"},
		{"101 leases", &acquire{AgentId: "a", MaxLeases: 101}, "max_leases"},
		{"lease too short", &acquire{AgentId: "a", LeaseLength: seconds(4)}, "lease_length"},
		{"lease too long", &acquire{AgentId: "a", LeaseLength: seconds(3601)}, "lease_length"},
		{"wait", &acquire{AgentId: "a", Wait: seconds(51)}, "wait"},
		{"queue", &acquire{AgentId: "a", Queues: []string{""}}, "queues[0]"},
		{"label", &acquire{AgentId: "a", Labels: map[string]string{"k": "?"}}, `labels["k"]`},
		{"no extensions", &stintv1.ExtendLeasesRequest{}, "extensions"},
		{"1001 extensions", &stintv1.ExtendLeasesRequest{Extensions: repeat(1001, &stintv1.LeaseProgress{LeaseId: "l"})}, "extensions"},
		{"extension of nothing", &stintv1.ExtendLeasesRequest{Extensions: []*stintv1.LeaseProgress{{}}}, "extensions[0].lease_id"},
		{"progress", &stintv1.ExtendLeasesRequest{Extensions: []*stintv1.LeaseProgress{{LeaseId: "l", Progress: proto.Float64(1.1)}}}, "extensions[0].progress"},
		{"progress not a number", &stintv1.ExtendLeasesRequest{Extensions: []*stintv1.LeaseProgress{{LeaseId: "l", Progress: proto.Float64(math.NaN())}}}, "extensions[0].progress"},
		{"no reports", &stintv1.ReportLeasesRequest{}, "reports"},
		{"101 reports", &stintv1.ReportLeasesRequest{Reports: repeat(101, &stintv1.Report{LeaseId: "l", Result: &stintv1.Result{}})}, "reports"},
		{"report of nothing", report(&stintv1.Report{Result: &stintv1.Result{}}), "reports[0].lease_id"},
		{"neither result nor failure", report(&stintv1.Report{LeaseId: "l"}), "reports[0]"},
		{"result and failure", report(both), "reports[0]"},
		{"cost of a failure", report(&stintv1.Report{LeaseId: "l", Failure: &stintv1.Failure{BudgetUsedUsd: proto.Float64(-1)}}), "reports[0].failure.budget_used_usd"},
		{"no releases", &stintv1.ReleaseLeasesRequest{}, "releases"},
		{"release of nothing", &stintv1.ReleaseLeasesRequest{Releases: []*stintv1.Release{{}}}, "releases[0].lease_id"},
	})
}

// TestReportsTaken: what is cut, replaced or judged by the server is not refused by a rule.
func TestReportsTaken(t *testing.T) {
	failure := func(f *stintv1.Failure) proto.Message { return &stintv1.Report{LeaseId: "l", Failure: f} }
	checkTaken(t, map[string]proto.Message{
		"empty result":         &stintv1.Report{LeaseId: "l", Result: &stintv1.Result{}},
		"cost not a number":    &stintv1.Report{LeaseId: "l", Result: &stintv1.Result{BudgetUsedUsd: proto.Float64(math.NaN())}},
		"unknown class":        failure(&stintv1.Failure{FailureClass: 99}),
		"coordinator's class":  failure(&stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_DEADLINE}),
		"long failure message": failure(&stintv1.Failure{Message: strings.Repeat("a", 10_000)}),
		"long progress":        &stintv1.LeaseProgress{LeaseId: "l", Progress: proto.Float64(1), Message: strings.Repeat("a", 10_000)},
		"malformed lease id":   &stintv1.ReleaseLeasesRequest{Releases: []*stintv1.Release{{LeaseId: "no such lease"}}},
		"default lease":        &stintv1.AcquireLeasesRequest{AgentId: "a"},
	})
}
