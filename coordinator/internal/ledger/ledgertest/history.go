package ledgertest

import (
	"slices"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// commits makes n batches with 1 to 4 events each and gives the first sequence of each.
func commits(t *testing.T, l ledger.Ledger, m *Maker, n int) []int64 {
	var firsts []int64
	for i := range n {
		m.Begin()
		firsts = append(firsts, m.b.Head.Newest+1)
		for range 1 + i%4 {
			m.Submit()
		}
		commit(t, l, m.End())
	}
	return firsts
}

func events(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	p, err := h.Ledger.Events(t.Context(), 0, 10)
	if err != nil || p.Oldest != 1 || p.Newest != 0 || len(p.Events) != 0 {
		t.Fatalf("of an empty ledger: %+v, error %v", p, err)
	}
	m := NewMaker(21)
	firsts := commits(t, h.Ledger, m, 12)
	all := m.Model.Events
	newest := m.Model.Head.Newest
	for after := int64(0); after <= newest+1; after++ {
		for _, limit := range []int{1, 3, 5, 1000} {
			p, err := h.Ledger.Events(t.Context(), after, limit)
			if err != nil {
				t.Fatalf("after %d: %v", after, err)
			}
			if p.Oldest != 1 || p.Newest != newest {
				t.Fatalf("after %d: kept %d to %d, want 1 to %d", after, p.Oldest, p.Newest, newest)
			}
			end := after + int64(len(p.Events))
			want := all[min(after, newest):min(end, newest)]
			if !slices.Equal(p.Events, want) {
				t.Fatalf("after %d, limit %d: %+v, want %+v", after, limit, p.Events, want)
			}
			if after < newest && !slices.Contains(firsts, end+1) && end != newest {
				t.Errorf("after %d, limit %d: ends at %d, in the middle of a commit", after, limit, end)
			}
			if short := min(int64(limit), newest-after); int64(len(p.Events)) < short || len(p.Events) > limit+3 {
				t.Errorf("after %d: %d events, limit %d", after, len(p.Events), limit)
			}
		}
	}
	shut(t, h.Ledger)
}

func eventFloor(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	m := NewMaker(22)
	commits(t, h.Ledger, m, 9)
	newest := m.Model.Head.Newest
	for to := int64(1); to <= newest+1; to++ {
		m.Begin()
		if to%3 == 0 {
			m.Submit()
		}
		m.PruneEvents(to)
		commit(t, h.Ledger, m.End())
		p, err := h.Ledger.Events(t.Context(), 0, 1000)
		if err != nil {
			t.Fatalf("pruned to %d: %v", to, err)
		}
		if p.Oldest != to+1 || p.Newest != m.Model.Head.Newest || !slices.Equal(p.Events, m.Model.Events) {
			t.Fatalf("pruned to %d: %d events, %d to %d, want %d", to, len(p.Events), p.Oldest, p.Newest, len(m.Model.Events))
		}
	}
	// All of them, those of the same batch too.
	m.Begin()
	m.Submit()
	m.PruneEvents(m.b.Head.Newest)
	commit(t, h.Ledger, m.End())
	p, err := h.Ledger.Events(t.Context(), 0, 1000)
	if err != nil || len(p.Events) != 0 || p.Oldest != p.Newest+1 {
		t.Errorf("all pruned: %+v, error %v", p, err)
	}
	commits(t, h.Ledger, m, 2)
	same(t, h.Ledger, m.Model)
	shut(t, h.Ledger)
}

func prunes(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	m := NewMaker(23)
	m.Begin()
	kept, gone := m.Submit(), m.Submit()
	commit(t, h.Ledger, m.End())
	step := func(f func(queue.Serial)) {
		m.Begin()
		f(kept)
		f(gone)
		commit(t, h.Ledger, m.End())
	}
	step(m.Grant)
	step(m.Fail)
	step(m.Grant)
	step(func(s queue.Serial) { m.Finish(s, queue.Completed) })
	step(m.Defer)
	id := m.Model.Specs[gone].ID
	m.Begin()
	m.Prune(gone)
	commit(t, h.Ledger, m.End())
	f, err := h.Ledger.Get(t.Context(), ledger.Keys{
		IDs: []string{id}, Serials: []queue.Serial{gone},
		Attempts: []queue.AttemptKey{{Serial: gone, Number: 1}, {Serial: kept, Number: 1}},
	})
	if err != nil || f.IDs[0] != nil || f.Serials[0] != nil || f.Attempts[0] != nil || f.Attempts[1] == nil {
		t.Errorf("after pruning: %+v, error %v", f, err)
	}
	same(t, h.Ledger, m.Model)
	step2 := func(f func()) { m.Begin(); f(); commit(t, h.Ledger, m.End()) }
	step2(func() { m.Rerun(kept) }) // no longer due
	same(t, h.Ledger, m.Model)
	shut(t, h.Ledger)
}

// prunesMany forgets tasks in runs of any length, between those that stay: live ones, and ended
// ones with attempts and deferrals.
func prunesMany(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	m := NewMaker(24)
	var all, ended, gone []queue.Serial
	each := func(of []queue.Serial, f func(queue.Serial)) {
		m.Begin()
		for _, s := range of {
			f(s)
		}
		commit(t, h.Ledger, m.End())
	}
	each(make([]queue.Serial, 200), func(queue.Serial) { all = append(all, m.Submit()) })
	for i, s := range all {
		stays := i < 3 || i > 190 || i == 40 || i > 60 && i < 80 && i%3 == 0 || i == 100
		if !stays {
			gone = append(gone, s)
		}
		if i != 40 && i != 100 {
			ended = append(ended, s)
		}
	}
	each(all, m.Grant)
	each(all, func(s queue.Serial) {
		if s%7 == 0 {
			m.Fail(s)
		}
	})
	each(ended, func(s queue.Serial) {
		if s%7 == 0 {
			m.Finish(s, queue.Cancelled)
		} else {
			m.Finish(s, queue.Completed)
		}
	})
	each(ended, func(s queue.Serial) {
		if s%2 == 0 {
			m.Defer(s)
		}
	})
	same(t, h.Ledger, m.Model)
	each(gone, m.Prune)
	same(t, h.Ledger, m.Model)
	var keys ledger.Keys
	for _, s := range all {
		keys.Serials = append(keys.Serials, s)
		keys.Attempts = append(keys.Attempts, queue.AttemptKey{Serial: s, Number: 1})
	}
	f, err := h.Ledger.Get(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		kept := !slices.Contains(gone, s)
		if (f.Serials[i] != nil) != kept || (f.Attempts[i] != nil) != (kept && s%7 == 0) {
			t.Errorf("task %d: kept %v, found %v, attempt %v", i, kept, f.Serials[i] != nil, f.Attempts[i] != nil)
		}
	}
	shut(t, h.Ledger)
	l := h.Reopen(t)
	lead(t, l)
	same(t, l, m.Model)
	shut(t, l)
}
