package client

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// A setting that is given arrives, with the rest of its field as it was read; nothing else is in the mask.
func TestQueueSettings(t *testing.T) {
	before := limited("default")
	day := stintv1.BudgetPeriod_BUDGET_PERIOD_DAY
	for name, tc := range map[string]struct {
		set  QueueSettings
		want *stintv1.Queue
		mask string
	}{
		"running": {QueueSettings{MaxRunning: ptr[int32](0), MaxPerKey: ptr[int32](2)}, &stintv1.Queue{MaxRunningPerKey: 2}, "max_running,max_running_per_key"},
		"weight":  {QueueSettings{Weight: ptr[int32](9), StrictFencing: ptr(false)}, &stintv1.Queue{Weight: 9}, "weight,strict_fencing"},
		"rate":    {QueueSettings{Rate: "90/m"}, &stintv1.Queue{Rate: &stintv1.QueueRate{PerSecond: 1.5}}, "rate"},
		"burst":   {QueueSettings{Burst: ptr[int32](3)}, &stintv1.Queue{Rate: &stintv1.QueueRate{PerSecond: 10, Burst: 3}}, "rate"},
		"both": {QueueSettings{Rate: "2", Burst: ptr[int32](3)}, &stintv1.Queue{Rate: &stintv1.QueueRate{PerSecond: 2, Burst: 3}},
			"rate"},
		"no rate": {QueueSettings{Rate: "none"}, &stintv1.Queue{}, "rate"},
		"retry": {QueueSettings{RetryMaxAttempts: ptr[int32](0), RetryInitialBackoff: ptr(time.Second), RetryMaxBackoff: ptr[time.Duration](0),
			RetryUnknownOutcome: "retry"}, &stintv1.Queue{Retry: &stintv1.RetryPolicy{InitialBackoff: durationpb.New(time.Second),
			UnknownOutcome: stintv1.UnknownOutcome_UNKNOWN_OUTCOME_RETRY}}, "retry"},
		"one of retry": {QueueSettings{RetryUnknownOutcome: "none", RetryMaxAttempts: ptr[int32](7)},
			&stintv1.Queue{Retry: &stintv1.RetryPolicy{MaxAttempts: 7, MaxBackoff: durationpb.New(time.Minute)}}, "retry"},
		"limit":     {QueueSettings{Budget: "0"}, &stintv1.Queue{Budget: &stintv1.QueueBudget{LimitUsd: ptr(0.0), Period: day}}, "budget"},
		"period":    {QueueSettings{Period: "total"}, &stintv1.Queue{Budget: &stintv1.QueueBudget{LimitUsd: ptr(20.0), Period: 1}}, "budget"},
		"no budget": {QueueSettings{Budget: "none"}, &stintv1.Queue{}, "budget"},
	} {
		t.Run(name, func(t *testing.T) {
			unchanged := proto.CloneOf(before)
			got, err := tc.set.request("default", before)
			tc.want.Name, tc.want.Etag = "default", "7"
			if err != nil || !proto.Equal(got.GetQueue(), tc.want) || strings.Join(got.GetUpdateMask().GetPaths(), ",") != tc.mask {
				t.Errorf("got  %v, %v\nwant %v", got, err, tc.want)
			}
			if !proto.Equal(before, unchanged) {
				t.Errorf("what was read was changed to %v", before)
			}
		})
	}
}

// The etag is that of what was read, so that a change in between is not run over; or the one that was given.
func TestQueueSettingsEtag(t *testing.T) {
	for _, tc := range []struct {
		given  string
		before *stintv1.Queue
		want   string
	}{{"", limited("x"), "7"}, {"5", limited("x"), "5"}, {"5", nil, "5"}, {"", nil, ""}} {
		req, err := QueueSettings{Weight: ptr[int32](1), Etag: tc.given}.request("x", tc.before)
		if err != nil || req.GetQueue().GetEtag() != tc.want {
			t.Errorf("%q after %v: got %v, %v", tc.given, tc.before, req, err)
		}
	}
}

// A setting that can't be understood is refused with its name, its value and the remedy, before anything is changed.
func TestQueueSettingsRefuse(t *testing.T) {
	for _, tc := range []struct {
		set  QueueSettings
		want []string
	}{
		{QueueSettings{}, []string{"no setting", "--max-running"}},
		{QueueSettings{Etag: "1"}, []string{"no setting"}},
		{QueueSettings{Rate: "fast"}, []string{"rate", `"fast"`, "5/s"}},
		{QueueSettings{Rate: "5/year"}, []string{"rate", `"5/year"`, "5/s"}},
		{QueueSettings{Rate: "-1/s"}, []string{"rate", `"-1/s"`}},
		{QueueSettings{Rate: "NaN"}, []string{"rate", `"NaN"`}},
		{QueueSettings{Rate: "inf"}, []string{"rate", `"inf"`}},
		{QueueSettings{Burst: ptr[int32](2)}, []string{"burst 2", "no rate", "--rate"}},
		{QueueSettings{Rate: "none", Burst: ptr[int32](2)}, []string{"burst 2", "no rate"}},
		{QueueSettings{Budget: "much"}, []string{"budget", `"much"`, "0.5"}},
		{QueueSettings{Period: "day"}, []string{"period", `"day"`, "--budget"}},
		{QueueSettings{Budget: "none", Period: "day"}, []string{"period", `"day"`, "--budget"}},
		{QueueSettings{Budget: "1", Period: "week"}, []string{"period", `"week"`, "total, hour, day, month"}},
		{QueueSettings{RetryUnknownOutcome: "maybe"}, []string{"retry-unknown-outcome", `"maybe"`, "fail, retry"}},
	} {
		_, err := tc.set.request("x", line(false))
		for _, part := range tc.want {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%+v: got %v, want it to have %q", tc.set, err, part)
			}
		}
	}
}

// Times of a rate: what is typed for a minute, an hour or a day is that many a second.
func TestParseRate(t *testing.T) {
	for text, want := range map[string]float64{"5/s": 5, "5": 5, "0": 0, "0.5/s": 0.5, "30/m": 0.5, "1800/h": 0.5, "43200/d": 0.5, "none": 0} {
		if got, err := parseRate(text); err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
}

// What costs are summed by is a word of few.
func TestSpendGroups(t *testing.T) {
	b := newBench(t, map[string][]reply{"GetSpend": {ok(&stintv1.GetSpendResponse{})}}, nil)
	if err := b.Spend(t.Context(), "", "week"); err == nil || !strings.Contains(err.Error(), `by "week" is unknown; give one of queue, agent, key`) {
		t.Errorf("got %v", err)
	}
	for _, by := range []string{"queue", "agent", "key"} {
		if err := b.Spend(t.Context(), "q", by); err != nil {
			t.Error(err)
		}
	}
	var groups []stintv1.SpendGroup
	for _, req := range asked[*stintv1.GetSpendRequest](b) {
		groups = append(groups, req.GetGroupBy())
	}
	if want := []stintv1.SpendGroup{1, 2, 3}; !slices.Equal(groups, want) {
		t.Errorf("asked by %v", groups)
	}
}
