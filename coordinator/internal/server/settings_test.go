package server

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func fullQueue() *stintv1.Queue {
	return &stintv1.Queue{
		Name: "q", MaxRunning: 7, Rate: &stintv1.QueueRate{PerSecond: 2.5}, Weight: 3, StrictFencing: true,
		Retry:  &stintv1.RetryPolicy{MaxAttempts: 9, InitialBackoff: durationpb.New(2 * time.Second), UnknownOutcome: stintv1.UnknownOutcome_UNKNOWN_OUTCOME_RETRY},
		Budget: &stintv1.QueueBudget{LimitUsd: new(1.5)}, MaxRunningPerKey: 2, Etag: "12",
	}
}

// An update names what it changes; without a mask that is what is set.
func TestUpdateIsTranslated(t *testing.T) {
	all := queue.Settings{
		MaxRunning: 7, KeyLimit: 2, Rate: queue.Rate{PerSecond: 2.5, Burst: 3}, Weight: 3, StrictFencing: true,
		Retry:  queue.RetryDefaults{MaxAttempts: 9, InitialBackoff: 2 * time.Second, Unknown: queue.UnknownRetry},
		Budget: queue.Budget{Set: true, Limit: 1_500_000, Period: queue.PeriodTotal},
	}
	none := queue.Settings{Weight: 1}
	for name, c := range map[string]struct {
		queue *stintv1.Queue
		paths []string
		want  queue.UpdateQueue
	}{
		"all that is set": {fullQueue(), nil, queue.UpdateQueue{Queue: "q", Mask: queue.MaskAll, Settings: all, Etag: 12}},
		"two by name":     {fullQueue(), []string{"rate", "budget"}, queue.UpdateQueue{Queue: "q", Mask: queue.MaskRate | queue.MaskBudget, Settings: all, Etag: 12}},
		"nothing":         {&stintv1.Queue{Name: "q"}, nil, queue.UpdateQueue{Queue: "q", Settings: none}},
		"all away": {&stintv1.Queue{Name: "q", Paused: true}, slices.Sorted(func(yield func(string) bool) {
			for path := range settings {
				if !yield(path) {
					return
				}
			}
		}), queue.UpdateQueue{Queue: "q", Mask: queue.MaskAll, Settings: none}},
		"a burst without a rate, a period without a limit": {
			&stintv1.Queue{Name: "q", Rate: &stintv1.QueueRate{Burst: 5}, Budget: &stintv1.QueueBudget{Period: stintv1.BudgetPeriod_BUDGET_PERIOD_DAY}},
			nil, queue.UpdateQueue{Queue: "q", Mask: queue.MaskRate | queue.MaskBudget, Settings: none},
		},
	} {
		got, err := update(&stintv1.UpdateQueueRequest{Queue: c.queue, UpdateMask: &fieldmaskpb.FieldMask{Paths: c.paths}})
		if err != nil || got.Queue != c.want.Queue || got.Mask != c.want.Mask || got.Settings != c.want.Settings || got.Etag != c.want.Etag {
			t.Errorf("%s: %+v (%v), want %+v", name, got, err, c.want)
		}
	}
}

// A path that is no setting is refused at its place, and so is a pause by the wrong call.
func TestUpdateRefuses(t *testing.T) {
	f := newFake()
	conn, _ := served(t, f, time.Minute)
	queues := stintv1.NewQueueServiceClient(conn)
	for _, c := range []struct {
		name   string
		queue  *stintv1.Queue
		paths  []string
		code   codes.Code
		reason string
		field  string
		text   string
	}{
		{"pause by mask", &stintv1.Queue{Name: "q"}, []string{"rate", "paused"}, codes.InvalidArgument, "FIELD_INVALID", "update_mask.paths[1]", "PauseQueue"},
		{"pause without mask", &stintv1.Queue{Name: "q", Paused: true}, nil, codes.InvalidArgument, "FIELD_INVALID", "queue.paused", "PauseQueue"},
		{"part of a setting", &stintv1.Queue{Name: "q"}, []string{"rate.burst"}, codes.InvalidArgument, "FIELD_INVALID", "update_mask.paths[0]", "name rate"},
		{"output", &stintv1.Queue{Name: "q"}, []string{"status"}, codes.InvalidArgument, "FIELD_INVALID", "update_mask.paths[0]", "max_running_per_key"},
		{"nonsense", &stintv1.Queue{Name: "q"}, []string{"*"}, codes.InvalidArgument, "FIELD_INVALID", "update_mask.paths[0]", "is not a setting"},
		{"rule of the contract", &stintv1.Queue{Name: "q", Weight: 1001}, nil, codes.InvalidArgument, "FIELD_INVALID", "queue.weight", ""},
		{"back-off", &stintv1.Queue{Name: "q", Retry: &stintv1.RetryPolicy{MaxBackoff: &durationpb.Duration{Seconds: 5, Nanos: -1}}}, nil,
			codes.InvalidArgument, "FIELD_INVALID", "queue.retry.max_backoff", ""},
	} {
		_, err := queues.UpdateQueue(t.Context(), &stintv1.UpdateQueueRequest{Queue: c.queue, UpdateMask: &fieldmaskpb.FieldMask{Paths: c.paths}})
		got := read(t, err)
		var want []string
		if c.field != "" {
			want = []string{c.field}
		}
		if got.code != c.code || got.reason != c.reason || !slices.Equal(got.fields, want) || !strings.Contains(got.status.Message(), c.text) {
			t.Errorf("%s: %v at %v", c.name, got.status, got.fields)
		}
	}
}

// Reads show a queue as it was set, and its figures.
func TestShownQueue(t *testing.T) {
	u, err := update(&stintv1.UpdateQueueRequest{Queue: fullQueue()})
	if err != nil {
		t.Fatal(err)
	}
	counts := queue.Counts{Submitted: 3}
	counts.States[queue.Running] = 3
	got := shownQueue(queue.QueueView{
		Name: "q", Paused: true, Counts: counts, OldestReady: time.Second, Settings: u.Settings, Version: 12, Running: 3, RateTokens: 1.5,
		Spend: queue.SpendView{Start: after(0), End: after(3600), Settled: 1_000_000, Reserved: 200_000, Overrun: 50_000},
	})
	want := fullQueue()
	want.Paused, want.Rate.Burst, want.Budget.Period = true, 3, stintv1.BudgetPeriod_BUDGET_PERIOD_TOTAL
	want.Status = &stintv1.QueueStatus{
		Counts: &stintv1.TaskCounts{Submitted: 3, Running: 3}, OldestReadyAge: durationpb.New(time.Second),
		Running: 3, RateAvailable: 1.5, SpentUsd: 1, ReservedUsd: 0.2, OverrunUsd: 0.05,
		PeriodStartTime: timestamppb.New(noon), PeriodEndTime: timestamppb.New(noon.Add(time.Hour)),
	}
	if !proto.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	plain := shownQueue(queue.QueueView{Name: "q", Version: 1})
	bare := &stintv1.Queue{Name: "q", Weight: 1, Etag: "1", Status: &stintv1.QueueStatus{Counts: &stintv1.TaskCounts{}}}
	if !proto.Equal(plain, bare) {
		t.Errorf("without settings %v", plain)
	}
}

// A task takes what its queue has for the retry fields that it leaves unset, and stays the same
// content: a repeat is one after the queue has changed.
func TestRetryDefaultsOfTheQueue(t *testing.T) {
	of := func(d queue.RetryDefaults, r *stintv1.RetryPolicy) queue.Spec {
		g := newIDs(func() time.Time { return noon })
		g.defaults = func(name string) queue.RetryDefaults {
			if name != "default" {
				t.Errorf("asked for %s", name)
			}
			return d
		}
		specs, _, err := g.specs([]*stintv1.Task{{Id: "a", Retry: r}}, func(int) string { return "task" })
		if err != nil {
			t.Fatal(err)
		}
		return specs[0]
	}
	d := queue.RetryDefaults{MaxAttempts: 7, MaxBackoff: time.Hour, Unknown: queue.UnknownRetry}
	general := queue.Retry{MaxAttempts: 3, InitialBackoff: time.Second, MaxBackoff: time.Minute}
	for _, c := range []struct {
		defaults queue.RetryDefaults
		retry    *stintv1.RetryPolicy
		want     queue.Retry
	}{
		{queue.RetryDefaults{}, nil, general},
		{d, nil, queue.Retry{MaxAttempts: 7, InitialBackoff: time.Second, MaxBackoff: time.Hour, Unknown: queue.UnknownRetry}},
		{queue.RetryDefaults{InitialBackoff: time.Minute}, &stintv1.RetryPolicy{},
			queue.Retry{MaxAttempts: 3, InitialBackoff: time.Minute, MaxBackoff: time.Minute}},
		{d, &stintv1.RetryPolicy{
			MaxAttempts: 1, InitialBackoff: durationpb.New(0), MaxBackoff: durationpb.New(time.Second),
			UnknownOutcome: stintv1.UnknownOutcome_UNKNOWN_OUTCOME_FAIL,
		}, queue.Retry{MaxAttempts: 1, MaxBackoff: time.Second, Unknown: queue.UnknownFail}},
	} {
		got := of(c.defaults, c.retry)
		if got.Retry != c.want {
			t.Errorf("%+v over %v: %+v, want %+v", c.defaults, c.retry, got.Retry, c.want)
		}
		shown := stored(t, got).GetRetry()
		if shown.GetMaxAttempts() != c.want.MaxAttempts || shown.GetMaxBackoff().AsDuration() != c.want.MaxBackoff ||
			shown.GetInitialBackoff().AsDuration() != c.want.InitialBackoff || int(shown.GetUnknownOutcome()) != int(c.want.Unknown) {
			t.Errorf("reads show %v, want %+v", shown, c.want)
		}
		if got.Digest != of(queue.RetryDefaults{}, c.retry).Digest {
			t.Errorf("%+v make it other content", c.defaults)
		}
	}
	if unsetRetry.GetMaxAttempts() != 3 || unsetInitialBackoff.AsDuration() != time.Second {
		t.Error("the general defaults were written to")
	}
}
