package ledgertest

import (
	"fmt"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
)

// crashes commits with batches ahead of the sync, as the engine does, and crashes before and
// after each wait. What is recovered must be the fold of the first n batches, with n at least
// those whose wait has returned, and must take further batches.
func crashes(t *testing.T, h Harness) {
	if h.Crash == nil {
		t.Skip("cannot crash")
	}
	id := lead(t, h.Ledger)
	m := NewMaker(31)
	folds := []*Model{m.Model.Clone()}
	var waiting []func() error
	acked := 0
	for n := range 24 {
		wait, err := h.Ledger.Commit(m.Random(4))
		if err != nil {
			t.Fatalf("commit: %v", err)
		}
		folds = append(folds, m.Model.Clone())
		waiting = append(waiting, wait)
		crash(t, h, id, folds, acked, uint64(n))
		if n%3 == 0 {
			continue // two ahead for once
		}
		for _, wait := range waiting[:len(waiting)-n%2] {
			if err := wait(); err != nil {
				t.Fatalf("wait: %v", err)
			}
			acked++
		}
		waiting = waiting[len(waiting)-n%2:]
		crash(t, h, id, folds, acked, uint64(n))
	}
	for _, wait := range waiting {
		if err := wait(); err != nil {
			t.Fatalf("wait: %v", err)
		}
	}
	shut(t, h.Ledger)
}

// crash recovers with 0, 50 and 100 percent of what was not synced.
func crash(t *testing.T, h Harness, id ledger.Identity, folds []*Model, acked int, seed uint64) {
	t.Helper()
	for _, unsynced := range []int{0, 50, 100} {
		what := fmt.Sprintf("crash after %d batches, %d acknowledged, %d %% of the rest kept", len(folds)-1, acked, unsynced)
		l := h.Crash(t, unsynced, seed)
		if got := lead(t, l); got != id {
			t.Fatalf("%s: another identity", what)
		}
		got, err := Dump(t.Context(), l)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		n := int(got.Head.Batch)
		if n < acked || n >= len(folds) {
			t.Fatalf("%s: recovered %d batches", what, n)
		}
		if d := got.Diff(folds[n]); d != "" {
			t.Fatalf("%s: not the fold of the first %d batches: %s", what, n, d)
		}
		again := NewMaker(seed)
		again.Model, again.now = folds[n].Clone(), folds[n].Head.Now
		commit(t, l, again.Random(3))
		same(t, l, again.Model)
		shut(t, l)
	}
}
