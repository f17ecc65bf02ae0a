package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// headroom is what the heap may at least grow between two collections, in bytes. With the
// default setting a coordinator with few tasks, whose heap is small, would collect forty times
// a second under full load; with many it would grow by no more than it holds either way.
const headroom = 64 << 20

// headroomEvery is how often the setting is brought up to date: a heap grows by much only
// over seconds.
const headroomEvery = time.Second

// keepHeadroom has the garbage collector leave that room, until ctx ends.
func keepHeadroom(ctx context.Context) error {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(headroomEvery)
	defer tick.Stop()
	for set := 0; ; {
		metrics.Read(live)
		if want := headroomPercent(live[0].Value.Uint64()); want != set {
			debug.SetGCPercent(want)
			set = want
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// headroomPercent is the setting for a live heap, in steps of a hundred so that it seldom changes.
func headroomPercent(live uint64) int {
	const most = 1600 // a heap of 4 MiB
	return int(min(most, 100*max(1, headroom/max(live, 1))))
}
