package queue

import (
	"fmt"
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

// So many are all that are looked at, in however many heaps they wait.
func TestReadyTasksInManyHeapsAreLookedAtSoMany(t *testing.T) {
	m := New(scenarioConfig)
	m.Step(Input{Now: 1, Commands: []Command{
		&UpdateQueue{Queue: DefaultQueue, Mask: MaskKeyLimit, Settings: Settings{KeyLimit: 1}},
	}})
	var tasks []Spec
	for i := range 300 {
		s := benchSpec(i)
		s.FairnessKey, s.ConcurrencyKey = fmt.Sprint("f", i%3), fmt.Sprint("k", i%50)
		tasks = append(tasks, s)
	}
	if r := reasonOf(t, m, tasks...); r != "" {
		t.Fatal(r)
	}
	m.Step(Input{Now: 2, Commands: []Command{&Acquire{Agent: "me", Max: 50, Length: time.Hour}, &Acquire{Agent: "me", Max: 1, Length: time.Hour}}})
	l, n := m.lineByName[DefaultQueue], 0
	parked := 0
	for _, ln := range l.classes[0].byFair {
		parked += len(ln.parked)
	}
	if parked < 100 {
		t.Fatalf("%d heaps are parked", parked)
	}
	l.eachReady(&glance{heap: leastCounted, left: 100}, func(heapItem) { n++ })
	if n != 100 {
		t.Errorf("%d are looked at, want 100", n)
	}
}
