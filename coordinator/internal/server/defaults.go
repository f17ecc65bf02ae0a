package server

import (
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// The defaults as messages. Tasks share them, so nobody may write to a task once it is filled in.
var (
	unsetAttemptTimeout = durationpb.New(defaultAttemptTimeout)
	unsetInitialBackoff = durationpb.New(defaultInitialBackoff)
	unsetMaxBackoff     = durationpb.New(defaultMaxBackoff)
	unsetBudget         = &stintv1.Budget{MinUsd: new(float64(defaultMinUSD)), MaxUsd: new(float64(defaultMaxUSD))}
	unsetRetry          = &stintv1.RetryPolicy{
		MaxAttempts: defaultMaxAttempts, InitialBackoff: unsetInitialBackoff, MaxBackoff: unsetMaxBackoff,
	}
)

// fillIn sets what the submitter left unset, and drops what only the coordinator writes.
func fillIn(t *stintv1.Task) {
	t.Status = nil
	if t.Queue == "" {
		t.Queue = defaultQueue
	}
	if t.OnDependencyFailure == stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_UNSPECIFIED {
		t.OnDependencyFailure = stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_CANCEL
	}
	if t.Intensity == stintv1.Intensity_INTENSITY_UNSPECIFIED {
		t.Intensity = stintv1.Intensity_INTENSITY_MEDIUM
	}
	if t.AttemptTimeout == nil {
		t.AttemptTimeout = unsetAttemptTimeout
	}
	for i, r := range t.Requires {
		t.Requires[i] = spelled(r)
	}
	fillInBudget(t)
	fillInRetry(t)
}

// fillInBudget rounds both bounds to micro-dollars and gives the unset ones their default,
// which yields to the other bound.
func fillInBudget(t *stintv1.Task) {
	b := t.Budget
	if b == nil || b.MinUsd == nil && b.MaxUsd == nil {
		t.Budget = unsetBudget
		return
	}
	lowest, highest := rounded(b.MinUsd), rounded(b.MaxUsd)
	switch {
	case lowest == nil:
		lowest = new(min(defaultMinUSD, *highest))
	case highest == nil:
		highest = new(max(defaultMaxUSD, *lowest))
	}
	b.MinUsd, b.MaxUsd = lowest, highest
}

func rounded(v *float64) *float64 {
	if v == nil {
		return nil
	}
	m, _ := micros(*v)
	return new(usd(m))
}

func fillInRetry(t *stintv1.Task) {
	r := t.Retry
	if r == nil {
		t.Retry = unsetRetry
		return
	}
	if r.MaxAttempts == 0 {
		r.MaxAttempts = defaultMaxAttempts
	}
	if r.InitialBackoff == nil {
		r.InitialBackoff = unsetInitialBackoff
	}
	if r.MaxBackoff == nil {
		r.MaxBackoff = unsetMaxBackoff
	}
}
