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
	ok, err := view{r: db}.has(record.AppendIndexKey(nil, id))
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
	if !slices.Equal(gone, []string{"a"}) || x.taken == nil {
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
	key := record.AppendIndexKey(nil, "a")
	old := record.AppendIndex(nil, 1)
	if err := db.Set(key, old, nil); err != nil {
		t.Fatal(err)
	}
	v := view{db, map[string]queue.Serial{"a": 2}}
	for _, want := range []queue.Serial{1, 2} {
		value, ok, err := v.Get(key, nil)
		if err != nil || !ok {
			t.Fatalf("found %t, error %v", ok, err)
		}
		if s, err := record.DecodeIndex(key, value); err != nil || s != want {
			t.Errorf("serial %d, error %v, want %d", s, err, want)
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
	old := []indexed{{id: "again", s: 1}, {id: "gone", s: 2}, {id: "kept", s: 3}, {id: "twice", s: 4}}
	x.addAll(old)
	write()
	x.dropAll([]indexed{old[0], old[1], old[3]})
	x.addAll([]indexed{{id: "again", s: 5}, {id: "twice", s: 6}})
	x.dropAll([]indexed{{id: "twice", s: 6}})
	for _, o := range old {
		if !has(t, db, o.id) {
			t.Errorf("%q is not in the index before the next write", o.id)
		}
	}
	write()
	for id, want := range map[string]bool{"again": true, "gone": false, "kept": true, "twice": false} {
		if has(t, db, id) != want {
			t.Errorf("%q is in the index: %t", id, !want)
		}
	}
	if v, _, err := (view{r: db}).Get(record.AppendIndexKey(nil, "again"), nil); err != nil {
		t.Error(err)
	} else if s, err := record.DecodeIndex(record.AppendIndexKey(nil, "again"), v); err != nil || s != 5 {
		t.Errorf("\"again\" has serial %d, error %v", s, err)
	}
	x.at = 2
	x.dropAll([]indexed{{id: "kept", s: 3}})
	if x.full(0) {
		t.Error("a write is due before there are enough changes")
	}
	x.dropAll([]indexed{{id: "again", s: 5}})
	if !x.full(0) {
		t.Error("deletions alone never make a write due")
	}
}
