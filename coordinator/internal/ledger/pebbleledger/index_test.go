package pebbleledger_test

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// indexed reads how far the index goes, behind the ledger's back.
func indexed(t *testing.T, l *pebbleledger.Ledger) queue.Serial {
	t.Helper()
	key := record.AppendKind(nil, record.KindIndexed)
	value, done, err := l.DB().Get(key)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = done.Close() }()
	below, err := record.DecodeIndexed(key, value)
	if err != nil {
		t.Fatal(err)
	}
	return below
}

// TestIDsAreFoundWhereverTheyAre shows that an id is found while only the memory has it, after a
// start that read it from its spec, and when the index has it.
func TestIDsAreFoundWhereverTheyAre(t *testing.T) {
	path := t.TempDir()
	l, m := disk(t, path), ledgertest.NewMaker(7)
	for range 5 {
		if err := commit(l, m.Random(8)); err != nil {
			t.Fatal(err)
		}
	}
	if below := indexed(t, l); below != 1 {
		t.Errorf("the index goes to serial %d before it was written", below)
	}
	look := func(when string) {
		t.Helper()
		got, err := ledgertest.Dump(t.Context(), l)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if d := got.Diff(m.Model); d != "" {
			t.Fatalf("%s: %s", when, d)
		}
	}
	look("in memory")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	// As after a crash that came before the index was written.
	raw(t, path, func(b *pebble.Batch) error {
		err := noIndex(b, m.Model)
		return errors.Join(err, b.Set(record.AppendKind(nil, record.KindIndexed), record.AppendIndexed(nil, 1), nil))
	})
	if r, err := verify(t, path); err != nil {
		t.Errorf("verify before the index was written: %v, %v", r.Faults, err)
	}
	l = disk(t, path)
	look("read again")
	if _, err := l.List(t.Context(), ledger.Query{IDPrefix: "task", Limit: 1, Examine: 1}); err != nil { // needs it
		t.Fatal(err)
	}
	if below := indexed(t, l); below != m.Model.Head.NextSerial {
		t.Errorf("the index goes to serial %d, want %d", below, m.Model.Head.NextSerial)
	}
	look("in the index")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := verify(t, path); err != nil {
		t.Errorf("verify: %v, %v", r.Faults, err)
	}
}

// TestARefusedPruneLeavesTheID shows that an id is forgotten only with a batch that is in the ledger.
func TestARefusedPruneLeavesTheID(t *testing.T) {
	l, m := disk(t, t.TempDir()), ledgertest.NewMaker(3)
	for range 1000 {
		b := m.Random(5)
		if len(b.Prune) == 0 || len(b.Events) == 0 {
			if err := commit(l, b); err != nil {
				t.Fatal(err)
			}
			continue
		}
		id := b.Prune[0].ID
		b.Events[0].Sequence += 1000
		if _, err := l.Commit(b); err == nil {
			t.Fatal("a gap in the events was taken")
		}
		f, err := l.Get(t.Context(), ledger.Keys{IDs: []string{id}})
		if err != nil || f.IDs[0] == nil {
			t.Errorf("task %q of the refused batch: %+v, error %v", id, f.IDs[0], err)
		}
		_ = l.Close()
		return
	}
	t.Fatal("nothing was pruned")
}

// TestAnIDMayLeadNowhere shows that an entry of the index that outlived its task is as good as none,
// for readers and for verify, whether the id came again or not.
func TestAnIDMayLeadNowhere(t *testing.T) {
	path, m := aged(t)
	gone, again := queue.Serial(1), slices.Max(slices.Collect(maps.Keys(m.Model.Specs)))
	for ; m.Model.Specs[gone].ID != ""; gone++ {
	}
	id := m.Model.Specs[again].ID
	if record.GenerationOf(gone) == record.GenerationOf(again) {
		t.Fatalf("serials %d and %d are of one generation", gone, again)
	}
	raw(t, path, func(b *pebble.Batch) error {
		return errors.Join(
			b.Set(keyOf("task-gone", gone), record.AppendIndex(nil, gone), nil),
			b.Set(keyOf(id, gone), record.AppendIndex(nil, gone), nil)) // submitted again after it was pruned
	})
	if r, err := verify(t, path); err != nil {
		t.Errorf("verify: %v, %v", r.Faults, err)
	}
	l := disk(t, path)
	f, err := l.Get(t.Context(), ledger.Keys{IDs: []string{"task-gone"}})
	if err != nil || f.IDs[0] != nil {
		t.Errorf("found %+v, error %v", f.IDs[0], err)
	}
	p, err := l.List(t.Context(), ledger.Query{IDPrefix: "task-gone", Limit: 9, Examine: 9})
	if err != nil || len(p.Tasks) != 0 {
		t.Errorf("listed %+v, error %v", p.Tasks, err)
	}
	if f, err = l.Get(t.Context(), ledger.Keys{IDs: []string{id}}); err != nil || f.IDs[0] == nil || f.IDs[0].Spec.Serial != again {
		t.Errorf("found %+v, error %v, want serial %d", f.IDs[0], err, again)
	}
	p, err = l.List(t.Context(), ledger.Query{IDPrefix: id, Limit: 1, Examine: 9})
	if err != nil || len(p.Tasks) != 1 || p.Tasks[0].Spec.Serial != again {
		t.Errorf("listed %+v, error %v, want serial %d", p.Tasks, err, again)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestTablesKeepKindsApart shows what keeps merging cheap: kinds whose keys come in their order share
// no table with others.
func TestTablesKeepKindsApart(t *testing.T) {
	l, m := disk(t, t.TempDir()), ledgertest.NewMaker(1)
	for range 3 {
		if err := commit(l, m.Random(20)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.List(t.Context(), ledger.Query{IDPrefix: "task", Limit: 1, Examine: 1}); err != nil { // writes the index
		t.Fatal(err)
	}
	spans, err := l.Tables()
	if err != nil || len(spans) == 0 {
		t.Fatalf("%d tables, error %v", len(spans), err)
	}
	for _, k := range []record.Kind{record.KindEvents, record.KindLive, record.KindTerminal, record.KindSpec} {
		for _, s := range spans {
			inside := record.KindOf(s[0]) == k && record.KindOf(s[1]) == k
			outside := bytes.Compare(s[1], record.AppendKind(nil, k)) < 0 || bytes.Compare(s[0], record.AppendKindEnd(nil, k)) >= 0
			if !inside && !outside {
				t.Errorf("a table from %q to %q has records of kind %c and others", s[0], s[1], k)
			}
		}
	}
	if !l.HeardOfTables() {
		t.Error("nobody heard of the new tables")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
