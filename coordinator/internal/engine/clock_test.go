package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// now = max(wall clock, last now + elapsed since), whatever the wall clock does.
func TestNowNeverGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wall := time.UnixMicro(1000)
		c := newClock(func() time.Time { return wall }, 500)
		for i, step := range []struct {
			wall    int64
			elapsed time.Duration
			want    queue.Instant
		}{
			{1000, 0, 1000},                        // the wall clock leads
			{400, 10 * time.Microsecond, 1010},     // it was set back: time goes on
			{1005, 5 * time.Microsecond, 1015},     // still behind
			{9000, time.Microsecond, 9000},         // set forward
			{9000, 1500 * time.Nanosecond, 9001},   // what is below a microsecond
			{9000, 500 * time.Nanosecond, 9002},    // is not lost
			{9000, 1000 * time.Microsecond, 10002}, //
		} {
			time.Sleep(step.elapsed)
			wall = time.UnixMicro(step.wall)
			if now, _ := c.read(); now != step.want {
				t.Errorf("step %d: now is %d, want %d", i, now, step.want)
			}
		}
		if _, elapsed := c.read(); elapsed != 1018*time.Microsecond {
			t.Errorf("elapsed is %v", elapsed)
		}
	})
}
