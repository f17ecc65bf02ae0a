package queue

import (
	"testing"
	"time"
)

// The age of a queue's oldest READY task is told without a walk over millions: where there are more than
// may be looked at, from those of each heap that are granted first.
func TestOldestReadyLooksAtSoMany(t *testing.T) {
	m := New(scenarioConfig)
	m.Step(Input{Now: 1})
	submit := func(from, n int, change func(*Spec)) {
		t.Helper()
		tasks := make([]Spec, n)
		for i := range tasks {
			tasks[i] = benchSpec(from + i)
			change(&tasks[i])
		}
		if r := reasonOf(t, m, tasks...); r != "" {
			t.Fatal(r)
		}
		m.Step(Input{Now: m.Now() + Instant(time.Second.Microseconds())})
	}
	submit(0, 1, func(s *Spec) { s.Priority = -100 }) // the oldest, and the last to be granted
	submit(10, 50, func(*Spec) {})
	submit(100, 50, func(s *Spec) { s.FairnessKey = "other" })
	l := m.lineByName[DefaultQueue]
	for look, want := range map[int]time.Duration{1000: 3 * time.Second, 101: 3 * time.Second, 1: 2 * time.Second} {
		if got := m.oldestReady(l, look).Truncate(time.Second); got != want {
			t.Errorf("with a look at %d: %v, want %v", look, got, want)
		}
	}
}
