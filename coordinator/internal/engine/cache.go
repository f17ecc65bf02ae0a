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
	first queue.Serial // of slots
	slots []content    // by serial, without gaps; those that are not kept are empty
}

// content is what a grant carries of a spec.
type content struct {
	payload  []byte // never empty
	priority int32
	needs    *needs // nil: it depends on nothing
}

// needs are the tasks that one depends on.
type needs struct {
	on     []string
	by     []queue.Serial // of on, in its order
	policy queue.Policy
}

func needsOf(s *queue.Spec) *needs {
	if len(s.Parents) == 0 {
		return nil
	}
	return &needs{s.DependsOn, s.Parents, s.OnFailure}
}

// size is what the content weighs in memory, in bytes.
func (c *content) size() int {
	n := len(c.payload)
	if c.needs == nil {
		return n
	}
	for _, id := range c.needs.on {
		n += len(id) + parentOverhead
	}
	return n
}

func newCache(limit int) cache { return cache{limit: limit} }

// put takes the payloads of specs over; they must not be changed any more. Serials rise.
func (c *cache) put(specs []queue.Spec) {
	if c.limit == 0 || len(specs) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range specs {
		s := &specs[i]
		if len(c.slots) == 0 {
			c.first = s.Serial
		}
		for c.first+queue.Serial(len(c.slots)) < s.Serial {
			c.slots = append(c.slots, content{})
		}
		p := content{s.Payload, s.Priority, needsOf(s)}
		c.slots = append(c.slots, p)
		c.bytes += p.size()
	}
	for c.bytes > c.limit || len(c.slots) > cacheSlots {
		c.drop()
	}
}

// drop forgets the oldest.
func (c *cache) drop() {
	c.bytes -= c.slots[0].size()
	c.slots[0] = content{}
	c.slots = c.slots[1:]
	c.first++
}

// empty forgets all.
func (c *cache) empty() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slots, c.bytes = nil, 0
}

// Shed gives up memory that only saves reads: what is granted later is read from the ledger. It may be
// called from any goroutine at any time.
func (e *Engine) Shed() { e.payloads.empty() }

// take gives away what is kept of a task; an empty payload: it is not kept.
func (c *cache) take(s queue.Serial) content {
	if s < c.first || s-c.first >= queue.Serial(len(c.slots)) {
		return content{}
	}
	slot := &c.slots[s-c.first]
	found := *slot
	*slot = content{}
	c.bytes -= found.size()
	for len(c.slots) > 0 && c.slots[0].payload == nil {
		c.drop()
	}
	return found
}

// fill puts what is kept into the leases, and gives the places of those that it does not keep, and
// what those that it does depend on.
func (c *cache) fill(out []Lease, grants []queue.Granted) (missing []int, dependents []dependent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range grants {
		kept := c.take(grants[i].Lease.Serial)
		out[i].Payload, out[i].Priority = kept.payload, kept.priority
		if kept.payload == nil {
			missing = append(missing, i)
		}
		if kept.needs != nil {
			dependents = append(dependents, dependent{i, grants[i].Lease, *kept.needs})
		}
	}
	return missing, dependents
}

// leases makes what the machine granted ready to be handed over, reading the payloads that are
// not in memory, and what became of the tasks that it depends on. The grants must have been
// released. withheld are reports of leases that are not to be handed over; the caller has them
// recorded.
func (e *Engine) leases(ctx context.Context, grants []queue.Granted) (_ []Lease, withheld []queue.Report, err error) {
	pen, out := e.signer.pen(), make([]Lease, len(grants))
	for i := range grants {
		g := &grants[i]
		out[i] = Lease{
			ID: pen.id(g.Lease), TaskID: g.ID, Attempt: g.Lease.Attempt, Run: g.Run,
			Left: g.Left, Status: g.Live, Repeated: g.Repeated,
		}
	}
	missing, dependents := e.payloads.fill(out, grants)
	if len(missing) > 0 {
		more, err := e.readContent(ctx, out, grants, missing)
		if err != nil {
			return nil, nil, err
		}
		dependents = append(dependents, more...)
	}
	if len(dependents) == 0 {
		return out, nil, nil
	}
	return e.withParents(ctx, out, dependents)
}

// readContent fills the leases at the places in missing from the ledger.
func (e *Engine) readContent(ctx context.Context, out []Lease, grants []queue.Granted, missing []int) (dependents []dependent, err error) {
	serials := make([]queue.Serial, len(missing))
	for j, i := range missing {
		serials[j] = grants[i].Lease.Serial
	}
	found, err := e.ledger.Get(ctx, ledger.Keys{Serials: serials, Spec: true, Payload: true})
	if err != nil {
		return nil, err
	}
	for j, t := range found.Serials {
		i := missing[j]
		if t == nil {
			return nil, fmt.Errorf("engine: granted task %q is not in the ledger", out[i].TaskID)
		}
		out[i].Payload, out[i].Priority = t.Spec.Payload, t.Spec.Priority
		if n := needsOf(&t.Spec); n != nil {
			dependents = append(dependents, dependent{i, grants[i].Lease, *n})
		}
	}
	return dependents, nil
}
