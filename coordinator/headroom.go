package main

import (
	"context"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// headroom is what the heap may at least grow between two collections, in bytes; one that holds
// more may double. With the default setting a coordinator with few tasks, whose heap is small,
// would collect forty times a second under full load; and one with ten thousand idle sessions would
// keep garbage for all that their stacks hold, which is twice the heap.
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
	samples   []metrics.Sample // live, stacks, globals, allocated
	percent   int
	allocated uint64 // in all, at the last turn
	given     uint64 // allocated, when memory was last given back
	quiet     int    // turns in a row
}

// keepHeadroom turns the collector until ctx ends. shed gives up what the coordinator can do without.
func keepHeadroom(ctx context.Context, shed func()) error {
	c := &collector{samples: []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}, {Name: "/gc/heap/allocs:bytes"},
	}}
	tick := time.NewTicker(headroomEvery)
	defer tick.Stop()
	for {
		metrics.Read(c.samples)
		n := func(i int) uint64 { return c.samples[i].Value.Uint64() }
		c.turn(n(0), n(1)+n(2), n(3), func() {
			shed()
			runtime.GC() // pools of buffers are empty only after two collections
			debug.FreeOSMemory()
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *collector) turn(live, roots, allocated uint64, giveBack func()) {
	if want := headroomPercent(live, roots); want != c.percent {
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

// headroomPercent is the setting for a live heap, in steps so that it seldom changes. The runtime takes
// it as a share of the heap and of the roots, which are stacks and globals.
func headroomPercent(live, roots uint64) int {
	const step, most = 25, 1600 // the most is for a heap of 4 MiB
	room := max(headroom, live)
	return int(min(most, max(step, 100*room/max(live+roots, 1)/step*step)))
}
