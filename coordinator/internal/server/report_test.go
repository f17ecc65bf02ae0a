package server

import (
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func reported(t *testing.T, r *stintv1.Report) engine.Report {
	t.Helper()
	out, err := new(encoder).report(r)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// C2: a result goes on with the bytes that the agent sent.
func TestResultReport(t *testing.T) {
	result := &stintv1.Result{Text: "4", BudgetUsedUsd: new(0.0123456)}
	got := reported(t, &stintv1.Report{LeaseId: "L", Result: result})
	back := &stintv1.Result{}
	if err := proto.Unmarshal(got.Result, back); err != nil || !proto.Equal(back, result) {
		t.Errorf("the result is %v (%v)", back, err)
	}
	if !got.Success || got.Invalid != "" || got.LeaseID != "L" || !got.HasCost || got.Cost != 12346 {
		t.Errorf("got %+v", got)
	}
	empty := reported(t, &stintv1.Report{LeaseId: "L", Result: &stintv1.Result{}})
	if !empty.Success || empty.HasCost {
		t.Errorf("an empty result: %+v", empty)
	}
	failure := reported(t, &stintv1.Report{LeaseId: "L", Failure: &stintv1.Failure{}})
	if empty.Digest == failure.Digest || empty.Digest == got.Digest {
		t.Error("different reports have one digest")
	}
}

// A result that cannot be kept is never taken: it goes on as the failure to record.
func TestUnfitResults(t *testing.T) {
	for _, c := range []struct {
		name   string
		result *stintv1.Result
		class  queue.Class
		says   string
	}{
		{"too large", &stintv1.Result{Text: strings.Repeat("x", maxResult)}, queue.ClassResultTooLarge, "1048576"},
		{"too deep", &stintv1.Result{Output: nested(31)}, queue.ClassBadResponse, "result.output"},
		{"NaN", &stintv1.Result{Usage: fields(map[string]*structpb.Value{"n": structpb.NewNumberValue(math.NaN())})}, queue.ClassBadResponse, `result.usage["n"]`},
		{"cost NaN", &stintv1.Result{BudgetUsedUsd: new(math.NaN())}, queue.ClassBadResponse, "result.budget_used_usd"},
		{"cost negative", &stintv1.Result{BudgetUsedUsd: new(-1.0)}, queue.ClassBadResponse, "result.budget_used_usd"},
	} {
		got := reported(t, &stintv1.Report{LeaseId: "L", Result: c.result})
		if got.Success || got.Result != nil || got.Failure.Class != c.class || !strings.Contains(got.Invalid, c.says) {
			t.Errorf("%s: success %v, class %d, %q", c.name, got.Success, got.Failure.Class, got.Invalid)
		}
	}
	paid := reported(t, &stintv1.Report{Result: &stintv1.Result{Output: nested(31), BudgetUsedUsd: new(0.5)}})
	if !paid.Failure.HasCost || paid.Failure.Cost != 500_000 {
		t.Errorf("the cost of an unfit result is lost: %+v", paid.Failure)
	}
}

func TestFailureReport(t *testing.T) {
	got := reported(t, &stintv1.Report{Failure: &stintv1.Failure{
		FailureClass: stintv1.FailureClass_FAILURE_CLASS_RATE_LIMITED, Message: strings.Repeat("ü", 4096), HttpStatus: 429,
		RetryAfter: durationpb.New(time.Minute), BudgetUsedUsd: new(0.25),
	}}).Failure
	if got.Class != queue.ClassRateLimited || got.HTTPStatus != 429 || got.RetryAfter != time.Minute || got.Cost != 250_000 {
		t.Errorf("got %+v", got)
	}
	if len(got.Message) > maxFailureMessage || !utf8.ValidString(got.Message) {
		t.Errorf("the message has %d bytes, valid %v", len(got.Message), utf8.ValidString(got.Message))
	}
}

// What an agent may not say, and what is not known here, is INTERNAL.
func TestReportedClasses(t *testing.T) {
	own := map[stintv1.FailureClass]bool{
		stintv1.FailureClass_FAILURE_CLASS_UNSPECIFIED: true, stintv1.FailureClass_FAILURE_CLASS_LEASE_EXPIRED: true,
		stintv1.FailureClass_FAILURE_CLASS_CANCELLED: true, stintv1.FailureClass_FAILURE_CLASS_DEPENDENCY_FAILED: true,
		stintv1.FailureClass_FAILURE_CLASS_DEADLINE: true, 99: true, 300: true, -1: true,
	}
	for n := range stintv1.FailureClass_name {
		own[stintv1.FailureClass(n)] = own[stintv1.FailureClass(n)]
	}
	for c, internal := range own {
		want := queue.Class(c)
		if internal {
			want = queue.ClassInternal
		}
		if got := reportedClass(c); got != want {
			t.Errorf("%v is taken as %d, want %d", c, got, want)
		}
	}
}

// Bad progress never costs a lease.
func TestProgress(t *testing.T) {
	for v, has := range map[float64]bool{0: true, 0.5: true, 1: true, -0.1: false, 1.1: false, math.Inf(1): false} {
		got := extension(&stintv1.LeaseProgress{LeaseId: "L", Progress: new(v)})
		if got.LeaseID != "L" || got.HasProgress != has {
			t.Errorf("%v: %+v", v, got)
		}
	}
	if got := extension(&stintv1.LeaseProgress{Progress: new(math.NaN())}); got.HasProgress {
		t.Error("NaN is taken")
	}
	got := extension(&stintv1.LeaseProgress{Message: strings.Repeat("x", 255) + "ü"})
	if got.HasProgress || len(got.Message) != 255 {
		t.Errorf("%+v", got)
	}
}
