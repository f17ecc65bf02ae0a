package ledgertest

import (
	"context"
	"errors"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Harness is one ledger under test, and what can be done to it.
type Harness struct {
	Ledger ledger.Ledger // empty, not led
	// Reopen gives a ledger, not led, over what a closed one left.
	Reopen func(t *testing.T) ledger.Ledger
	// Rival gives another ledger, not led, over the same data.
	Rival func(t *testing.T) ledger.Ledger
	// Crash gives a ledger, not led, over what a crash at this moment would leave, keeping
	// about this percentage of what was not synced. The first goes on.
	Crash func(t *testing.T, unsynced int, seed uint64) ledger.Ledger
}

// Run runs the suite; open makes a harness for each case.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, h Harness)
	}{
		{"a new ledger has an identity and nothing else", empty},
		{"calls before lead and after close are refused", closed},
		{"a ledger that is led is locked", locked},
		{"random batches fold as the model says, and again when reopened", folds},
		{"the same batches give the same ledger (D7)", deterministic},
		{"records keep every field", everyField},
		{"get finds by id, serial and attempt", gets},
		{"get finds many serials at once", getsMany},
		{"get sees one moment while tasks move", getsDuringMoves},
		{"list filters", lists},
		{"list pages are whole and without repeats", pages},
		{"list pages end at the examined bound", examines},
		{"list refuses a cursor of another query", cursors},
		{"a scheduled task whose time has come is listed as ready", readies},
		{"large payloads and results come back and end a page early", large},
		{"events come in whole commits from any sequence", events},
		{"events below the floor are gone", eventFloor},
		{"pruned tasks are gone with all they had", prunes},
		{"many pruned beside each other leave their neighbours", prunesMany},
		{"batches whose events have gaps are refused for good (D5)", refuses},
		{"a wait returns nil again and again", waits},
		{"a cancelled context ends reads", cancels},
		{"what is recovered is a prefix with all that was acknowledged (D1, D2, D4)", crashes},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open(t)) })
	}
}

func lead(t *testing.T, l ledger.Ledger) ledger.Identity {
	t.Helper()
	id, err := l.Lead(t.Context())
	if err != nil {
		t.Fatalf("lead: %v", err)
	}
	return id
}

func commit(t *testing.T, l ledger.Ledger, b *queue.Batch) {
	t.Helper()
	wait, err := l.Commit(b)
	if err != nil {
		t.Fatalf("commit of batch %d: %v", b.Head.Batch, err)
	}
	if err := wait(); err != nil {
		t.Fatalf("wait for batch %d: %v", b.Head.Batch, err)
	}
}

func shut(t *testing.T, l ledger.Ledger) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

// same fails the test unless the ledger holds what the model does.
func same(t *testing.T, l ledger.Ledger, want *Model) {
	t.Helper()
	got, err := Dump(t.Context(), l)
	if err != nil {
		t.Fatalf("dump: %v", err)
	}
	if d := got.Diff(want); d != "" {
		t.Fatalf("ledger differs from the model: %s", d)
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

func empty(t *testing.T, h Harness) {
	id := lead(t, h.Ledger)
	if len(id.ID) != 26 || id.Secret == [32]byte{} {
		t.Errorf("identity %q with secret %x, want a ULID and 32 random bytes", id.ID, id.Secret)
	}
	same(t, h.Ledger, NewModel())
	shut(t, h.Ledger)
	again := h.Reopen(t)
	if got := lead(t, again); got != id {
		t.Errorf("identity %+v after reopening, want %+v", got, id)
	}
	shut(t, again)
}

func closed(t *testing.T, h Harness) {
	try := func(when string) {
		ctx, l := t.Context(), h.Ledger
		_, err := l.Get(ctx, ledger.Keys{IDs: []string{"a"}})
		wantErr(t, when+" get", err, ledger.ErrClosed)
		_, err = l.List(ctx, ledger.Query{Limit: 1, Examine: 1})
		wantErr(t, when+" list", err, ledger.ErrClosed)
		_, err = l.Events(ctx, 0, 1)
		wantErr(t, when+" events", err, ledger.ErrClosed)
		wantErr(t, when+" load", l.Load(ctx, &receiver{m: NewModel()}), ledger.ErrClosed)
		_, err = l.Commit(NewMaker(1).Random(1))
		wantErr(t, when+" commit", err, ledger.ErrClosed)
		wantErr(t, when+" close", l.Close(), ledger.ErrClosed)
	}
	try("before lead:")
	lead(t, h.Ledger)
	shut(t, h.Ledger)
	try("after close:")
}

func locked(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	_, err := h.Rival(t).Lead(t.Context())
	wantErr(t, "lead of a rival", err, ledger.ErrLocked)
	_, err = h.Ledger.Lead(t.Context())
	wantErr(t, "second lead", err, ledger.ErrLocked)
	m := NewMaker(1)
	commit(t, h.Ledger, m.Random(3))
	same(t, h.Ledger, m.Model)
	shut(t, h.Ledger)
	next := h.Reopen(t)
	lead(t, next)
	shut(t, next)
}

func folds(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	m := NewMaker(2)
	for range 60 {
		commit(t, h.Ledger, m.Random(6))
		same(t, h.Ledger, m.Model)
	}
	if len(m.Model.Attempts) == 0 || len(m.Model.Deferred) == 0 || m.Model.Head.Oldest == 1 || len(m.Model.Terminal) == 0 {
		t.Fatalf("the batches are too tame: %+v", m.Model.Head)
	}
	shut(t, h.Ledger)
	again := h.Reopen(t)
	lead(t, again)
	same(t, again, m.Model)
	for range 10 {
		commit(t, again, m.Random(6))
	}
	same(t, again, m.Model)
	shut(t, again)
}

func deterministic(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	a, b := NewMaker(3), NewMaker(3)
	for range 20 {
		commit(t, h.Ledger, a.Random(5))
		b.Random(5)
	}
	same(t, h.Ledger, b.Model)
	shut(t, h.Ledger)
}

func refuses(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	m := NewMaker(4)
	commit(t, h.Ledger, m.Random(3))
	good := m.Model.Clone()
	bad := m.Random(3)
	bad.Events[len(bad.Events)-1].Sequence++
	if _, err := h.Ledger.Commit(bad); err == nil {
		t.Error("a batch with a gap in its events was taken")
	}
	if _, err := h.Ledger.Commit(m.Random(3)); err == nil {
		t.Error("a batch was taken after one had failed")
	}
	same(t, h.Ledger, good)
	_ = h.Ledger.Close()
}

func waits(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	wait, err := h.Ledger.Commit(NewMaker(5).Random(2))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := wait(); err != nil {
			t.Errorf("wait: %v", err)
		}
	}
	shut(t, h.Ledger)
}

func cancels(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	m := NewMaker(6)
	commit(t, h.Ledger, m.Random(5))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := h.Ledger.Get(ctx, ledger.Keys{Serials: []queue.Serial{1}})
	wantErr(t, "get", err, context.Canceled)
	_, err = h.Ledger.List(ctx, ledger.Query{Limit: 9, Examine: 9})
	wantErr(t, "list", err, context.Canceled)
	_, err = h.Ledger.Events(ctx, 0, 9)
	wantErr(t, "events", err, context.Canceled)
	wantErr(t, "load", h.Ledger.Load(ctx, &receiver{m: NewModel()}), context.Canceled)
	shut(t, h.Ledger)
}
