package faults

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// A disk that is nearly full refuses submits before anything is written; all else goes on, and
// submits too once there is room.
func TestNearlyFullDiskRefusesSubmitsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &trouble{file: "*.log", kinds: writes}
		var free atomic.Uint64
		free.Store(1000)
		l := startOn(t, open(x.on(vfs.NewCrashableMem())), func(c *engine.Config) {
			c.MinFree, c.FreeBytes = 1000, func() (uint64, error) { return free.Load(), nil }
		})
		l.submit(spec("a"), spec("b"), spec("c"))
		leases := l.acquire("agent", 2)
		free.Store(999)
		time.Sleep(2 * time.Second) // a reading is believed for one
		written := x.seen.Load()
		for i := range 10 {
			wantDiskFull(t, l, fmt.Sprint("refused-", i))
		}
		if x.seen.Load() != written {
			t.Errorf("refused submits wrote to the log %d times", x.seen.Load()-written)
		}
		if a := l.report(success(leases[0].ID, "done")); a.Ack != queue.AckRecorded {
			t.Errorf("report: %+v", a)
		}
		if x.seen.Load() == written {
			t.Error("the report was not written")
		}
		if n, err := l.Cancel(t.Context(), []queue.Choice{{ID: "c"}}, ""); n != 1 || err != nil {
			t.Errorf("cancel: %d, %v", n, err)
		}
		free.Store(1 << 30)
		time.Sleep(2 * time.Second)
		l.submit(spec("d"))
		l.stop()
	})
}

func wantDiskFull(t *testing.T, l *life, id string) {
	t.Helper()
	_, err := l.Submit(t.Context(), []queue.Spec{spec(id)}, nil)
	var refusal *queue.Error
	if !errors.As(err, &refusal) || refusal.Reason != engine.DiskFull || refusal.RetryAfter <= 0 {
		t.Errorf("submit on a full disk: %v, want DISK_FULL with a time to retry", err)
	}
}
