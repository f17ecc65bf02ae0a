package engine

import (
	"context"
	"fmt"
	"sync"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// cache keeps the payloads of new tasks until their first grant, so that a task which is granted
// soon needs no read. The oldest go first when it is full. Any goroutine may use it.
type cache struct {
	limit int // bytes

	mu    sync.Mutex
	bytes int
	held  map[queue.Serial]content
	order []queue.Serial // as put; may name some that were taken
}

// content is what a grant carries of a spec.
type content struct {
	payload  []byte
	priority int32
	on       []string // the tasks it depends on
	by       []queue.Serial
	policy   queue.Policy
}

// size is what the content weighs in memory, in bytes.
func (c *content) size() int {
	n := len(c.payload)
	for _, id := range c.on {
		n += len(id) + parentOverhead
	}
	return n
}

func newCache(limit int) cache {
	return cache{limit: limit, held: make(map[queue.Serial]content)}
}

// put takes the payloads of specs over; they must not be changed any more.
func (c *cache) put(specs []queue.Spec) {
	if c.limit == 0 || len(specs) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range specs {
		s := &specs[i]
		p := content{s.Payload, s.Priority, s.DependsOn, s.Parents, s.OnFailure}
		c.held[s.Serial] = p
		c.bytes += p.size()
		c.order = append(c.order, s.Serial)
	}
	drop := 0
	for c.bytes > c.limit {
		c.remove(c.order[drop])
		drop++
	}
	c.order = c.order[drop:]
	c.compact()
}

// compact forgets the serials that were taken once they are the most.
func (c *cache) compact() {
	const slack = 1024
	if len(c.order) < 2*len(c.held)+slack {
		return
	}
	kept := make([]queue.Serial, 0, len(c.held))
	for _, s := range c.order {
		if _, ok := c.held[s]; ok {
			kept = append(kept, s)
		}
	}
	c.order = kept
}

// take gives what is kept of a task away.
func (c *cache) take(s queue.Serial) (content, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.held[s]
	c.remove(s)
	return p, ok
}

func (c *cache) remove(s queue.Serial) {
	p := c.held[s]
	c.bytes -= p.size()
	delete(c.held, s)
}

// leases makes what the machine granted ready to be handed over, reading the payloads that are
// not in memory, and what became of the tasks that it depends on. The grants must have been
// released. withheld are reports of leases that are not to be handed over; the caller has them
// recorded.
func (e *Engine) leases(ctx context.Context, grants []queue.Granted) (_ []Lease, withheld []queue.Report, err error) {
	pen, out := e.signer.pen(), make([]Lease, len(grants))
	var missing []queue.Serial
	var at []int
	var dependents []dependent
	add := func(i int, on []string, by []queue.Serial, policy queue.Policy) {
		if len(by) > 0 {
			dependents = append(dependents, dependent{i, grants[i].Lease, on, by, policy})
		}
	}
	for i := range grants {
		g := &grants[i]
		out[i] = Lease{
			ID: pen.id(g.Lease), TaskID: g.ID, Attempt: g.Lease.Attempt, Run: g.Run,
			Left: g.Left, Status: g.Live,
		}
		p, ok := e.payloads.take(g.Lease.Serial)
		if !ok {
			missing = append(missing, g.Lease.Serial)
			at = append(at, i)
		}
		out[i].Payload, out[i].Priority = p.payload, p.priority
		add(i, p.on, p.by, p.policy)
	}
	if len(missing) == 0 {
		return e.withParents(ctx, out, dependents)
	}
	found, err := e.ledger.Get(ctx, ledger.Keys{Serials: missing, Spec: true, Payload: true})
	if err != nil {
		return nil, nil, err
	}
	for j, t := range found.Serials {
		if t == nil {
			return nil, nil, fmt.Errorf("engine: granted task %q is not in the ledger", out[at[j]].TaskID)
		}
		out[at[j]].Payload, out[at[j]].Priority = t.Spec.Payload, t.Spec.Priority
		add(at[j], t.Spec.DependsOn, t.Spec.Parents, t.Spec.OnFailure)
	}
	return e.withParents(ctx, out, dependents)
}
