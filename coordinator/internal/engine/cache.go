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
		c.held[s.Serial] = content{s.Payload, s.Priority}
		c.bytes += len(s.Payload)
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
	c.bytes -= len(c.held[s].payload)
	delete(c.held, s)
}

// leases makes what the machine granted ready to be handed over, reading the payloads that are
// not in memory. The grants must have been released.
func (e *Engine) leases(ctx context.Context, grants []queue.Granted) ([]Lease, error) {
	out := make([]Lease, len(grants))
	var missing []queue.Serial
	var at []int
	for i := range grants {
		g := &grants[i]
		out[i] = Lease{
			ID: e.signer.id(g.Lease), TaskID: g.ID, Attempt: g.Lease.Attempt, Run: g.Run,
			Left: g.Left, Status: g.Live,
		}
		p, ok := e.payloads.take(g.Lease.Serial)
		if !ok {
			missing = append(missing, g.Lease.Serial)
			at = append(at, i)
		}
		out[i].Payload, out[i].Priority = p.payload, p.priority
	}
	if len(missing) == 0 {
		return out, nil
	}
	found, err := e.ledger.Get(ctx, ledger.Keys{Serials: missing, Spec: true, Payload: true})
	if err != nil {
		return nil, err
	}
	for j, t := range found.Serials {
		if t == nil {
			return nil, fmt.Errorf("engine: granted task %q is not in the ledger", out[at[j]].TaskID)
		}
		out[at[j]].Payload, out[at[j]].Priority = t.Spec.Payload, t.Spec.Priority
	}
	return out, nil
}
