package queue

import (
	"errors"
	"fmt"
)

// checkHead shows that nothing of the head goes back or skips.
func (b *book) checkHead(x *Batch) error {
	h := x.Head
	if h.Batch != b.head.Batch+1 || h.Now < b.head.Now || h.NextSerial != b.head.NextSerial+Serial(len(x.Specs)) {
		return fmt.Errorf("head %+v does not follow %+v", h, b.head)
	}
	seq := b.head.Newest
	for _, e := range x.Events {
		if seq++; e.Sequence != seq || e.Time != h.Now {
			return fmt.Errorf("event %d at %d of a batch of %d, want sequence %d", e.Sequence, e.Time, h.Now, seq)
		}
	}
	if seq != h.Newest || h.Oldest < b.head.Oldest || h.Oldest > h.Newest+1 {
		return fmt.Errorf("head %+v after event %d", h, seq)
	}
	return nil
}

// checkKeys shows that within a batch nothing is both put and dropped, and nothing put twice:
// a ledger may apply the parts of a batch in any order.
func (x *Batch) checkKeys() error {
	seen := map[string]bool{}
	var errs []error
	once := func(kind string, key any) {
		k := fmt.Sprint(kind, " ", key)
		if seen[k] {
			errs = append(errs, fmt.Errorf("%s stands twice in one batch", k))
		}
		seen[k] = true
	}
	for _, s := range x.Specs {
		once("spec", s.Serial)
		once("id", s.ID)
	}
	for _, l := range x.Live {
		once("live", l.Serial)
	}
	for _, s := range x.DropLive {
		once("live", s)
	}
	for _, t := range x.Terminal {
		once("terminal", t.Serial)
	}
	for _, s := range x.DropTerminal {
		once("terminal", s)
	}
	for _, a := range x.Attempts {
		once("attempt", AttemptKey{a.Serial, a.Number})
	}
	for _, q := range x.Queues {
		once("queue", q.Name)
	}
	for _, r := range x.Spends {
		once("spend", r.Key())
	}
	for _, p := range x.Prune {
		once("terminal", p.Serial)
		once("id", p.ID)
	}
	return errors.Join(errs...)
}

// check shows that the records can stand beside each other (Q1). A live record may say
// SCHEDULED of a task that is READY since its time has come.
func (b *book) check() error {
	counts := map[string]*[States]int64{}
	for name := range b.queues {
		counts[name] = &[States]int64{}
	}
	for s, spec := range b.specs {
		l, isLive := b.live[s]
		t, isTerminal := b.terminal[s]
		switch {
		case isLive == isTerminal:
			return fmt.Errorf("task %s: live %v, terminal %v", spec.ID, isLive, isTerminal)
		case isLive && (l.Status.State.Terminal() || (l.Status.State == Running) != (l.Grant != Grant{})):
			return fmt.Errorf("task %s is live as %s with %+v", spec.ID, l.Status.State, l.Grant)
		case isTerminal && !t.Status.State.Terminal():
			return fmt.Errorf("task %s is terminal as %s", spec.ID, t.Status.State)
		case counts[spec.Queue] == nil:
			return fmt.Errorf("queue %s of task %s is not stored", spec.Queue, spec.ID)
		}
		counts[spec.Queue][max(l.Status.State, t.Status.State)]++
	}
	for name, n := range counts {
		c := b.queues[name].Counts
		n[Ready] += n[Scheduled]
		n[Scheduled] = 0
		sum := c.Pruned
		for _, k := range c.States {
			sum += k
		}
		c.States[Ready] += c.States[Scheduled]
		c.States[Scheduled] = 0
		if *n != c.States || sum != c.Submitted {
			return fmt.Errorf("queue %s counts %+v of %v by records", name, c, *n)
		}
	}
	return nil
}
