package queue

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A batch is refused exactly if it has a cycle, and what is named is one: each task depends
// on the next, and the last on the first (Q2).
func TestFindCycleAgreesWithNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "tasks")
		tasks, existed, at := make([]Spec, n), make([]bool, n), map[string]int{}
		for i := range tasks {
			tasks[i].ID = fmt.Sprint("t", i)
			at[tasks[i].ID] = i
			existed[i] = rapid.IntRange(0, 9).Draw(t, "existed") == 0
			for _, d := range rapid.SliceOfN(rapid.IntRange(0, n), 0, 2).Draw(t, "deps") {
				tasks[i].DependsOn = append(tasks[i].DependsOn, fmt.Sprint("t", d)) // tn is elsewhere
			}
		}
		cycle := findCycle(tasks, existed, at)
		if want := naiveCyclic(tasks, existed, at); want != (cycle != nil) {
			t.Fatalf("cycle %v, naive says %v", cycle, want)
		}
		for i, id := range cycle {
			next := cycle[(i+1)%len(cycle)]
			if !slices.Contains(tasks[at[id]].DependsOn, next) {
				t.Fatalf("%s in %v does not depend on %s", id, cycle, next)
			}
		}
	})
}

// naiveCyclic takes away tasks without open dependencies until none is left, or none can go.
func naiveCyclic(tasks []Spec, existed []bool, at map[string]int) bool {
	left := map[int]bool{}
	for i := range tasks {
		left[i] = !existed[i]
	}
	for went := true; went; {
		went = false
		for i := range tasks {
			open := slices.ContainsFunc(tasks[i].DependsOn, func(id string) bool {
				j, ok := at[id]
				return ok && left[j]
			})
			if left[i] && !open {
				left[i], went = false, true
			}
		}
	}
	for _, l := range left {
		if l {
			return true
		}
	}
	return false
}

// A chain as long as a call may be does not exhaust the stack, in either direction.
func TestFindCycleTakesLongChains(t *testing.T) {
	const n = 100_000
	tasks, at := make([]Spec, n), make(map[string]int, n)
	for i := range tasks {
		tasks[i].ID = fmt.Sprint(i)
		at[tasks[i].ID] = i
		tasks[i].DependsOn = []string{fmt.Sprint(i + 1)}
	}
	tasks[n-1].DependsOn = nil
	if c := findCycle(tasks, make([]bool, n), at); c != nil {
		t.Fatalf("a chain is taken for a cycle of %d", len(c))
	}
	tasks[n-1].DependsOn = []string{"0"}
	if c := findCycle(tasks, make([]bool, n), at); len(c) != n {
		t.Fatalf("a ring of %d is taken for a cycle of %d", n, len(c))
	}
}
