package queue

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A fifo gives what was pushed in that order, and keeps nothing of what it gave or was told to drop.
func TestFifoKeepsOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q fifo[*int]
		var naive []*int
		for i := range rapid.IntRange(1, 300).Draw(t, "steps") {
			if len(naive) > 0 && rapid.IntRange(0, 9).Draw(t, "do") < rapid.IntRange(1, 9).Draw(t, "pops") {
				if first := *q.first(); first != naive[0] || q.pop() != first {
					t.Fatalf("%d came before %d", *first, *naive[0])
				}
				naive = naive[1:]
			} else {
				q.push(&i)
				naive = append(naive, &i)
			}
			if rapid.IntRange(0, 19).Draw(t, "sweep") == 0 {
				even := func(p *int) bool { return *p%2 == 0 }
				q.keep(even)
				naive = slices.DeleteFunc(naive, func(p *int) bool { return !even(p) })
			}
			if q.len() != len(naive) {
				t.Fatalf("%d wait, not %d", q.len(), len(naive))
			}
			for j, p := range q.items[:cap(q.items)] {
				if waits := j >= q.head && j < len(q.items); waits != (p != nil) {
					t.Fatalf("place %d holds %v, waiting %v", j, p, waits)
				}
			}
		}
	})
}

// A line that is never longer than before needs no more room.
func TestFifoReusesItsRoom(t *testing.T) {
	var q fifo[int]
	for i := range 4 {
		q.push(i)
	}
	for i := range 100 {
		q.push(i)
		q.pop()
	}
	if n := testing.AllocsPerRun(100, func() { q.push(q.pop()) }); n > 0 || cap(q.items) > 16 {
		t.Fatalf("%v allocations a turn, room for %d", n, cap(q.items))
	}
}
