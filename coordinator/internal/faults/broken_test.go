package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

var errDisk = errors.New("injected disk error")

var (
	writes = []errorfs.OpKind{errorfs.OpFileWrite, errorfs.OpFileWriteAt}
	syncs  = []errorfs.OpKind{errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo}
	reads  = []errorfs.OpKind{errorfs.OpFileRead, errorfs.OpFileReadAt}
)

// trouble makes operations on files of one name fail: none, the next ones as many as wanted.
type trouble struct {
	file  string
	kinds []errorfs.OpKind
	left  atomic.Int64 // operations that are still to fail
	fired atomic.Int64
	seen  atomic.Int64 // operations of the kinds, failed or not
}

const forEver = 1 << 40

func (x *trouble) on(fs vfs.FS) vfs.FS {
	return errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if ok, _ := path.Match(x.file, path.Base(op.Path)); !ok {
			return nil
		}
		for _, k := range x.kinds {
			if op.Kind != k {
				continue
			}
			x.seen.Add(1)
			if x.left.Add(-1) >= 0 {
				x.fired.Add(1)
				return errDisk
			}
			x.left.Store(0)
		}
		return nil
	}))
}

// D5: after the first write or sync that failed, even if only that one did, nothing is
// acknowledged, Run ends with the error, and what was acknowledged before is there after a crash.
func TestNothingIsAcknowledgedAfterADiskError(t *testing.T) {
	for name, row := range map[string]struct {
		file  string
		kinds []errorfs.OpKind
		n     int64
	}{
		"log write":      {"*.log", writes, forEver},
		"one log write":  {"*.log", writes, 1},
		"log sync":       {"*.log", syncs, forEver},
		"one log sync":   {"*.log", syncs, 1}, // a second try would succeed, and lie
		"table write":    {"*.sst", writes, forEver},
		"one table sync": {"*.sst", syncs, 1},
	} {
		t.Run(name, func(t *testing.T) {
			left := []int{0, 50, 100} // per cent of what was not synced
			if row.file == "*.sst" {
				left = left[1:2] // it takes 20 MiB to have a table written, and as many to recover
			}
			disk := vfs.NewCrashableMem()
			x := &trouble{file: row.file, kinds: row.kinds}
			acked, tried := breakDisk(t, x.on(disk), x, row.n)
			for _, unsynced := range left {
				survives(t, disk, unsynced, acked, tried)
			}
		})
	}
}

// slack is how many submits may be acknowledged after the first fault: none of the log, and some
// when a table cannot be written, because that is found by another goroutine than theirs.
var slack = map[string]int{"*.log": 0, "*.sst": 50}

// breakDisk submits while the disk breaks, and gives what was acknowledged and what was tried.
func breakDisk(t *testing.T, fs vfs.FS, x *trouble, n int64) (acked, tried []string) {
	t.Helper()
	var e *engine.Engine
	store := pebbleledger.New(pebbleledger.Options{
		Dir: folder, FS: fs, Logger: quiet, CacheBytes: 1 << 20, OnFatal: func(err error) { e.Fail(err) },
	})
	e, err := engine.New(config(), store)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- e.Run(context.Background()) }()
	<-e.Active()
	calls, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	next := func() string { return fmt.Sprint("task-", len(tried)) }
	for range 5 {
		tried = append(tried, next())
		if _, err := e.Submit(calls, []queue.Spec{large(tried[len(tried)-1])}, nil); err != nil {
			t.Fatal(err)
		}
		acked = append(acked, tried[len(tried)-1])
	}
	lease, err := e.Acquire(calls, engine.Acquire{Agent: "agent", Max: 1, Length: unaryLength})
	if err != nil || len(lease) != 1 {
		t.Fatal(lease, err)
	}

	x.left.Store(n)
	late := 0
	stuck := make(chan error)
	for failure := error(nil); failure == nil; {
		id := next()
		tried = append(tried, id)
		go func() {
			_, err := e.Submit(calls, []queue.Spec{large(id)}, nil)
			stuck <- err
		}()
		select {
		case err := <-stuck:
			if err != nil {
				t.Fatalf("a submit was refused: %v", err)
			}
			acked = append(acked, id)
			if late++; x.fired.Load() == 0 {
				late = 0
			}
			if late > slack[x.file] {
				t.Fatalf("D5: %d submits were acknowledged after %d faults", late, x.fired.Load())
			}
			continue
		case failure = <-ended:
		}
		if !errors.Is(failure, errDisk) || x.fired.Load() == 0 {
			t.Errorf("Run ended with %v after %d faults", failure, x.fired.Load())
		}
	}
	t.Logf("%d of %d submits acknowledged; the disk failed %d times", len(acked), len(tried), x.fired.Load())
	x.left.Store(0) // the disk is well again: too late
	silence(calls, t, e, hangUp, lease[0].ID, stuck)
	return acked, tried
}

// silence wants all calls that are made after a failure to hang until their callers give up.
func silence(calls context.Context, t *testing.T, e *engine.Engine, hangUp func(), lease string, stuck chan error) {
	t.Helper()
	late := map[string]func() error{
		"submit": func() error { _, err := e.Submit(calls, []queue.Spec{spec("late")}, nil); return err },
		"report": func() error { _, err := e.Report(calls, []engine.Report{success(lease, "x")}); return err },
		"cancel": func() error { _, err := e.Cancel(calls, []queue.Choice{{ID: "task-1"}}, ""); return err },
		"read":   func() error { _, err := e.Task(calls, "task-1"); return err },
		"status": func() error { _, err := e.Status(calls); return err },
	}
	for _, call := range late {
		go func() { stuck <- call() }()
	}
	hangUp()
	for range len(late) + 1 {
		if err := <-stuck; !errors.Is(err, engine.ErrFailed) && !errors.Is(err, context.Canceled) {
			t.Errorf("D5: after the failure a call was answered %v", err)
		}
	}
}

// large is a task of half the size that is allowed, so that tables are soon written.
func large(id string) queue.Spec {
	return spec(id, func(s *queue.Spec) {
		s.Payload = bytes.Clone(noise)
		copy(s.Payload, id)
	})
}

// noise cannot be compressed away.
var noise = func() []byte {
	b := make([]byte, 256<<10)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

// survives crashes the disk, and wants all that was acknowledged and nothing that was not tried.
func survives(t *testing.T, disk *vfs.MemFS, unsynced int, acked, tried []string) {
	t.Helper()
	left := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(1, 2))})
	l := start(t, left)
	defer l.stop()
	kept(t, l, acked, tried)
}

// kept wants all that was acknowledged, and nothing that was not tried (D1).
func kept(t *testing.T, l *life, acked, tried []string) {
	t.Helper()
	for _, id := range acked {
		if got := l.task(id); string(got.Spec.Payload[:len(id)]) != id {
			t.Errorf("D1: %s has another payload", id)
		}
	}
	s, err := l.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := int(s.Counts.Submitted); n < len(acked) || n > len(tried) {
		t.Errorf("D1: %d tasks, acknowledged were %d of %d", n, len(acked), len(tried))
	}
}

// D6: a ledger that cannot be read is refused at the start, and nothing is lost by that. While
// serving, a read that fails is answered with its error and taken for nothing else.
func TestReadErrors(t *testing.T) {
	disk := vfs.NewCrashableMem()
	l := start(t, disk)
	var ids []string
	for i := range 8 {
		ids = append(ids, fmt.Sprint("task-", i))
		l.submit(large(ids[i]))
	}
	l.stop()
	start(t, disk).stop() // it writes the log into a table

	x := &trouble{file: "*.sst", kinds: reads}
	x.left.Store(forEver)
	e, err := engine.New(config(), open(x.on(disk)))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Run(t.Context()); !errors.Is(err, errDisk) || x.fired.Load() == 0 {
		t.Errorf("started with %v after %d faults", err, x.fired.Load())
	}

	for tries := 0; ; tries++ { // what Pebble has read by itself is in its cache
		// A life whose ledger has failed keeps its lock: each has a disk of its own.
		if readWhileServing(t, disk.CrashClone(vfs.CrashCloneCfg{}), x, ids) > 0 {
			break
		}
		if tries == 20 {
			t.Fatal("no read failed while serving")
		}
	}
	start(t, disk).stop()
}

// readWhileServing gives how many tasks could not be read.
func readWhileServing(t *testing.T, disk vfs.FS, x *trouble, ids []string) (unreadable int) {
	t.Helper()
	x.left.Store(0)
	l := startOn(t, open(x.on(disk)))
	x.left.Store(forEver)
	for _, id := range ids {
		switch _, err := l.Task(t.Context(), id); {
		case errors.Is(err, errDisk):
			unreadable++
		case err != nil:
			t.Errorf("a task that cannot be read: %v", err)
		}
	}
	x.left.Store(0)
	kept(t, l, ids, ids)
	l.over = true
	l.end()
	if err := errors.Join(<-l.ended, l.store.Close()); err != nil && !errors.Is(err, errDisk) {
		t.Error(err) // of the disk: Pebble itself has read meanwhile
	}
	return unreadable
}
