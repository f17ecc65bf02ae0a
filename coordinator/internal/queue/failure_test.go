package queue

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What becomes of a task when its attempt fails, by class (Q3). Each task may have two counted
// failures and has no back-off.
func TestFailureClasses(t *testing.T) {
	type ends struct {
		state                      State
		counted, uncounted, denied int32
	}
	failed := ends{state: Failed}
	counted := ends{Ready, 1, 0, 0}
	last := ends{Failed, 1, 0, 0} // it counts, and is final all the same
	waited := ends{Ready, 0, 1, 0}
	denied := ends{Ready, 0, 0, 1}
	for _, c := range []struct {
		class   Class
		unknown UnknownOutcome
		want    ends
	}{
		{ClassConnect, 0, counted},
		{ClassTimeout, 0, last},
		{ClassTimeout, UnknownFail, last},
		{ClassTimeout, UnknownRetry, counted},
		{ClassRateLimited, 0, waited},
		{ClassOverloaded, 0, waited},
		{ClassAuth, 0, denied},
		{ClassOutOfCredit, 0, denied},
		{ClassInvalidRequest, 0, failed},
		{ClassServerError, 0, counted},
		{ClassBadResponse, 0, failed},
		{ClassTaskFailed, 0, failed},
		{ClassResultTooLarge, 0, failed},
		{ClassInternal, 0, counted},
		// Set by the coordinator only, unset or unknown: as INTERNAL.
		{ClassLeaseExpired, 0, counted},
		{ClassCancelled, UnknownFail, counted},
		{ClassDependencyFailed, 0, counted},
		{ClassDeadline, 0, counted},
		{0, 0, counted},
		{200, 0, counted},
	} {
		got := afterFailure(t, c.class, c.unknown)
		if (ends{got.State, got.Counted, got.Uncounted, got.Denied}) != c.want {
			t.Errorf("class %d, unknown_outcome %d: %+v, want %+v", c.class, c.unknown, got, c.want)
		}
	}
}

// afterFailure runs one task to its first failure.
func afterFailure(t *testing.T, class Class, unknown UnknownOutcome) Status {
	t.Helper()
	m := New(scenarioConfig)
	s := Spec{
		ID: "a", Queue: DefaultQueue, OnFailure: PolicyCancel, AttemptTimeout: time.Minute,
		Retry: Retry{MaxAttempts: 2, Unknown: unknown},
	}
	m.Step(Input{Now: 1, Commands: []Command{
		&Submit{Tasks: []Spec{s}, Generated: []bool{true}}, &Acquire{Agent: "me", Max: 1, Length: time.Minute},
	}})
	r := &ReportLeases{Reports: []Report{{Lease: LeaseRef{1, 1}, Failure: Failure{Class: class}}}}
	m.Step(Input{Now: 2, Commands: []Command{r}})
	if r.Reports[0].Ack != AckRecorded {
		t.Fatalf("class %d: ack %d", class, r.Reports[0].Ack)
	}
	v, _ := m.Task("a")
	return v.Status
}

// Back-off n is uniform in [0, min(max, initial × 2^(n−1))] (Q3), and the same for the same
// task and attempt (D7).
func TestBackOffStaysInItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Retry{
			InitialBackoff: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "initial")),
			MaxBackoff:     time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(t, "max")),
		}
		counted, uncounted := rapid.IntRange(0, 100).Draw(t, "counted"), rapid.IntRange(0, 20).Draw(t, "uncounted")
		most := r.InitialBackoff
		for n := 1; n < counted+uncounted && most < r.MaxBackoff; n++ {
			most *= 2
		}
		most = min(most, r.MaxBackoff)
		m := New(scenarioConfig)
		x := &task{
			serial: Serial(rapid.Uint64().Draw(t, "serial")), attempt: rapid.Int32Min(1).Draw(t, "attempt"),
			counted: uint8(counted), uncounted: int32(uncounted), terms: m.terms.take(terms{retry: r}),
		}
		d := m.backOff(x)
		if d < 0 || d > most || d != m.backOff(x) {
			t.Fatalf("back-off %v, want one in 0 to %v", d, most)
		}
	})
}

// The first back-offs of many tasks spread over the whole range: full jitter.
func TestBackOffSpreads(t *testing.T) {
	m := New(scenarioConfig)
	terms := m.terms.take(terms{retry: Retry{InitialBackoff: time.Minute, MaxBackoff: time.Hour}})
	var tenths [10]int
	const tasks = 10_000
	for s := range tasks {
		d := m.backOff(&task{serial: Serial(s + 1), attempt: 1, counted: 1, terms: terms})
		tenths[min(9, d/(6*time.Second))]++
	}
	for i, n := range tenths {
		if n < tasks/10*8/10 || n > tasks/10*12/10 {
			t.Errorf("%d of %d back-offs lie in tenth %d: %v", n, tasks, i, tenths)
		}
	}
}
