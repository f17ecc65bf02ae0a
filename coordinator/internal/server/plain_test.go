package server

import (
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// TestPlainKeepsTheRules: what is seen by hand as plain, the rules of the contract take too. The
// generator goes around every rule of a task.
func TestPlainKeepsTheRules(t *testing.T) {
	r, err := newRules()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[bool]int{}
	rapid.Check(t, func(t *rapid.T) {
		m := &stintv1.SubmitTasksRequest{Tasks: rapid.SliceOfN(rapid.Custom(anyTask), 0, 3).Draw(t, "tasks")}
		fast := plainSubmit(m)
		if err := r.Validator.Validate(m); fast && err != nil {
			t.Fatalf("taken as plain: %v", err)
		}
		seen[fast]++
	})
	if seen[true] == 0 || seen[false] == 0 {
		t.Fatalf("the generator made %d plain and %d other submits", seen[true], seen[false])
	}
}

// anyTask draws a task that keeps each rule just so, but for one field at most, which goes around it.
func anyTask(t *rapid.T) *stintv1.Task {
	wild := rapid.IntRange(0, 16).Draw(t, "wild")
	id := func(n int) *rapid.Generator[string] {
		good := []string{"a", "a.b_c:d-e", "0", strings.Repeat("x", 128)}
		return picked(wild == n, good, "", "-a", ".a", "a b", "a\n", "ä", "a\x00", strings.Repeat("x", 129))
	}
	amount := func(n int) *rapid.Generator[float64] {
		return picked(wild == n, []float64{0, 0.5, 1e6}, 1e6+1, -0.1, math.NaN(), math.Inf(1), math.Inf(-1))
	}
	key := picked(wild == 1, []string{"k", "a/b", strings.Repeat("x", 63)}, "", "-", "ä", strings.Repeat("x", 64))
	value := picked(wild == 2, []string{"", "v@", strings.Repeat("x", 128)}, "a=b", "\n", strings.Repeat("x", 129))
	enum := func(n int) *rapid.Generator[int32] { return picked(wild == n, []int32{0, 1, 2, 3}, -1, 4, 99) }
	m := &stintv1.Task{
		Id: id(3).Draw(t, "id"), Queue: id(4).Draw(t, "queue"),
		Priority:            picked(wild == 5, []int32{-100, 0, 100}, -101, 101).Draw(t, "priority"),
		OnDependencyFailure: stintv1.OnDependencyFailure(enum(6).Draw(t, "policy")),
		Intensity:           stintv1.Intensity(enum(7).Draw(t, "intensity")),
		DependsOn:           rapid.SliceOfN(id(8), 0, 3).Draw(t, "depends_on"),
		FairnessKey:         value.Draw(t, "fairness_key"),
		ConcurrencyKey:      value.Draw(t, "concurrency_key"),
		Labels:              rapid.MapOfN(key, value, 0, 3).Draw(t, "labels"),
	}
	if rapid.Bool().Draw(t, "budget") {
		m.Budget = &stintv1.Budget{MinUsd: rapid.Ptr(amount(9), true).Draw(t, "min"), MaxUsd: rapid.Ptr(amount(10), true).Draw(t, "max")}
	}
	return m
}

// picked draws a good value, or any if wild.
func picked[T any](wild bool, good []T, bad ...T) *rapid.Generator[T] {
	if wild {
		good = slices.Concat(good, bad)
	}
	return rapid.SampledFrom(good)
}

// TestPlainLooksAtEveryRule: each field of a task that has rules is looked at, so that a rule that
// comes with a new field is not passed over.
func TestPlainLooksAtEveryRule(t *testing.T) {
	bad := map[string]*stintv1.Task{
		"id":                    {Id: "-"},
		"queue":                 {Queue: "-"},
		"depends_on":            {DependsOn: []string{"a", "a"}},
		"on_dependency_failure": {OnDependencyFailure: 99},
		"budget":                {Budget: &stintv1.Budget{MinUsd: new(-1.0)}},
		"intensity":             {Intensity: 99},
		"priority":              {Priority: 101},
		"attempt_timeout":       {AttemptTimeout: unsetAttemptTimeout},
		"retry":                 {Retry: unsetRetry},
		"labels":                {Labels: map[string]string{"": ""}},
		"requires":              {Requires: []string{""}},
		"fairness_key":          {FairnessKey: "a b"},
		"concurrency_key":       {ConcurrencyKey: "a b"},
	}
	without := []string{"instruction", "parameters", "not_before", "expire_time", "status"} // no rules, or checked elsewhere
	fields := (&stintv1.Task{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		name := string(fields.Get(i).Name())
		task, ruled := bad[name]
		if !ruled && !slices.Contains(without, name) {
			t.Errorf("field %s is in neither list: has it rules that plain must look at?", name)
		}
		if ruled && isPlain(task) {
			t.Errorf("plain takes %v", task)
		}
	}
}

// TestPlainSubmitsHaveTasks: the rules about the request itself hold.
func TestPlainSubmitsHaveTasks(t *testing.T) {
	many := make([]*stintv1.Task, maxBatch+1)
	for i := range many {
		many[i] = &stintv1.Task{}
	}
	for _, m := range []proto.Message{
		&stintv1.SubmitTaskRequest{}, &stintv1.SubmitTasksRequest{}, &stintv1.SubmitTasksRequest{Tasks: many},
		&stintv1.SubmitTasksRequest{Tasks: []*stintv1.Task{nil}}, &stintv1.GetTaskRequest{},
	} {
		if plainSubmit(m) {
			t.Errorf("%T of %d bytes is taken as plain", m, proto.Size(m))
		}
	}
	if !plainSubmit(&stintv1.SubmitTasksRequest{Tasks: many[:maxBatch]}) {
		t.Error("a full batch is not taken as plain")
	}
}
