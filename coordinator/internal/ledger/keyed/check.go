package keyed

import (
	"context"
	"fmt"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Census is what Check has counted.
type Census struct {
	Head                                                              queue.Head
	Queues, Spends, Specs, Live, Terminal, Attempts, Deferred, Events int64
}

// Check reads every record of a view, decodes it, and holds the records against each other.
// What is wrong goes to fault, as a ledger.ErrCorrupt or ErrFormat that names the record, and
// the check goes on; the error is for a check that could not be made. Its memory does not
// grow with the tasks. tick is called for each record read.
func Check(ctx context.Context, v View, fault func(error), tick func()) (Census, error) {
	c := checker{
		reader: reader{v: v, names: new(record.Names)},
		fault:  fault, tick: tick, indexed: ^queue.Serial(0), counts: make(map[string]*queue.Counts), spent: make(map[string]*sums),
	}
	var err error
	if c.Head, err = c.head(); err != nil {
		fault(err)
		c.Head.NextSerial = ^queue.Serial(0)
	}
	for _, k := range []struct {
		kind record.Kind
		f    func(key, value []byte) error
	}{
		{record.KindQueue, c.queue},
		{record.KindSpend, c.spend},
		{record.KindLive, c.live},
		{record.KindTerminal, c.terminal},
		{record.KindIndexed, c.indexedTo},
		{record.KindSpec, c.spec},
		{record.KindIndex, c.index},
		{record.KindAttempt, c.attempt},
		{record.KindDeferred, c.deferred},
		{record.KindEvents, c.events},
	} {
		if err := c.each(ctx, k.kind, func(key, value []byte) error {
			tick()
			if err := k.f(key, value); err != nil {
				fault(err)
			}
			return nil
		}); err != nil {
			if ctx.Err() != nil {
				return c.Census, ctx.Err()
			}
			fault(err)
		}
	}
	if err := c.twice(ctx); err != nil {
		if ctx.Err() != nil {
			return c.Census, ctx.Err()
		}
		fault(err)
	}
	c.totals()
	if err := c.strangers(); err != nil {
		fault(err)
	}
	return c.Census, ctx.Err()
}

// checker makes one check.
type checker struct {
	reader
	Census
	fault   func(error)
	tick    func()
	indexed queue.Serial // specs below are in the index
	stored  []queue.QueueRecord
	counts  map[string]*queue.Counts // as counted
	spent   map[string]*sums
	next    int64 // event expected, 0 before the first
}

func wrong(format string, args ...any) error {
	return fmt.Errorf("keyed: %s: %w", fmt.Sprintf(format, args...), ledger.ErrCorrupt)
}

func (c *checker) queue(key, value []byte) error {
	var q queue.QueueRecord
	if err := record.DecodeQueue(key, value, &q); err != nil {
		return err
	}
	c.Queues++
	c.stored = append(c.stored, q)
	return nil
}

func (c *checker) live(key, value []byte) error {
	var l queue.Live
	if err := record.DecodeLive(key, value, c.names, &l); err != nil {
		return err
	}
	c.Live++
	return c.task(l.Serial, l.ID, l.Queue, l.Status.State)
}

func (c *checker) terminal(key, value []byte) error {
	var t queue.Terminal
	if err := record.DecodeTerminal(key, value, false, c.names, &t); err != nil {
		return err
	}
	c.Terminal++
	if _, both, err := c.get(record.AppendSerialKey(c.key[:0], record.KindLive, t.Serial)); err != nil {
		return err
	} else if both {
		return wrong("task %q, serial %d, is both live and terminal", t.ID, t.Serial)
	}
	return c.task(t.Serial, t.ID, t.Queue, t.Status.State)
}

// task holds a live or terminal record against its spec and the head, and counts it.
func (c *checker) task(s queue.Serial, id, name string, state queue.State) error {
	n := c.counts[name]
	if n == nil {
		n = new(queue.Counts)
		c.counts[name] = n
	}
	n.States[state]++
	if s >= c.Head.NextSerial {
		return wrong("task %q has serial %d, but the next is %d", id, s, c.Head.NextSerial)
	}
	var spec queue.Spec
	switch ok, err := c.reader.spec(s, false, &spec); {
	case err != nil:
		return err
	case !ok:
		return wrong("task %q, serial %d, has a record but no spec", id, s)
	case spec.ID != id || spec.Queue != name:
		return wrong("task %q, serial %d, queue %q: its spec says task %q, queue %q", id, s, name, spec.ID, spec.Queue)
	}
	return nil
}

// spec looks for the record of a spec. That the record names this spec was checked from there.
func (c *checker) spec(key, value []byte) error {
	var spec queue.Spec
	if err := record.DecodeSpec(key, value, false, c.names, &spec); err != nil {
		return err
	}
	c.Specs++
	var t ledger.Task
	ok, err := c.state(spec.Serial, false, &t)
	switch {
	case err != nil:
		return err
	case !ok:
		return orphan(&spec)
	case idOf(&t) != spec.ID:
		return wrong("task %q: its record, serial %d, is that of task %q", spec.ID, spec.Serial, idOf(&t))
	}
	return c.found(&spec)
}

func (c *checker) attempt(key, value []byte) error {
	var a queue.Attempt
	if err := record.DecodeAttempt(key, value, c.names, &a); err != nil {
		return err
	}
	c.Attempts++
	k, err := record.AttemptOf(key)
	if err != nil {
		return err
	}
	var t ledger.Task
	switch ok, err := c.state(k.Serial, false, &t); {
	case err != nil:
		return err
	case !ok:
		return wrong("attempt %d of task serial %d, which is not there", k.Number, k.Serial)
	case !statusOf(&t).MayHaveAttempts():
		return wrong("attempt %d of task %q, which says that it has none stored", k.Number, idOf(&t))
	}
	return nil
}

func (c *checker) deferred(key, value []byte) error {
	s, err := record.DecodeDeferred(key, value)
	if err != nil {
		return err
	}
	c.Deferred++
	if _, ok, err := c.get(record.AppendSerialKey(c.key[:0], record.KindTerminal, s)); err != nil {
		return err
	} else if !ok {
		return wrong("task serial %d is deferred but not terminal", s)
	}
	return nil
}

func (c *checker) events(key, value []byte) error {
	es, err := record.DecodeEvents(key, value, c.names, nil)
	if err != nil {
		return err
	}
	c.Events += int64(len(es))
	expected := c.next
	c.next = es[len(es)-1].Sequence + 1
	if first := es[0].Sequence; expected == 0 && first > c.Head.Oldest || expected != 0 && first != expected {
		return wrong("events %d to %d are missing", max(expected, c.Head.Oldest), first-1)
	}
	return nil
}

// totals judges what can only be judged at the end.
func (c *checker) totals() {
	if end := max(c.next, c.Head.Oldest); end != c.Head.Newest+1 {
		c.fault(wrong("events end at %d, the head says %d", end-1, c.Head.Newest))
	}
	for _, q := range c.stored {
		n := c.counts[q.Name]
		if n == nil {
			n = new(queue.Counts)
		}
		delete(c.counts, q.Name)
		sum := q.Counts.Pruned
		for s, stored := range q.Counts.States {
			sum += stored
			if stored != n.States[s] {
				c.fault(wrong("queue %q counts %d tasks in state %d, there are %d", q.Name, stored, s, n.States[s]))
			}
		}
		if sum != q.Counts.Submitted {
			c.fault(wrong("queue %q counts %d submitted, but %d in all states and pruned", q.Name, q.Counts.Submitted, sum))
		}
	}
	for name := range c.counts {
		c.fault(wrong("queue %q has tasks but no record", name))
	}
	c.spends()
}
