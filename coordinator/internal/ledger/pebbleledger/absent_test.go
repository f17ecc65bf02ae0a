package pebbleledger

import (
	"fmt"
	"testing"
)

// An id that was added is never said to be absent, and few others are looked for in vain.
func TestAbsentNeverDeniesAnID(t *testing.T) {
	a := newAbsent()
	a.complete.Store(true)
	const n = 3 * firstIDs // into the second filter
	for i := range n {
		a.add(fmt.Sprintf("task-%d", i))
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
	if vain > n/1000 {
		t.Errorf("%d of %d absent ids would be looked for", vain, n)
	}
	if filters := *a.filters.Load(); len(filters) != 2 {
		t.Errorf("%d filters, want 2", len(filters))
	}
}

// Until the walk is over, every id may be there.
func TestAbsentSaysNothingBeforeTheWalk(t *testing.T) {
	if newAbsent().sure("anything") {
		t.Error("an id is said to be absent before anything was read")
	}
}
