package queue

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// book is a ledger in memory that keeps records and nothing else: what a machine restored from
// it knows, it knows from the batches. It refuses a batch that no ledger could apply.
type book struct {
	head     Head
	specs    map[Serial]Spec
	ids      map[string]Serial
	live     map[Serial]Live
	terminal map[Serial]Terminal
	attempts map[AttemptKey]Attempt
	queues   map[string]QueueRecord
	spends   map[SpendKey]SpendRecord
	events   []Event // all, pruned ones too
}

func newBook() *book {
	return &book{
		head:  Head{NextSerial: 1, Oldest: 1},
		specs: map[Serial]Spec{}, ids: map[string]Serial{}, live: map[Serial]Live{},
		terminal: map[Serial]Terminal{}, attempts: map[AttemptKey]Attempt{}, queues: map[string]QueueRecord{},
		spends: map[SpendKey]SpendRecord{},
	}
}

// fold applies one batch, and tells what is wrong with it.
func (b *book) fold(x *Batch) error {
	if err := errors.Join(b.checkHead(x), x.checkKeys()); err != nil {
		return err
	}
	b.head = x.Head
	for _, s := range x.Specs {
		if old, ok := b.ids[s.ID]; ok {
			return fmt.Errorf("task %s of serial %d is made again as %d", s.ID, old, s.Serial)
		}
		b.specs[s.Serial], b.ids[s.ID] = s, s.Serial
	}
	var errs []error
	for _, s := range x.DropLive {
		errs = append(errs, drop("live record", b.live, s))
	}
	for _, s := range x.DropTerminal {
		errs = append(errs, drop("terminal record", b.terminal, s))
	}
	for _, l := range x.Live {
		b.live[l.Serial] = l
	}
	for _, t := range x.Terminal {
		if old, ok := b.terminal[t.Serial]; ok && old.Status.Run >= t.Status.Run {
			errs = append(errs, fmt.Errorf("task %s became terminal twice", t.ID)) // C1
		}
		b.terminal[t.Serial] = t
	}
	for _, a := range x.Attempts {
		b.attempts[AttemptKey{a.Serial, a.Number}] = a.Attempt
	}
	for _, q := range x.Queues {
		b.queues[q.Name] = q
	}
	for _, r := range x.Spends {
		b.spends[r.Key()] = r
	}
	for _, p := range x.Prune {
		errs = append(errs, b.prune(p))
	}
	b.events = append(b.events, x.Events...)
	return errors.Join(append(errs, b.check())...)
}

func drop[V any](what string, m map[Serial]V, s Serial) error {
	if _, ok := m[s]; !ok {
		return fmt.Errorf("%s of %d is dropped and not there", what, s)
	}
	delete(m, s)
	return nil
}

func (b *book) prune(p Pruned) error {
	if b.ids[p.ID] != p.Serial {
		return fmt.Errorf("pruned %s is serial %d, not %d", p.ID, b.ids[p.ID], p.Serial)
	}
	delete(b.specs, p.Serial)
	delete(b.ids, p.ID)
	for k := range b.attempts {
		if k.Serial == p.Serial {
			if !p.Spilled {
				return fmt.Errorf("pruned %s has attempt records, which it denies", p.ID)
			}
			delete(b.attempts, k)
		}
	}
	for _, l := range b.live {
		if slices.Contains(l.Parents, p.Serial) {
			return fmt.Errorf("pruned %s is depended on by %s", p.ID, l.ID)
		}
	}
	return drop("terminal record", b.terminal, p.Serial)
}

// known is what a look-up of a task gives, as it stands in the book.
func (b *book) known(s Serial) Known {
	k := Known{Spec: b.specs[s]}
	k.Spec.Payload = nil
	if l, ok := b.live[s]; ok {
		k.Status = l.Status
	} else {
		t := b.terminal[s]
		k.Status, k.Failure, k.Final = t.Status, t.Failure, t.Final
	}
	k.Attempts = b.history(s)
	return k
}

// history is the attempts of a task that have records of their own.
func (b *book) history(s Serial) []Attempt {
	var as []Attempt
	for k, a := range b.attempts {
		if k.Serial == s {
			as = append(as, a)
		}
	}
	slices.SortFunc(as, func(a, b Attempt) int { return cmp.Compare(a.Number, b.Number) })
	return as
}

// look answers a command's look-up, with what it would ask a ledger for.
func (b *book) look(c Command) {
	var ids []string
	serials := map[Serial]bool{}
	var lk *Lookup
	switch c := c.(type) {
	case *Submit:
		lk = &c.Lookup
		for i := range c.Tasks {
			ids = append(append(ids, c.Tasks[i].ID), c.Tasks[i].DependsOn...)
		}
	case *Import:
		lk = &c.Lookup
		for i := range c.Tasks {
			ids = append(append(ids, c.Tasks[i].Spec.ID), c.Tasks[i].Spec.DependsOn...)
		}
	case *Cancel:
		lk, ids = &c.Lookup, choiceIDs(c.Items)
	case *Rerun:
		lk, ids = &c.Lookup, choiceIDs(c.Items)
		for _, id := range ids {
			for _, p := range b.specs[b.ids[id]].Parents {
				serials[p] = true
			}
		}
	case *ReportLeases:
		lk = &c.Lookup
		for i := range c.Reports {
			serials[c.Reports[i].Lease.Serial] = true
		}
	case *ReleaseLeases:
		lk = &c.Lookup
		for i := range c.Releases {
			serials[c.Releases[i].Lease.Serial] = true
		}
	case *ExtendLeases:
		lk = &c.Lookup
		for i := range c.Extensions {
			serials[c.Extensions[i].Lease.Serial] = true
		}
	case *Message:
		lk = &c.Lookup
		for i := range c.Reports {
			serials[c.Reports[i].Lease.Serial] = true
		}
		for i := range c.Held {
			serials[c.Held[i].Lease.Serial] = true
		}
	default:
		return
	}
	for _, id := range ids {
		serials[b.ids[id]] = true
	}
	var known []Known
	for _, s := range slices.Sorted(maps.Keys(serials)) {
		if _, ok := b.specs[s]; ok {
			known = append(known, b.known(s))
		}
	}
	lk.Answer(known)
}

func choiceIDs(items []Choice) []string {
	var ids []string
	for _, it := range items {
		ids = append(ids, it.ID)
	}
	return ids
}

// load restores a machine from the records, as a coordinator does that becomes active.
func (b *book) load(c Config, now Instant) (*Machine, error) {
	m := New(c)
	m.RestoreHead(b.head)
	for _, name := range slices.Sorted(maps.Keys(b.queues)) {
		m.RestoreQueue(b.queues[name])
	}
	for _, r := range b.spends {
		if err := m.RestoreSpend(r); err != nil {
			return nil, err
		}
	}
	for _, s := range slices.Sorted(maps.Keys(b.live)) {
		l := b.live[s]
		if err := m.RestoreTask(&l); err != nil {
			return nil, err
		}
	}
	parents := map[Serial]State{}
	for _, p := range m.Orphans() {
		parents[p] = b.terminal[p].Status.State
	}
	return m, m.Activate(now, parents)
}

// clone copies the book; records are never changed in place.
func (b *book) clone() *book {
	return &book{
		head: b.head, specs: maps.Clone(b.specs), ids: maps.Clone(b.ids), live: maps.Clone(b.live),
		terminal: maps.Clone(b.terminal), attempts: maps.Clone(b.attempts), queues: maps.Clone(b.queues), spends: maps.Clone(b.spends),
		events: slices.Clone(b.events),
	}
}
