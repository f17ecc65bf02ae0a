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
// grow with the tasks. progress is told tasks done and in all, now and then.
func Check(ctx context.Context, v View, fault func(error), progress func(done, total int64)) (Census, error) {
	c := checker{
		reader: reader{v: v, names: new(record.Names)},
		fault:  fault, progress: progress, indexed: ^queue.Serial(0), gen: newSpecIDs(), fresh: make(map[string]queue.Serial),
		counts: make(map[string]*queue.Counts), spent: make(map[string]*sums),
	}
	var err error
	if c.Head, err = c.head(); err != nil {
		fault(err)
		c.Head.NextSerial = ^queue.Serial(0)
	}
	for _, part := range []func(context.Context) error{
		c.all(record.KindQueue, c.queue),
		c.all(record.KindSpend, c.spend),
		c.all(record.KindIndexed, c.indexedTo),
		c.tasks,
		c.all(record.KindEvents, c.events),
		c.twice,
	} {
		if err := part(ctx); ctx.Err() != nil {
			return c.Census, ctx.Err()
		} else if err != nil {
			fault(err)
		}
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
	fault    func(error)
	progress func(done, total int64)
	indexed  queue.Serial // specs below are in the index
	gen      *specIDs
	gens     []record.Generation     // of the index
	fresh    map[string]queue.Serial // ids that are not in the index yet
	stored   []queue.QueueRecord
	total    int64                    // tasks, as the queues say
	counts   map[string]*queue.Counts // as counted
	some     bool                     // only some of the tasks could be counted
	spent    map[string]*sums
	next     int64 // event expected, 0 before the first
}

// all gives the part of the check that reads all records of a kind, one by one.
func (c *checker) all(k record.Kind, f func(key, value []byte) error) func(context.Context) error {
	return func(ctx context.Context) error {
		return c.each(ctx, k, func(key, value []byte) error {
			if err := f(key, value); err != nil {
				c.fault(err)
			}
			return nil
		})
	}
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
	for _, n := range q.Counts.States {
		c.total += n
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
			if stored != n.States[s] && !c.some {
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
