package pebbleledger

import (
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// settled is a database whose new tables a settle hears of.
func settled(t *testing.T) (*pebble.DB, *settle, map[uint64]bool) {
	t.Helper()
	s, made := newSettle(), make(map[uint64]bool)
	o := Options{FS: vfs.NewMem(), Logger: slog.New(slog.DiscardHandler)}
	p := o.pebbleOptions(newFailure(&o), nil)
	p.EventListener.FlushEnd = func(i pebble.FlushInfo) {
		for _, t := range i.Output {
			made[uint64(t.FileNum)] = true
		}
		s.flushed(i.Output)
	}
	db, err := pebble.Open("db", p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, s, made
}

// flush writes records of a commit, deletes a spec, if drop isn't 0, and makes tables of it all.
func flush(t *testing.T, db *pebble.DB, from, drop queue.Serial) {
	t.Helper()
	b := db.NewBatch()
	for n := from; n < from+3; n++ {
		for _, key := range [][]byte{
			record.AppendSerialKey(nil, record.KindSpec, n),
			record.AppendEventsKey(nil, int64(n)),
			record.AppendSerialKey(nil, record.KindLive, n%2+1),
		} {
			if err := b.Set(key, key, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if drop != 0 {
		if err := b.Delete(record.AppendSerialKey(nil, record.KindSpec, drop), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := apply(b, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
}

// tablesOf counts the tables of a kind in level 0 and below it.
func tablesOf(t *testing.T, db *pebble.DB, k record.Kind, see func(uint64)) (top, below int) {
	t.Helper()
	levels, err := db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	for n, level := range levels {
		for _, i := range level {
			switch {
			case record.KindOf(i.Smallest.UserKey) != k:
				continue
			case n == 0:
				top++
			default:
				below++
			}
			see(uint64(i.FileNum))
		}
	}
	return top, below
}

// TestTablesThatNeedNoMergeMoveAlone: specs and events leave level 0 as they were written; what
// overlaps waits to be merged.
func TestTablesThatNeedNoMergeMoveAlone(t *testing.T) {
	db, s, made := settled(t)
	const rounds = 4
	for n := range rounds {
		flush(t, db, queue.Serial(10*n+1), 0)
		if err := s.move(t.Context(), db); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range []record.Kind{record.KindSpec, record.KindEvents} {
		top, below := tablesOf(t, db, k, func(n uint64) {
			if !made[n] {
				t.Errorf("kind %c: table %d was written anew", k, n)
			}
		})
		if top != 0 || below != rounds {
			t.Errorf("kind %c: %d tables in level 0, %d below", k, top, below)
		}
	}
	if top, below := tablesOf(t, db, record.KindLive, func(uint64) {}); top != rounds || below != 0 {
		t.Errorf("live records: %d tables in level 0, %d below", top, below)
	}
}

// TestATableThatReachesBackStays: it is merged with others like it, not with each by itself.
func TestATableThatReachesBackStays(t *testing.T) {
	db, s, _ := settled(t)
	for n := range queue.Serial(3) {
		flush(t, db, 10*n+11, 10*n+1)
		if err := s.move(t.Context(), db); err != nil {
			t.Fatal(err)
		}
	}
	if top, below := tablesOf(t, db, record.KindSpec, func(uint64) {}); top != 2 || below != 1 {
		t.Errorf("%d tables in level 0, %d below", top, below)
	}
}
