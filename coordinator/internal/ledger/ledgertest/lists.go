package ledgertest

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// busy leads a ledger and gives it a history, and tasks that have just come.
func busy(t *testing.T, h Harness, seed uint64) *Maker {
	lead(t, h.Ledger)
	m := NewMaker(seed)
	for range 40 {
		commit(t, h.Ledger, m.Random(5))
	}
	m.Begin()
	for range 20 {
		m.Submit()
	}
	commit(t, h.Ledger, m.End())
	return m
}

// selects is what a query selects of a model, in its order.
func (m *Model) selects(q ledger.Query) []queue.Serial {
	var all []queue.Serial
	for s, spec := range m.Specs {
		st, _ := m.statusAt(s, q.Now)
		switch {
		case q.Queue != "" && q.Queue != spec.Queue,
			len(q.States) > 0 && !slices.Contains(q.States, st.State),
			!strings.HasPrefix(spec.ID, q.IDPrefix),
			q.FinishedAfter != 0 && st.Finish <= q.FinishedAfter,
			slices.ContainsFunc(q.Labels, func(l queue.Label) bool { return !slices.Contains(spec.Labels, l) }):
		default:
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b queue.Serial) int {
		if q.IDPrefix != "" {
			return strings.Compare(m.Specs[a].ID, m.Specs[b].ID)
		}
		return cmp.Compare(b, a)
	})
	return all
}

func (m *Model) statusAt(s queue.Serial, now queue.Instant) (queue.Status, bool) {
	l, live := m.Live[s]
	if !live {
		return m.Terminal[s].Status, false
	}
	if l.Status.State == queue.Scheduled && l.Status.Ready <= now {
		l.Status.State, l.Status.BackingOff = queue.Ready, false
	}
	return l.Status, true
}

// listAll walks all pages.
func listAll(t *testing.T, l ledger.Ledger, q ledger.Query) []*ledger.Task {
	t.Helper()
	all, _ := listPages(t, l, q)
	return all
}

// listPages walks all pages and tells how many there were.
func listPages(t *testing.T, l ledger.Ledger, q ledger.Query) (all []*ledger.Task, n int) {
	t.Helper()
	for {
		p, err := l.List(t.Context(), q)
		if err != nil {
			t.Fatalf("list %+v: %v", q, err)
		}
		if len(p.Tasks) > q.Limit {
			t.Fatalf("list: a page of %d tasks, limit %d", len(p.Tasks), q.Limit)
		}
		n++
		all = append(all, p.Tasks...)
		if p.Cursor == nil {
			return all, n
		}
		q.Cursor = p.Cursor
	}
}

func serials(ts []*ledger.Task) []queue.Serial {
	var all []queue.Serial
	for _, t := range ts {
		all = append(all, t.Spec.Serial)
	}
	return all
}

func pages(t *testing.T, h Harness) {
	m := busy(t, h, 12)
	for name, q := range queries(m) {
		for _, size := range []struct{ limit, examine int }{{1, 1}, {3, 1000}, {1000, 7}, {2, 2}} {
			q.Limit, q.Examine = size.limit, size.examine
			got, want := serials(listAll(t, h.Ledger, q)), m.Model.selects(q)
			if !slices.Equal(got, want) {
				t.Errorf("%s in pages of %+v: tasks %v, want %v", name, size, got, want)
			}
		}
	}
	// A task that ends between two pages is on the later ones as what it is then.
	q := ledger.Query{Limit: 1, Examine: 10}
	first, err := h.Ledger.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	m.Begin()
	m.Submit()
	commit(t, h.Ledger, m.End())
	q.Cursor = first.Cursor
	rest := serials(listAll(t, h.Ledger, q))
	if want := m.Model.selects(ledger.Query{})[2:]; !slices.Equal(rest, want) {
		t.Errorf("pages after a submit: %v, want %v", rest, want)
	}
	shut(t, h.Ledger)
}

func cursors(t *testing.T, h Harness) {
	busy(t, h, 13)
	base := ledger.Query{Limit: 1, Examine: 1}
	for name, change := range map[string]func(*ledger.Query){
		"queue":          func(q *ledger.Query) { q.Queue = "default" },
		"states":         func(q *ledger.Query) { q.States = []queue.State{queue.Ready} },
		"labels":         func(q *ledger.Query) { q.Labels = []queue.Label{{Key: "a", Value: "b"}} },
		"prefix":         func(q *ledger.Query) { q.IDPrefix = "t" },
		"finished after": func(q *ledger.Query) { q.FinishedAfter = 1 },
		"cut":            func(q *ledger.Query) { q.Cursor = q.Cursor[:len(q.Cursor)-1] },
		"longer":         func(q *ledger.Query) { q.Cursor = append(q.Cursor, 0) },
		"rubbish":        func(q *ledger.Query) { q.Cursor = []byte("rubbish") },
		"one byte":       func(q *ledger.Query) { q.Cursor = []byte{1} },
	} {
		q := base
		p, err := h.Ledger.List(t.Context(), q)
		if err != nil || p.Cursor == nil {
			t.Fatalf("%s: cursor %x, error %v", name, p.Cursor, err)
		}
		q.Cursor = p.Cursor
		change(&q)
		_, err = h.Ledger.List(t.Context(), q)
		wantErr(t, name, err, ledger.ErrCursor)
	}
	q := base
	p, err := h.Ledger.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	q.Cursor, q.Limit, q.Examine, q.Payload, q.Result, q.History, q.Now = p.Cursor, 9, 99, true, true, true, 1
	if _, err := h.Ledger.List(t.Context(), q); err != nil {
		t.Errorf("same filter, other sizes and flags: %v", err)
	}
	shut(t, h.Ledger)
}

func readies(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	m := NewMaker(14)
	m.Begin()
	s := m.Submit()
	l := &m.b.Live[0]
	m.count(l.Queue, l.Status.State, queue.Scheduled)
	l.Status.State, l.Status.Ready, l.Status.BackingOff = queue.Scheduled, 1000, true
	commit(t, h.Ledger, m.End())
	for now, want := range map[queue.Instant]queue.State{999: queue.Scheduled, 1000: queue.Ready, 1001: queue.Ready} {
		for _, prefix := range []string{"", "task"} {
			q := ledger.Query{Now: now, IDPrefix: prefix, States: []queue.State{want}, Limit: 1, Examine: 1}
			ts := listAll(t, h.Ledger, q)
			if len(ts) != 1 || ts[0].Live.Status.State != want || ts[0].Live.Status.BackingOff != (want == queue.Scheduled) {
				t.Errorf("at %d with prefix %q: %d tasks, want one in state %d", now, prefix, len(ts), want)
			}
		}
	}
	f, err := h.Ledger.Get(t.Context(), ledger.Keys{Serials: []queue.Serial{s}})
	if err != nil || f.Serials[0].Live.Status.State != queue.Scheduled {
		t.Errorf("get gives the record as stored: %+v, error %v", f.Serials[0], err)
	}
	shut(t, h.Ledger)
}

// large shows that a page of large records is cut short rather than read whole.
func large(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	m := NewMaker(15)
	const tasks, size = 40, 1 << 20
	m.Begin()
	for range tasks {
		m.Submit()
		m.b.Specs[len(m.b.Specs)-1].Payload = make([]byte, size/2)
	}
	commit(t, h.Ledger, m.End())
	m.Begin()
	for s := range tasks {
		m.Finish(queue.Serial(s+1), queue.Completed)
		r := make([]byte, size)
		r[s], r[size-1] = 1, 2
		m.b.Terminal[s].Result = r
	}
	commit(t, h.Ledger, m.End())
	for name, q := range map[string]ledger.Query{"serial": {}, "id": {IDPrefix: "task"}} {
		q.Limit, q.Examine, q.Payload, q.Result = 1000, 1000, true, true
		p, err := h.Ledger.List(t.Context(), q)
		if err != nil || p.Cursor == nil || len(p.Tasks) == 0 || len(p.Tasks) >= tasks {
			t.Errorf("by %s: first page has %d tasks, cursor %x, error %v", name, len(p.Tasks), p.Cursor, err)
		}
		for _, task := range listAll(t, h.Ledger, q) {
			if w := m.Model.Terminal[task.Spec.Serial].Result; !slices.Equal(task.Terminal.Result, w) {
				t.Errorf("by %s: task %d: another result", name, task.Spec.Serial)
			}
		}
	}
	same(t, h.Ledger, m.Model)
	shut(t, h.Ledger)
}
