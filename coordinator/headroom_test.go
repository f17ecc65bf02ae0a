package main

import (
	"runtime/debug"
	"testing"
)

// After a burst memory goes back once, when the coordinator has been quiet for a while.
func TestCollectorGivesBackOnceAfterABurst(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	c, given := &collector{}, 0
	turn := func(allocated uint64) { c.turn(4<<20, 0, allocated, func() { given++ }) }
	for i := range uint64(10) {
		turn(i * burstBytes)
	}
	if given != 0 {
		t.Fatalf("gave back %d times under load", given)
	}
	for range 10 * quietTicks {
		turn(9 * burstBytes)
	}
	if given != 1 {
		t.Errorf("gave back %d times after the burst, want once", given)
	}
}

// The room is at least headroom, and at least about as much as is held, whatever the stacks have.
func TestHeadroomPercent(t *testing.T) {
	for _, x := range []struct {
		live, roots uint64
		want        int
	}{
		{0, 0, 1600}, {4 << 20, 0, 1600}, {16 << 20, 0, 400}, {40 << 20, 0, 150}, {64 << 20, 0, 100}, {1 << 30, 0, 100},
		{16 << 20, 48 << 20, 100}, {128 << 20, 128 << 20, 50}, {1 << 20, 1 << 40, 25},
	} {
		if got := headroomPercent(x.live, x.roots); got != x.want {
			t.Errorf("a live heap of %d bytes with roots of %d: %d %%, want %d", x.live, x.roots, got, x.want)
		}
	}
}
