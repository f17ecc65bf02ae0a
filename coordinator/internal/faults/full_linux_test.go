package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// small gives a folder on a disk of its own, of some MiB.
func small(t *testing.T, mib int) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		if os.Getenv("STINT_REQUIRE") == "all" {
			t.Fatalf("mount of a small tmpfs: %v; run the tests as root", err)
		}
		t.Skipf("mount of a small tmpfs: %v; needs root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func free(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return s.Bavail * uint64(s.Bsize), nil
}

// ballast fills a disk up to some bytes, or whole, until it is dropped.
func ballast(t *testing.T, dir string, leave uint64) (drop func()) {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	room, err := free(dir)
	if err != nil || room < leave {
		t.Fatal(room, err)
	}
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(room-leave)); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

// The road of a real disk that runs full: submits are refused in time, reports and cancels taken
// in what is left, and submits again once there is room.
func TestSmallDiskRunsFullAndRecovers(t *testing.T) {
	dir := small(t, 64)
	synctest.Test(t, func(t *testing.T) {
		const keep = 16 << 20
		drop := ballast(t, dir, keep+4<<20)
		l := startOn(t, pebbleledger.New(pebbleledger.Options{Dir: filepath.Join(dir, "ledger"), Logger: quiet}),
			func(c *engine.Config) {
				c.MinFree, c.FreeBytes = keep, func() (uint64, error) { return free(dir) }
			})
		var acked []string
		for n := 0; ; n++ {
			time.Sleep(2 * time.Second) // of the bubble: the disk is looked at again
			id := fmt.Sprint("task-", n)
			_, err := l.Submit(t.Context(), []queue.Spec{large(id)}, nil)
			var refusal *queue.Error
			if errors.As(err, &refusal) && refusal.Reason == engine.DiskFull {
				break
			}
			if err != nil || n > 100 {
				t.Fatalf("submit %d: %v", n, err)
			}
			acked = append(acked, id)
		}
		if len(acked) < 2 {
			t.Fatalf("%d submits before the disk was full", len(acked))
		}
		for _, lease := range l.acquire("agent", len(acked)-1) {
			if a := l.report(success(lease.ID, "done")); a.Ack != queue.AckRecorded {
				t.Errorf("report: %+v", a)
			}
		}
		if n, err := l.Cancel(t.Context(), []queue.Choice{{ID: acked[len(acked)-1]}}, ""); n != 1 || err != nil {
			t.Errorf("cancel: %d, %v", n, err)
		}
		wantDiskFull(t, l, "refused")
		drop()
		time.Sleep(2 * time.Second)
		l.submit(large("again"))
		l.stop()
		sound(t, filepath.Join(dir, "ledger"), append(acked, "again"), append(acked, "again"))
	})
}

// D5, D1: without a reserve the disk fills to the last byte: the process ends with status 1, and
// with some room everything that was acknowledged is there.
func TestDiskFullToTheLastByte(t *testing.T) {
	dir := small(t, 48)
	drop := ballast(t, dir, 24<<20)
	acked, tried := broken(t, filepath.Join(dir, "ledger"), "", "no space left")
	drop()
	sound(t, filepath.Join(dir, "ledger"), acked, tried)
}
