package pebbleledger

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// TestWhatACrashLeavesOfPrunedTasksGoes: ids that were in the index when their tasks were pruned, right before a
// crash, go at the next start, once all specs are of later generations; no other id does.
func TestWhatACrashLeavesOfPrunedTasksGoes(t *testing.T) {
	const later = 3 << 20 // another generation
	for name, c := range map[string]struct {
		kept    []queue.Serial // submitted behind the pruned ones
		entries int            // left after the start
		gens    []record.Generation
	}{
		"others are kept":            {[]queue.Serial{later + 1, later + 2, later + 1<<20}, 3, []record.Generation{4, 3}},
		"one of the same generation": {[]queue.Serial{200, later + 1}, 102, []record.Generation{3, 0}},
		"none is kept":               {nil, 100, []record.Generation{0}}, // more may come of this one
	} {
		mem := vfs.NewCrashableMem()
		l := inMemory(t, mem)
		var pruned []queue.Pruned
		for i := range 100 {
			pruned = append(pruned, queue.Pruned{Serial: queue.Serial(i + 1), ID: fmt.Sprint("pruned-", i)})
			submits(t, l, queue.Serial(i+1), pruned[i].ID)
		}
		for _, s := range c.kept {
			submits(t, l, s, fmt.Sprint("kept-", s))
		}
		if err := l.index.write(l.db); err != nil {
			t.Fatal(err)
		}
		writes(t, l, &queue.Batch{Head: record.FirstHead(), Prune: pruned})
		crashed := mem.CrashClone(vfs.CrashCloneCfg{})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l = inMemory(t, crashed)
		if n := entries(t, l.db); n != c.entries || !slices.Equal(l.absent.generations(), c.gens) {
			t.Errorf("%s: %d entries in generations %v, want %d in %v", name, n, l.absent.generations(), c.entries, c.gens)
		}
		for _, s := range c.kept {
			f, err := l.Get(t.Context(), ledger.Keys{IDs: []string{fmt.Sprint("kept-", s), "pruned-7"}})
			if err != nil || f.IDs[0] == nil || f.IDs[0].Terminal.Serial != s || f.IDs[1] != nil {
				t.Errorf("%s: found %v, error %v", name, f.IDs, err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func inMemory(t *testing.T, fs vfs.FS) *Ledger {
	t.Helper()
	l := New(Options{Dir: "d", FS: fs, Logger: quietly, CacheBytes: 1 << 20})
	if _, err := l.Lead(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// submits writes a task that has ended.
func submits(t *testing.T, l *Ledger, s queue.Serial, id string) {
	t.Helper()
	writes(t, l, &queue.Batch{
		Head:     record.FirstHead(),
		Specs:    []queue.Spec{{Serial: s, ID: id, Queue: "default", AttemptTimeout: time.Second, Retry: queue.Retry{MaxAttempts: 1}}},
		Terminal: []queue.Terminal{{Serial: s, ID: id, Queue: "default", Status: queue.Status{State: queue.Completed, Run: 1, Create: 1, Finish: 1}}},
	})
}

func writes(t *testing.T, l *Ledger, b *queue.Batch) {
	t.Helper()
	wait, err := l.Commit(b)
	if err == nil {
		err = wait()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// entries counts what is in the index.
func entries(t *testing.T, db *pebble.DB) (n int) {
	t.Helper()
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: record.AppendKind(nil, record.KindIndex), UpperBound: record.AppendKindEnd(nil, record.KindIndex),
	})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}
