package server

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// setting is a field of Queue that UpdateQueue changes.
type setting struct {
	mask queue.Mask
	set  func(*stintv1.Queue) bool // in a message without a mask
}

// settings by their path in an update_mask.
var settings = map[string]setting{
	"max_running":         {queue.MaskMaxRunning, func(q *stintv1.Queue) bool { return q.GetMaxRunning() != 0 }},
	"rate":                {queue.MaskRate, func(q *stintv1.Queue) bool { return q.GetRate() != nil }},
	"weight":              {queue.MaskWeight, func(q *stintv1.Queue) bool { return q.GetWeight() != 0 }},
	"strict_fencing":      {queue.MaskStrictFencing, func(q *stintv1.Queue) bool { return q.GetStrictFencing() }},
	"retry":               {queue.MaskRetry, func(q *stintv1.Queue) bool { return q.GetRetry() != nil }},
	"budget":              {queue.MaskBudget, func(q *stintv1.Queue) bool { return q.GetBudget() != nil }},
	"max_running_per_key": {queue.MaskKeyLimit, func(q *stintv1.Queue) bool { return q.GetMaxRunningPerKey() != 0 }},
}

const pauseBy = "is not a setting; use PauseQueue and ResumeQueue"

// update translates an UpdateQueue that the rules of the contract have passed.
func update(r *stintv1.UpdateQueueRequest) (*queue.UpdateQueue, error) {
	q := r.GetQueue()
	faults := checkSpan("queue.retry.initial_backoff", q.GetRetry().GetInitialBackoff())
	faults = append(faults, checkSpan("queue.retry.max_backoff", q.GetRetry().GetMaxBackoff())...)
	mask, bad := settingsMask(q, r.GetUpdateMask().GetPaths())
	if faults = append(faults, bad...); len(faults) > 0 {
		return nil, invalidFields(faults)
	}
	return &queue.UpdateQueue{Queue: q.GetName(), Mask: mask, Settings: settingsOf(q), Etag: etagOf(q.GetEtag())}, nil
}

// settingsMask gives the settings that are to be changed: those named, or else those set.
func settingsMask(q *stintv1.Queue, paths []string) (mask queue.Mask, faults []fault) {
	if len(paths) == 0 {
		for _, s := range settings {
			if s.set(q) {
				mask |= s.mask
			}
		}
		if q.GetPaused() {
			faults = append(faults, fault{"queue.paused", pauseBy + ", or name in update_mask what is to be changed"})
		}
		return mask, faults
	}
	for i, p := range paths {
		s, ok := settings[p]
		if mask |= s.mask; ok {
			continue
		}
		path := fmt.Sprintf("update_mask.paths[%d]", i)
		whole, _, _ := strings.Cut(p, ".")
		switch _, inside := settings[whole]; {
		case p == "paused":
			faults = append(faults, fault{path, pauseBy})
		case inside:
			faults = append(faults, fault{path, fmt.Sprintf("a setting is changed as a whole; name %s and set all of it", whole)})
		default:
			faults = append(faults, fault{path, fmt.Sprintf("%q is not a setting; those are %s",
				cut(p, maxKeyText), strings.Join(slices.Sorted(maps.Keys(settings)), ", "))})
		}
		if len(faults) > maxErrorNames {
			break
		}
	}
	return mask, faults
}

func settingsOf(q *stintv1.Queue) queue.Settings {
	return queue.Settings{
		MaxRunning: q.GetMaxRunning(), KeyLimit: q.GetMaxRunningPerKey(), Rate: rateOf(q.GetRate()),
		Weight: max(q.GetWeight(), 1), StrictFencing: q.GetStrictFencing(), Retry: retryDefaults(q.GetRetry()),
		Budget: budgetOf(q.GetBudget()),
	}
}

// rateOf fills in the burst: what one second brings, so that it takes no finer clock to keep the
// rate.
func rateOf(r *stintv1.QueueRate) queue.Rate {
	if r.GetPerSecond() == 0 {
		return queue.Rate{}
	}
	burst := r.GetBurst()
	if burst == 0 {
		burst = int32(min(math.Ceil(r.GetPerSecond()), queue.MaxBurst))
	}
	return queue.Rate{PerSecond: r.GetPerSecond(), Burst: burst}
}

func budgetOf(b *stintv1.QueueBudget) queue.Budget {
	if b == nil || b.LimitUsd == nil {
		return queue.Budget{}
	}
	period := queue.Period(b.GetPeriod())
	if period == 0 {
		period = queue.PeriodTotal
	}
	return queue.Budget{Set: true, Limit: queue.Micros(math.Round(b.GetLimitUsd() * microsPerUSD)), Period: period}
}

// etagOf reads an etag; 0 is any. One that was never given out is one that no queue will have.
func etagOf(etag string) uint64 {
	if etag == "" {
		return 0
	}
	version, err := strconv.ParseUint(etag, 10, 64)
	if err != nil || version == 0 {
		return math.MaxUint64
	}
	return version
}

// shownQueue puts a queue together: what was set, and how it stands.
func shownQueue(q queue.QueueView) *stintv1.Queue {
	s := q.Settings
	out := &stintv1.Queue{
		Name: q.Name, Paused: q.Paused, MaxRunning: s.MaxRunning, MaxRunningPerKey: s.KeyLimit,
		Weight: max(s.Weight, 1), StrictFencing: s.StrictFencing, Retry: shownRetryDefaults(s.Retry),
		Etag: strconv.FormatUint(q.Version, 10), Status: shownQueueStatus(q),
	}
	if r := s.Rate; r.PerSecond > 0 {
		out.Rate = &stintv1.QueueRate{PerSecond: r.PerSecond, Burst: max(r.Burst, 1)}
	}
	if b := s.Budget; b.Set {
		out.Budget = &stintv1.QueueBudget{
			LimitUsd: new(usd(b.Limit)), Period: stintv1.BudgetPeriod(max(b.Period, queue.PeriodTotal)),
		}
	}
	return out
}

func shownQueueStatus(q queue.QueueView) *stintv1.QueueStatus {
	return &stintv1.QueueStatus{
		Counts: shownCounts(q.Counts), OldestReadyAge: span(q.OldestReady),
		Running: int32(min(q.Running, math.MaxInt32)), RateAvailable: q.RateTokens,
		SpentUsd: usd(q.Spend.Settled), ReservedUsd: usd(q.Spend.Reserved), OverrunUsd: usd(q.Spend.Overrun),
		PeriodStartTime: stamp(q.Spend.Start), PeriodEndTime: stamp(q.Spend.End),
	}
}
