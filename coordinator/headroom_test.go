package main

import (
	"runtime/debug"
	"testing"
)

// After a burst memory goes back once, when the coordinator has been quiet for a while.
func TestCollectorGivesBackOnceAfterABurst(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	c, given := &collector{}, 0
	turn := func(allocated uint64) { c.turn(4<<20, allocated, func() { given++ }) }
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

// The room is at least headroom, and at least as much as is held.
func TestHeadroomPercent(t *testing.T) {
	for live, want := range map[uint64]int{0: 1600, 4 << 20: 1600, 16 << 20: 400, 64 << 20: 100, 1 << 30: 100} {
		if got := headroomPercent(live); got != want {
			t.Errorf("a live heap of %d bytes: %d %%, want %d", live, got, want)
		}
	}
}
