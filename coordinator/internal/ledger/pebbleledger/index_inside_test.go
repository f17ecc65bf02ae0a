package pebbleledger

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func memory(t *testing.T) *pebble.DB {
	t.Helper()
	db, err := pebble.Open("db", &pebble.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func has(t *testing.T, db *pebble.DB, id string) bool {
	t.Helper()
	ok, err := view{r: db}.has(record.AppendIndexKey(nil, 0, id))
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// TestWhatIsDroppedUnderWayIsDroppedAfterwards drops an id between the moment when it is taken for
// the database and the end of its write, and submits it again.
func TestWhatIsDroppedUnderWayIsDroppedAfterwards(t *testing.T) {
	db, x := memory(t), newIndex()
	x.addAll([]indexed{{id: "a", s: 1}, {id: "b", s: 2}})
	c, err := x.take()
	if err != nil {
		t.Fatal(err)
	}
	x.dropAll([]indexed{{id: "a", s: 1}})
	x.addAll([]indexed{{id: "a", s: 3}})
	if err := c.write(db); err != nil {
		t.Fatal(err)
	}
	gone := x.done()
	if !slices.Equal(gone, []indexed{{id: "a", s: 1}}) || x.taken == nil {
		t.Fatalf("dropped under way: %v", gone)
	}
	if err := deleteIndex(db, gone); err != nil {
		t.Fatal(err)
	}
	if gone := x.done(); gone != nil || x.taken != nil {
		t.Fatalf("still to be dropped: %v", gone)
	}
	if has(t, db, "a") || !has(t, db, "b") {
		t.Error("in the index is not b alone")
	}
	if err := x.write(db); err != nil {
		t.Fatal(err)
	}
	if !has(t, db, "a") {
		t.Error("the id is not in the index with its new serial")
	}
}

// TestFreshIDsMayBeAheadOfAView shows that a view tells of an id what it has itself, if the newest
// task of this id came after it.
func TestFreshIDsMayBeAheadOfAView(t *testing.T) {
	db := memory(t)
	key := record.AppendIndexKey(nil, 0, "a")
	old := record.AppendIndex(nil, 1)
	if err := db.Set(key, old, nil); err != nil {
		t.Fatal(err)
	}
	v := view{r: db, fresh: map[string]queue.Serial{"a": 2}}
	for _, want := range []queue.Serial{1, 2} {
		if s, ok, err := v.Serial("a"); err != nil || !ok || s != want {
			t.Errorf("serial %d, found %t, error %v, want %d", s, ok, err, want)
		}
		if err := db.Set(record.AppendSerialKey(nil, record.KindSpec, 2), []byte{1}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPrunedIDsGoWithTheNextWrite: the index deletes what it has of a pruned id only when it writes; an id
// that was submitted again meanwhile stays, and one that was pruned once more goes too.
func TestPrunedIDsGoWithTheNextWrite(t *testing.T) {
	db, x := memory(t), newIndex()
	write := func() {
		t.Helper()
		if err := x.write(db); err != nil {
			t.Fatal(err)
		}
	}
	const later = 1 << 20 // of another generation
	old := []indexed{{id: "again", s: 1}, {id: "gone", s: 2}, {id: "kept", s: 3}, {id: "twice", s: 4}, {id: "later", s: 5}}
	x.addAll(old)
	write()
	x.dropAll([]indexed{old[0], old[1], old[3], old[4]})
	x.addAll([]indexed{{id: "again", s: 6}, {id: "twice", s: 7}, {id: "later", s: later}})
	x.dropAll([]indexed{{id: "twice", s: 7}})
	for _, o := range old {
		if !has(t, db, o.id) {
			t.Errorf("%q is not in the index before the next write", o.id)
		}
	}
	write()
	for id, want := range map[string]bool{"again": true, "gone": false, "kept": true, "twice": false, "later": false} {
		if has(t, db, id) != want {
			t.Errorf("%q is in the index: %t", id, !want)
		}
	}
	for id, want := range map[string]queue.Serial{"again": 6, "later": later, "twice": 0} {
		if s, _, err := (view{r: db}).Serial(id); err != nil || s != want {
			t.Errorf("%q has serial %d, error %v, want %d", id, s, err, want)
		}
	}
	x.at = 2
	x.dropAll([]indexed{{id: "kept", s: 3}})
	if x.full(0) {
		t.Error("a write is due before there are enough changes")
	}
	x.dropAll([]indexed{{id: "again", s: 6}})
	if !x.full(0) {
		t.Error("deletions alone never make a write due")
	}
}
