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

// A coordinator is quiet when it has allocated less than quietBytes in each of quietTicks turns
// in a row. Then what a burst has left behind goes back to the system, if it may be burstBytes.
const (
	quietBytes = 1 << 20
	quietTicks = 3
	burstBytes = 16 << 20
)

// collector keeps the garbage collector's room right for the load.
type collector struct {
	samples   []metrics.Sample // live, allocated
	percent   int
	allocated uint64 // in all, at the last turn
	given     uint64 // allocated, when memory was last given back
	quiet     int    // turns in a row
}

// keepHeadroom turns the collector until ctx ends.
func keepHeadroom(ctx context.Context) error {
	c := &collector{samples: []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}}
	tick := time.NewTicker(headroomEvery)
	defer tick.Stop()
	for {
		metrics.Read(c.samples)
		c.turn(c.samples[0].Value.Uint64(), c.samples[1].Value.Uint64(), debug.FreeOSMemory)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *collector) turn(live, allocated uint64, giveBack func()) {
	if want := headroomPercent(live); want != c.percent {
		debug.SetGCPercent(want)
		c.percent = want
	}
	if c.quiet++; allocated-c.allocated > quietBytes {
		c.quiet = 0
	}
	c.allocated = allocated
	if c.quiet >= quietTicks && allocated-c.given > burstBytes {
		c.given = allocated
		giveBack()
	}
}

// headroomPercent is the setting for a live heap, in steps of a hundred so that it seldom changes.
func headroomPercent(live uint64) int {
	const most = 1600 // a heap of 4 MiB
	return int(min(most, 100*max(1, headroom/max(live, 1))))
}
