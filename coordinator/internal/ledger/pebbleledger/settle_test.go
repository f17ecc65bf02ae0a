package pebbleledger

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// settled opens a database whose new tables a settle hears of, and what it writes anew too.
func settled(t *testing.T, at vfs.FS) (*pebble.DB, *settle, *atomic.Int32) {
	t.Helper()
	s, anew := newSettle(), new(atomic.Int32)
	o := Options{FS: at, Logger: slog.New(slog.DiscardHandler)}
	p := o.pebbleOptions(newFailure(&o), nil)
	p.Experimental.SpanPolicyFunc = s.apart
	p.EventListener.FlushEnd = func(i pebble.FlushInfo) { s.flushed(i.Output) }
	p.EventListener.CompactionEnd = func(i pebble.CompactionInfo) {
		if i.Reason != "move" {
			anew.Add(1)
		}
	}
	db, err := pebble.Open("db", p)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.start(db, func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	s.stop() // the tests tidy
	s.work.Wait()
	return db, s, anew
}

func end(t *testing.T, db *pebble.DB) {
	t.Helper()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

// put writes records of a commit, and deletes a task and the events up to it, if drop isn't 0.
func put(t *testing.T, db *pebble.DB, from, drop queue.Serial) {
	t.Helper()
	b := db.NewBatch()
	for n := from; n < from+3; n++ {
		for _, key := range [][]byte{
			record.AppendSerialKey(nil, record.KindSpec, n),
			record.AppendEventsKey(nil, int64(n)),
			record.AppendSerialKey(nil, record.KindLive, n%2+1),
			record.AppendSerialKey(nil, record.KindTerminal, n),
		} {
			if err := b.Set(key, key, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if drop != 0 {
		for _, k := range []record.Kind{record.KindSpec, record.KindTerminal} {
			if err := b.Delete(record.AppendSerialKey(nil, k, drop), nil); err != nil {
				t.Fatal(err)
			}
		}
		low, keep := record.AppendKind(nil, record.KindEvents), record.AppendEventsKey(nil, int64(drop)+1)
		if err := b.DeleteRange(low, keep, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := apply(b, pebble.Sync); err != nil {
		t.Fatal(err)
	}
}

// flush puts, makes tables of it, and tidies.
func flush(t *testing.T, db *pebble.DB, s *settle, from, drop queue.Serial) {
	t.Helper()
	if drop != 0 {
		s.pruned(drop)
	}
	put(t, db, from, drop)
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := s.tidy(t.Context(), db); err != nil {
		t.Fatal(err)
	}
}

// tablesOf counts the tables of a kind in level 0 and below it.
func tablesOf(t *testing.T, db *pebble.DB, k record.Kind) (top, below int) {
	t.Helper()
	levels, err := db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	for n, level := range levels {
		for _, i := range level {
			switch {
			case record.KindOf(i.Smallest.UserKey) != k:
			case n == 0:
				top++
			default:
				below++
			}
		}
	}
	return top, below
}

// TestTablesThatNeedNoMergeMoveAlone: specs and events leave level 0 as they were written; what
// overlaps waits to be merged.
func TestTablesThatNeedNoMergeMoveAlone(t *testing.T) {
	db, s, anew := settled(t, vfs.NewMem())
	defer end(t, db)
	const rounds = 4
	for n := range rounds {
		flush(t, db, s, queue.Serial(10*n+1), 0)
	}
	for _, k := range []record.Kind{record.KindSpec, record.KindEvents} {
		if top, below := tablesOf(t, db, k); top != 0 || below != rounds {
			t.Errorf("kind %c: %d tables in level 0, %d below", k, top, below)
		}
	}
	if top, below := tablesOf(t, db, record.KindLive); top != rounds || below != 0 {
		t.Errorf("live records: %d tables in level 0, %d below", top, below)
	}
	if n := anew.Load(); n != 0 {
		t.Errorf("%d merges", n)
	}
}

// TestDeletionsStayBehindUntilTheyGather: retention deletes what is old beside what is new. The
// deletions have tables of their own, and the new records move. When there are enough of them, they
// are merged with what they delete.
func TestDeletionsStayBehindUntilTheyGather(t *testing.T) {
	db, s, anew := settled(t, vfs.NewMem())
	defer end(t, db)
	flush(t, db, s, 1, 0)
	inOrder := []record.Kind{record.KindSpec, record.KindEvents}
	for n := range queue.Serial(gathered) {
		for _, k := range inOrder {
			if top, below := tablesOf(t, db, k); top != int(n) || below != int(n)+1 {
				t.Errorf("kind %c: %d tables in level 0, %d below, after %d deletions", k, top, below, n)
			}
		}
		flush(t, db, s, 10*n+11, n%2+1) // never all of a table, which would go at once
	}
	for _, k := range inOrder {
		if top, below := tablesOf(t, db, k); top != 0 || below != gathered+1 {
			t.Errorf("kind %c: %d tables in level 0, %d below", k, top, below)
		}
	}
	if anew.Load() == 0 {
		t.Error("no merge")
	}
}

// TestDeletionsOfTerminalRecordsAreApart: a table that reached from the oldest to the newest would
// lie above the one before it, and so on.
func TestDeletionsOfTerminalRecordsAreApart(t *testing.T) {
	db, s, _ := settled(t, vfs.NewMem())
	defer end(t, db)
	for n := range queue.Serial(3) {
		flush(t, db, s, 10*n+101, n+1)
	}
	if top, _ := tablesOf(t, db, record.KindTerminal); top != 6 {
		t.Errorf("%d tables of terminal records after 3 flushes with deletions", top)
	}
}

// TestAStartMovesNothingAcrossTheLedger: what a start finds in the log may reach from the oldest
// record to the newest. It is not merged with all between them, and what comes after it moves.
func TestAStartMovesNothingAcrossTheLedger(t *testing.T) {
	at := vfs.NewMem()
	db, s, _ := settled(t, at)
	for n := range queue.Serial(3) {
		flush(t, db, s, 10*n+1, 0)
	}
	put(t, db, 31, 1)
	end(t, db)

	db, s, first := settled(t, at)
	if err := s.tidy(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	flush(t, db, s, 41, 0)
	end(t, db)

	db, s, anew := settled(t, at)
	defer end(t, db)
	flush(t, db, s, 51, 2) // after a start too, deletions have a table of their own
	for _, k := range []record.Kind{record.KindSpec, record.KindEvents} {
		if top, below := tablesOf(t, db, k); top != 2 || below != 5 {
			t.Errorf("kind %c: %d tables in level 0, %d below", k, top, below)
		}
	}
	if n := first.Load() + anew.Load(); n != 0 {
		t.Errorf("%d merges", n)
	}
}

// TestSettleTellsOfAPanic (D5): Pebble panics where its log cannot be written.
func TestSettleTellsOfAPanic(t *testing.T) {
	db, s, _ := settled(t, vfs.NewMem())
	end(t, db)
	if err := s.tidy(t.Context(), db); err == nil {
		t.Error("a move in a closed database is told to have been done")
	}
}

// late is a database in which something happens while it is asked.
type late struct {
	*pebble.DB
	listed, compacted func() error
}

func (l late) SSTables(o ...pebble.SSTablesOption) ([][]pebble.SSTableInfo, error) {
	levels, err := l.DB.SSTables(o...)
	if err == nil && l.listed != nil {
		err = l.listed()
	}
	return levels, err
}

func (l late) Compact(ctx context.Context, from, to []byte, parallel bool) error {
	if l.compacted != nil {
		return l.compacted()
	}
	return l.DB.Compact(ctx, from, to, parallel)
}

// TestATableOfAFlushMeanwhileIsNotForgotten: it is moved the next time.
func TestATableOfAFlushMeanwhileIsNotForgotten(t *testing.T) {
	db, s, _ := settled(t, vfs.NewMem())
	defer end(t, db)
	err := s.move(t.Context(), late{DB: db, listed: func() error {
		put(t, db, 1, 0)
		return db.Flush()
	}})
	if err != nil {
		t.Fatal(err)
	}
	if top, _ := tablesOf(t, db, record.KindSpec); top != 1 {
		t.Fatalf("%d new tables", top)
	}
	if err := s.tidy(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	if top, below := tablesOf(t, db, record.KindSpec); top != 0 || below != 1 {
		t.Errorf("%d tables in level 0, %d below", top, below)
	}
}

// TestAFailureWhileStoppingIsTold (D5); that it was stopped is none.
func TestAFailureWhileStoppingIsTold(t *testing.T) {
	lost := errors.New("lost")
	for _, want := range []error{lost, nil} {
		db, s, _ := settled(t, vfs.NewMem())
		put(t, db, 1, 0)
		if err := db.Flush(); err != nil {
			t.Fatal(err)
		}
		asked, told := false, error(nil)
		err := s.start(late{DB: db, compacted: func() error {
			asked = true
			s.stop()
			if want == nil {
				return context.Canceled
			}
			return want
		}}, func(err error) { told = err })
		if err != nil {
			t.Fatal(err)
		}
		s.work.Wait()
		if !asked || !errors.Is(told, want) {
			t.Errorf("asked %v, told %v, want %v", asked, told, want)
		}
		end(t, db)
	}
}
