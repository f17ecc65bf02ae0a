package ledgertest

import (
	"context"
	"fmt"
	"slices"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Dump reads a led ledger whole: what Load hands over, all tasks by List, all events. Each task must
// be found by its id too.
func Dump(ctx context.Context, l ledger.Ledger) (*Model, error) {
	m := NewModel()
	r := &receiver{m: m}
	if err := l.Load(ctx, r); err != nil {
		return nil, err
	}
	if err := dumpTasks(ctx, l, m); err != nil {
		return nil, err
	}
	for {
		p, err := l.Events(ctx, m.Head.Oldest-1+int64(len(m.Events)), 100)
		if err != nil {
			return nil, err
		}
		if p.Oldest != m.Head.Oldest || p.Newest != m.Head.Newest {
			return nil, fmt.Errorf("ledgertest: events %d to %d, head says %d to %d", p.Oldest, p.Newest, m.Head.Oldest, m.Head.Newest)
		}
		if len(p.Events) == 0 {
			return m, nil
		}
		m.Events = append(m.Events, p.Events...)
	}
}

func dumpTasks(ctx context.Context, l ledger.Ledger, m *Model) error {
	q := ledger.Query{Limit: 100, Examine: 1000, Payload: true, Result: true, History: true}
	live := 0
	for {
		p, err := l.List(ctx, q)
		if err != nil {
			return err
		}
		if err := byIDs(ctx, l, p.Tasks); err != nil {
			return err
		}
		for _, t := range p.Tasks {
			if t.Live != nil {
				live++
			}
			if err := m.take(t); err != nil {
				return err
			}
		}
		if p.Cursor == nil {
			break
		}
		q.Cursor = p.Cursor
	}
	if live != len(m.Live) {
		return fmt.Errorf("ledgertest: %d live tasks listed, %d loaded", live, len(m.Live))
	}
	return nil
}

// byIDs looks the tasks of a page up by their ids.
func byIDs(ctx context.Context, l ledger.Ledger, listed []*ledger.Task) error {
	var k ledger.Keys
	for _, t := range listed {
		k.IDs = append(k.IDs, t.Spec.ID)
	}
	f, err := l.Get(ctx, k)
	if err != nil {
		return err
	}
	for i, t := range listed {
		if f.IDs[i] == nil || f.IDs[i].Spec.Serial != t.Spec.Serial {
			return fmt.Errorf("ledgertest: task %q, serial %d, is listed, but by its id there is %+v", t.Spec.ID, t.Spec.Serial, f.IDs[i])
		}
	}
	return nil
}

// take adds a listed task to a model that has been loaded.
func (m *Model) take(t *ledger.Task) error {
	s := t.Spec.Serial
	m.Specs[s] = cloneSpec(t.Spec)
	for _, a := range t.Attempts {
		m.Attempts[queue.AttemptKey{Serial: s, Number: a.Number}] = a
	}
	switch {
	case (t.Live == nil) == (t.Terminal == nil):
		return fmt.Errorf("ledgertest: task %d: not exactly one of live and terminal", s)
	case t.Terminal != nil && t.Terminal.Serial != s, t.Live != nil && t.Live.Serial != s:
		return fmt.Errorf("ledgertest: task %d: record of another", s)
	case t.Terminal != nil:
		m.Terminal[s] = *t.Terminal
	default:
		if d := diff("live", map[queue.Serial]queue.Live{s: cloneLive(*t.Live)}, map[queue.Serial]queue.Live{s: m.Live[s]}); d != "" {
			return fmt.Errorf("ledgertest: listed and loaded differ: %s", d)
		}
	}
	return nil
}

// receiver checks the order of what Load hands over.
type receiver struct {
	m     *Model
	steps []string
	last  queue.Serial
}

func (r *receiver) step(s string) error {
	order := []string{"head", "queue", "spend", "live", "deferred"}
	if n := len(r.steps); n > 0 && slices.Index(order, s) < slices.Index(order, r.steps[n-1]) {
		return fmt.Errorf("ledgertest: %s loaded after %s", s, r.steps[n-1])
	}
	r.steps = append(r.steps, s)
	return nil
}

func (r *receiver) Head(h queue.Head) error {
	r.m.Head = h
	return r.step("head")
}

func (r *receiver) Queue(q *queue.QueueRecord) error {
	r.m.Queues[q.Name] = *q
	return r.step("queue")
}

func (r *receiver) Spend(p *queue.SpendRecord) error {
	r.m.Spends[p.Key()] = *p
	return r.step("spend")
}

func (r *receiver) Live(l *queue.Live) error {
	if l.Serial <= r.last {
		return fmt.Errorf("ledgertest: task %d loaded after %d", l.Serial, r.last)
	}
	r.last = l.Serial
	r.m.Live[l.Serial] = cloneLive(*l)
	return r.step("live")
}

func (r *receiver) Deferred(s queue.Serial) error {
	r.m.Deferred[s] = true
	return r.step("deferred")
}
