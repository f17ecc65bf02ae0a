package pebbleledger_test

import (
	"bytes"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

var errDisk = errors.New("injected disk error")

// faulty is a file system whose operations of some kinds on some files fail once it is on.
type faulty struct {
	mem   *vfs.MemFS
	on    atomic.Bool
	fired atomic.Int32
}

func newFaulty(file string, kinds ...errorfs.OpKind) (*faulty, vfs.FS) {
	f := &faulty{mem: vfs.NewCrashableMem()}
	return f, errorfs.Wrap(f.mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if ok, _ := path.Match(file, path.Base(op.Path)); !ok || !f.on.Load() {
			return nil
		}
		for _, k := range kinds {
			if op.Kind == k {
				f.fired.Add(1)
				return errDisk
			}
		}
		return nil
	}))
}

// TestFailStop shows D5: after the first failed write or sync of the log nothing is
// acknowledged, nothing is tried again, and what was acknowledged before is there.
func TestFailStop(t *testing.T) {
	for name, kinds := range map[string][]errorfs.OpKind{
		"sync":  {errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo},
		"write": {errorfs.OpFileWrite},
	} {
		t.Run(name, func(t *testing.T) {
			f, fs := newFaulty("*.log", kinds...)
			var fatal atomic.Int32
			l := pebbleledger.New(pebbleledger.Options{
				Dir: dir, FS: fs, Logger: slog.New(slog.DiscardHandler),
				OnFatal: func(error) { fatal.Add(1) },
			})
			if _, err := l.Lead(t.Context()); err != nil {
				t.Fatal(err)
			}
			m := ledgertest.NewMaker(1)
			for range 3 {
				if err := commit(l, m.Random(3)); err != nil {
					t.Fatal(err)
				}
			}
			f.on.Store(true)
			first, err := l.Commit(m.Random(3))
			if err != nil {
				t.Fatal(err)
			}
			second, err := l.Commit(m.Random(3))
			if err != nil {
				t.Fatal(err)
			}
			for _, wait := range []func() error{first, second, first} {
				if err := wait(); !errors.Is(err, errDisk) {
					t.Errorf("wait: error %v, want the disk's", err)
				}
			}
			fired := f.fired.Load()
			f.on.Store(false) // the disk is well again: too late
			for range 3 {
				if _, err := l.Commit(m.Random(3)); !errors.Is(err, errDisk) {
					t.Errorf("commit: error %v, want the disk's", err)
				}
			}
			if err := l.Close(); !errors.Is(err, errDisk) {
				t.Errorf("close: error %v, want the disk's", err)
			}
			if fired == 0 || fatal.Load() != 1 {
				t.Errorf("%d faults, OnFatal called %d times, want 1", fired, fatal.Load())
			}
			recovers(t, f.mem, m, 3, 5)
		})
	}
}

// recovers crashes and wants the fold of at least acked and at most applied batches.
func recovers(t *testing.T, mem *vfs.MemFS, m *ledgertest.Maker, acked, applied uint64) {
	t.Helper()
	for _, unsynced := range []int{0, 50, 100} {
		l := on(t, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(1, 2))}))
		if _, err := l.Lead(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, err := ledgertest.Dump(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		if got.Head.Batch < acked || got.Head.Batch > applied {
			t.Errorf("%d %% kept: %d batches recovered, want %d to %d", unsynced, got.Head.Batch, acked, applied)
		}
		again, fold := ledgertest.NewMaker(1), ledgertest.NewModel()
		for range got.Head.Batch {
			fold.Apply(again.Random(3))
		}
		if d := got.Diff(fold); d != "" {
			t.Errorf("%d %% kept: not a prefix: %s", unsynced, d)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func commit(l *pebbleledger.Ledger, b *queue.Batch) error {
	wait, err := l.Commit(b)
	if err != nil {
		return err
	}
	return wait()
}

// fill commits more than Pebble keeps before it writes a table, or until a commit fails.
func fill(l *pebbleledger.Ledger) error {
	m := ledgertest.NewMaker(2)
	large := make([]byte, 4<<20)
	for range 20 {
		b := m.Random(4)
		for i := range b.Specs {
			b.Specs[i].Payload = large
		}
		if err := commit(l, b); err != nil {
			return err
		}
	}
	return nil
}

// TestFailedFlush shows that a table that cannot be written ends the service too.
func TestFailedFlush(t *testing.T) {
	f, fs := newFaulty("*.sst", errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData)
	fatal := make(chan error, 1)
	l := pebbleledger.New(pebbleledger.Options{
		Dir: dir, FS: fs, Logger: slog.New(slog.DiscardHandler), OnFatal: func(err error) { fatal <- err },
	})
	if _, err := l.Lead(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.on.Store(true)
	defer f.on.Store(false) // Pebble goes on trying; a process would have ended
	_ = fill(l)
	if err := <-fatal; !errors.Is(err, errDisk) {
		t.Errorf("OnFatal got %v, want the disk's error", err)
	}
	if err := commit(l, ledgertest.NewMaker(3).Random(1)); !errors.Is(err, errDisk) {
		t.Errorf("commit: error %v, want the disk's", err)
	}
}

const die = "STINT_TEST_DIE"

// TestManifestFailureExits shows, in a process of its own, that what Pebble cannot survive
// ends the process with status 1 and a log line.
func TestManifestFailureExits(t *testing.T) {
	if os.Getenv(die) != "" {
		f, fs := newFaulty("MANIFEST*", errorfs.OpFileWrite, errorfs.OpFileSync, errorfs.OpFileSyncData)
		l := pebbleledger.New(pebbleledger.Options{Dir: dir, FS: fs, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
		if _, err := l.Lead(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.on.Store(true)
		_ = fill(l)
		select {} // until the flush has failed
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestManifestFailureExits$")
	c.Env = append(os.Environ(), die+"=1")
	var stderr bytes.Buffer
	c.Stderr = &stderr
	err := c.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("ended with %v, want status 1\n%s", err, stderr.String())
	}
	if s := stderr.String(); !strings.Contains(s, "level=ERROR msg=\"ledger failed, exiting\"") || !strings.Contains(s, errDisk.Error()) {
		t.Errorf("no line that says why:\n%s", s)
	}
}
