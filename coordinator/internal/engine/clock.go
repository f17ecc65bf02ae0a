package engine

import (
	"sync"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// clock gives the two times of the design. Any goroutine may read it.
type clock struct {
	wall  func() time.Time
	start time.Time // its monotonic reading is zero of elapsed

	mu      sync.Mutex
	now     queue.Instant // last given; never goes back
	elapsed time.Duration // when now was given
}

// newClock starts at the newest time that the ledger knows of.
func newClock(wall func() time.Time, newest queue.Instant) *clock {
	return &clock{wall: wall, start: time.Now(), now: newest}
}

// read gives now = max(wall clock, last now + elapsed since), and the time since the start.
func (c *clock) read() (queue.Instant, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	elapsed := time.Since(c.start)
	c.now += queue.Instant((elapsed - c.elapsed).Microseconds())
	// What is cut off below a microsecond is left for the next reading.
	c.elapsed += (elapsed - c.elapsed).Truncate(time.Microsecond)
	c.now = max(c.now, queue.Instant(c.wall().UnixMicro()))
	return c.now, elapsed
}
