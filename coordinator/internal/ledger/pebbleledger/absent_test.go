package pebbleledger

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// An id that was added is never said to be absent, and few others are looked for in vain.
func TestAbsentNeverDeniesAnID(t *testing.T) {
	a := newAbsent(quietly)
	a.filled()
	const n = 3 * firstIDs // into the second filter
	for i := range n {
		a.addAll([]indexed{{id: fmt.Sprintf("task-%d", i)}})
	}
	for i := range n {
		if a.sure(fmt.Sprintf("task-%d", i)) {
			t.Fatalf("task-%d was added and is said to be absent", i)
		}
	}
	vain := 0
	for i := range n {
		if !a.sure(fmt.Sprintf("other-%d", i)) {
			vain++
		}
	}
	if vain > n/4000 {
		t.Errorf("%d of %d absent ids would be looked for", vain, n)
	}
	if row := *a.asked.Load().row.Load(); len(row) != 2 {
		t.Errorf("%d filters, want 2", len(row))
	}
}

// Until the walk is over, every id may be there.
func TestAbsentSaysNothingBeforeTheWalk(t *testing.T) {
	if newAbsent(quietly).sure("anything") {
		t.Error("an id is said to be absent before anything was read")
	}
}

// TestAbsentForgetsWhatWasPruned: of a thousand times as many ids as are kept, those kept are never said
// to be absent, whether the database has them before the walk, or gets them during it, or not yet; and
// what is noted stays in proportion to them.
func TestAbsentForgetsWhatWasPruned(t *testing.T) {
	const each, keep, rounds = 10, 3, 1000
	db, x, a := memory(t), newIndex(), newAbsent(quietly)
	a.atLeast = 2 * keep * each
	a.filled()
	id := func(round, i int) string { return fmt.Sprintf("task-%d-%d", round, i) }
	batch := func(round int) (ids []indexed) {
		for i := range each {
			ids = append(ids, indexed{id: id(round, i), s: queue.Serial(round)<<20 + queue.Serial(i)}) // a generation each
		}
		return ids
	}
	refills, most := 0, 0
	for round := range rounds {
		if round%4 == 0 {
			a.walk.Wait() // otherwise it goes on beside what follows
		}
		a.addAll(batch(round))
		x.addAll(batch(round))
		if round%2 == 1 {
			if err := x.write(db); err != nil {
				t.Fatal(err)
			}
		}
		if round >= keep {
			x.dropAll(batch(round - keep))
			if a.dropped(each) {
				refills++
				a.refill(db, x.unwritten())
				if refills%2 == 0 {
					a.walk.Wait() // with what it found itself
				}
			}
		}
		for back := range min(round+1, keep) {
			for i := range each {
				if id := id(round-back, i); a.sure(id) {
					t.Fatalf("%s is there and is said to be absent, after %d refills", id, refills)
				}
			}
			if g := record.Generation(round - back); !slices.Contains(a.generations(), g) {
				t.Fatalf("generation %d is not among %v, after %d refills", g, a.generations(), refills)
			}
		}
		if gens := a.generations(); len(gens) > most/each+keep+1 || !slices.IsSortedFunc(gens, func(a, b record.Generation) int { return cmp.Compare(b, a) }) {
			t.Fatalf("%d ids noted at most, generations %v", most, gens)
		}
		most = max(most, a.asked.Load().noted)
	}
	a.walk.Wait()
	if refills < rounds/50 {
		t.Errorf("filled anew %d times", refills)
	}
	if most > 10*keep*each {
		t.Errorf("%d ids noted of which %d are kept", most, keep*each)
	}
	if row := *a.asked.Load().row.Load(); len(row) != 1 {
		t.Errorf("%d filters", len(row))
	}
}

// TestAWalkThatFailsGoesOn: until it can read, what was asked before is asked further, or every id may be there.
func TestAWalkThatFailsGoesOn(t *testing.T) {
	for name, first := range map[string]bool{"the first": true, "a later one": false} {
		db := memory(t)
		x := newIndex()
		x.addAll([]indexed{{id: "kept", s: 1}})
		if err := x.write(db); err != nil {
			t.Fatal(err)
		}
		cut := record.AppendKind(nil, record.KindIndex) // a key that no walk can read
		if err := db.Set(cut, nil, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		said := make(chan struct{}, 1)
		a := newAbsent(slog.New(slog.NewTextHandler(told(said), nil)))
		a.again, a.atLeast = time.Millisecond, 1
		if !first {
			a.filled()
			a.addAll([]indexed{{id: "kept", s: 1}})
			if !a.dropped(1) {
				t.Fatal("not to be filled anew")
			}
		}
		a.refill(db, nil)
		<-said
		if a.sure("kept") || a.sure("other") == first {
			t.Errorf("%s: before it has read, kept is surely absent: %v, other: %v", name, a.sure("kept"), a.sure("other"))
		}
		if err := db.Delete(cut, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		a.walk.Wait()
		if a.filling != nil || a.sure("kept") || !a.sure("other") {
			t.Errorf("%s: not filled once it could read", name)
		}
	}
}

// told hears that something was written.
type told chan struct{}

func (c told) Write(b []byte) (int, error) {
	select {
	case c <- struct{}{}:
	default:
	}
	return len(b), nil
}

var quietly = slog.New(slog.DiscardHandler)

// TestFiltersGrowWithWhatTheyHold: few are asked, and once they are large the room that is not used yet is less than
// twice what is.
func TestFiltersGrowWithWhatTheyHold(t *testing.T) {
	room, n := 0, 0
	for f := newFilter(firstIDs); room < 100_000_000; f = f.next() {
		if f.room > manyIDs && f.room > 2*room {
			t.Errorf("filter %d has room for %d ids behind %d", n, f.room, room)
		}
		room, n = room+f.room, n+1
	}
	if n > 8 {
		t.Errorf("%d filters for %d ids", n, room)
	}
}
