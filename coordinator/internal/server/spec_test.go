package server

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func specOf(t *testing.T, task *stintv1.Task) queue.Spec {
	t.Helper()
	specs, _, err := newIDs(func() time.Time { return noon }).specs([]*stintv1.Task{task}, func(int) string { return "task" })
	if err != nil {
		t.Fatal(err)
	}
	return specs[0]
}

func stored(t *testing.T, s queue.Spec) *stintv1.Task {
	t.Helper()
	out := &stintv1.Task{}
	if err := proto.Unmarshal(s.Payload, out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Submit: the defaults are filled in, in what the core gets and in what reads show.
func TestDefaults(t *testing.T) {
	s := specOf(t, &stintv1.Task{Id: "a"})
	want := queue.Spec{
		ID: "a", Digest: s.Digest, Queue: "default", MaxCost: 100_000, OnFailure: queue.PolicyCancel, AttemptTimeout: 2 * time.Minute,
		Retry:   queue.Retry{MaxAttempts: 3, InitialBackoff: time.Second, MaxBackoff: time.Minute},
		Payload: s.Payload,
	}
	if fmt.Sprint(s) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", s, want)
	}
	got := stored(t, s)
	shown := &stintv1.Task{
		Id: "a", Queue: "default", OnDependencyFailure: stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_CANCEL,
		Budget:    &stintv1.Budget{MinUsd: new(0.05), MaxUsd: new(0.10)},
		Intensity: stintv1.Intensity_INTENSITY_MEDIUM, AttemptTimeout: durationpb.New(2 * time.Minute),
		Retry: &stintv1.RetryPolicy{
			MaxAttempts: 3, InitialBackoff: durationpb.New(time.Second), MaxBackoff: durationpb.New(time.Minute),
		},
	}
	if !proto.Equal(got, shown) {
		t.Errorf("stored %v\nwant   %v", got, shown)
	}
}

func TestBudgetDefaults(t *testing.T) {
	for _, c := range []struct{ least, most, wantLeast, wantMost *float64 }{
		{nil, nil, new(0.05), new(0.10)},
		{nil, new(0.02), new(0.02), new(0.02)},
		{nil, new(2.0), new(0.05), new(2.0)},
		{new(0.5), nil, new(0.5), new(0.5)},
		{new(0.01), nil, new(0.01), new(0.10)},
		{new(0.0), new(0.0), new(0.0), new(0.0)},
		{new(0.0000004), new(0.0000006), new(0.0), new(0.000001)},
	} {
		b := stored(t, specOf(t, &stintv1.Task{Id: "a", Budget: &stintv1.Budget{MinUsd: c.least, MaxUsd: c.most}})).GetBudget()
		if b.GetMinUsd() != *c.wantLeast || b.GetMaxUsd() != *c.wantMost {
			t.Errorf("%v becomes %v to %v, want %v to %v", c, b.GetMinUsd(), b.GetMaxUsd(), *c.wantLeast, *c.wantMost)
		}
	}
}

// C3: what is the same once the defaults are filled in is the same content; all else is not.
func TestDigest(t *testing.T) {
	of := func(task *stintv1.Task) queue.Digest { return specOf(t, task).Digest }
	labels := map[string]string{"a": "1", "b": "2", "c": "3", "d": "4"}
	plain := of(&stintv1.Task{Id: "a", Labels: labels})
	for range 20 {
		if plain != of(&stintv1.Task{Id: "a", Labels: labels}) {
			t.Fatal("the same task has two digests")
		}
	}
	same := &stintv1.Task{
		Id: "a", Labels: labels, Queue: "default", Budget: &stintv1.Budget{MaxUsd: new(0.1)},
		Status: &stintv1.TaskStatus{Run: 3}, Retry: &stintv1.RetryPolicy{},
	}
	if of(same) != plain {
		t.Error("defaults and status change the digest")
	}
	for _, other := range []*stintv1.Task{
		{Id: "b", Labels: labels}, {Id: "a"}, {Id: "a", Labels: labels, Instruction: "x"},
		{Id: "a", Labels: labels, Priority: 1}, {Id: "a", Labels: labels, Retry: &stintv1.RetryPolicy{MaxAttempts: 1}},
	} {
		if of(other) == plain {
			t.Errorf("%v has the digest of another task", other)
		}
	}
}

func TestSpecFields(t *testing.T) {
	s := specOf(t, &stintv1.Task{
		Id: "a", Queue: "q", Priority: -5, DependsOn: []string{"p"},
		OnDependencyFailure: stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_WAIT,
		NotBefore:           &timestamppb.Timestamp{Seconds: 10, Nanos: 1_500},
		ExpireTime:          &timestamppb.Timestamp{Seconds: 20},
		Requires:            []string{"z=1", "gpu=true", "z=1"}, Labels: map[string]string{"y": "2", "x": "1"},
		Retry: &stintv1.RetryPolicy{UnknownOutcome: stintv1.UnknownOutcome_UNKNOWN_OUTCOME_FAIL},
	})
	if s.NotBefore != 10_000_001 || s.ExpireTime != 20_000_000 || s.OnFailure != queue.PolicyWait ||
		s.Priority != -5 || s.Retry.Unknown != queue.UnknownFail {
		t.Errorf("got %+v", s)
	}
	want := []queue.Requirement{{Key: "gpu", Op: queue.In, Values: []string{"true"}}, {Key: "z", Op: queue.In, Values: []string{"1"}}}
	if !reflect.DeepEqual(s.Requires, want) {
		t.Errorf("requires %v", s.Requires)
	}
	if want := []queue.Label{{Key: "x", Value: "1"}, {Key: "y", Value: "2"}}; !slices.Equal(s.Labels, want) {
		t.Errorf("labels %v", s.Labels)
	}
	if got := stored(t, s).GetNotBefore().GetNanos(); got != 1_500 {
		t.Errorf("the payload has not_before with %d ns", got)
	}
}

// A time at the epoch is a time, not an unset field.
func TestEpochIsSet(t *testing.T) {
	if got := instant(&timestamppb.Timestamp{}); got == 0 {
		t.Error("the epoch reads as unset")
	}
	if got := instant(nil); got != 0 {
		t.Errorf("unset is %d", got)
	}
}

func TestGeneratedIDs(t *testing.T) {
	g := newIDs(func() time.Time { return noon })
	specs, generated, err := g.specs([]*stintv1.Task{{}, {Id: "x"}, {}}, func(int) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(generated, []bool{true, false, true}) || len(specs[0].ID) != 26 || specs[0].ID >= specs[2].ID {
		t.Errorf("generated %v: %q, %q", generated, specs[0].ID, specs[2].ID)
	}
	if got := stored(t, specs[0]).GetId(); got != specs[0].ID {
		t.Errorf("the payload has id %q", got)
	}
}

// nested is a struct of so many levels.
func nested(levels int) *structpb.Struct {
	s := &structpb.Struct{Fields: map[string]*structpb.Value{"x": structpb.NewNumberValue(1)}}
	for range levels - 1 {
		s = &structpb.Struct{Fields: map[string]*structpb.Value{"k": structpb.NewStructValue(s)}}
	}
	return s
}

func fields(v map[string]*structpb.Value) *structpb.Struct { return &structpb.Struct{Fields: v} }

func TestBadTasks(t *testing.T) {
	list := structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{structpb.NewBoolValue(true), structpb.NewNumberValue(math.Inf(1))}})
	for _, c := range []struct {
		path string
		task *stintv1.Task
	}{
		{`tasks[1].parameters["a"]`, &stintv1.Task{Parameters: fields(map[string]*structpb.Value{"a": structpb.NewNumberValue(math.NaN())})}},
		{`tasks[1].parameters["a"][1]`, &stintv1.Task{Parameters: fields(map[string]*structpb.Value{"a": list})}},
		{`tasks[1].parameters["a"]`, &stintv1.Task{Parameters: fields(map[string]*structpb.Value{"a": {}})}},
		{`tasks[1].parameters` + strings.Repeat(`["k"]`, 30), &stintv1.Task{Parameters: nested(31)}},
		{"tasks[1].not_before", &stintv1.Task{NotBefore: &timestamppb.Timestamp{Seconds: 1 << 60}}},
		{"tasks[1].expire_time", &stintv1.Task{ExpireTime: &timestamppb.Timestamp{Nanos: -1}}},
		{"tasks[1].expire_time", &stintv1.Task{NotBefore: timestamppb.New(noon), ExpireTime: timestamppb.New(noon)}},
		{"tasks[1].attempt_timeout", &stintv1.Task{AttemptTimeout: &durationpb.Duration{Seconds: 5, Nanos: -1}}},
		{"tasks[1].requires[1]", &stintv1.Task{Requires: []string{"gpu=a", "gpu=b"}}},
	} {
		_, _, err := newIDs(time.Now).specs([]*stintv1.Task{{}, c.task}, func(i int) string { return fmt.Sprintf("tasks[%d]", i) })
		if err == nil {
			t.Errorf("%s: taken", c.path)
			continue
		}
		r, _ := judge(err)
		if got := read(t, r.status().Err()); got.reason != "FIELD_INVALID" || !slices.Equal(got.fields, []string{c.path}) {
			t.Errorf("%s: got %s %q", c.path, got.reason, got.fields)
		}
	}
	if got := stored(t, specOf(t, &stintv1.Task{Parameters: nested(30)})); got.GetParameters() == nil {
		t.Error("30 levels are lost")
	}
}

func TestTaskInputSize(t *testing.T) {
	ids := newIDs(time.Now)
	path := func(int) string { return "task" }
	if _, _, err := ids.specs([]*stintv1.Task{{Instruction: strings.Repeat("x", maxTaskInput)}}, path); err != nil {
		t.Errorf("512 KiB are refused: %v", err)
	}
	_, _, err := ids.specs([]*stintv1.Task{{Instruction: strings.Repeat("x", maxTaskInput+1)}}, path)
	if err == nil {
		t.Fatal("more than 512 KiB are taken")
	}
	r, _ := judge(err)
	if got := read(t, r.status().Err()); got.reason != "REQUEST_TOO_LARGE" || !strings.Contains(got.status.Message(), "524289") {
		t.Errorf("got %v", got.status)
	}
}
