package engine

import (
	"context"
	"sync"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// lookups keeps the lowest batch that every look-up under way has seen. The machine remembers
// what ended after it, so that no answer is stale when it is stepped.
type lookups struct {
	mu      sync.Mutex
	applied uint64   // newest batch that readers surely see
	floors  []*floor // rising by batch; those in use, and some behind them
}

// floor counts the look-ups that began when batch was the newest applied.
type floor struct {
	batch uint64
	users int
}

// begin is called before a look-up reads; end once its answer has been stepped.
func (l *lookups) begin() *floor {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.floors)
	if n == 0 || l.floors[n-1].batch != l.applied {
		l.floors = append(l.floors, &floor{batch: l.applied})
		n++
	}
	l.floors[n-1].users++
	return l.floors[n-1]
}

// end takes nil for no look-up.
func (l *lookups) end(f *floor) {
	if f == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f.users--
}

// advance says that readers see batch n.
func (l *lookups) advance(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.applied = n
}

// settled is the lowest batch seen by all look-ups under way.
func (l *lookups) settled() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	unused := 0
	for unused < len(l.floors) && l.floors[unused].users == 0 {
		unused++
	}
	l.floors = l.floors[unused:]
	if len(l.floors) == 0 {
		return l.applied
	}
	return l.floors[0].batch
}

// lookUp reads what a command needs to know of the ledger. Its floor is kept until the answer
// has been stepped.
func (e *Engine) lookUp(ctx context.Context, c *call) error {
	c.look = e.lookups.begin()
	known, err := e.wanted(ctx, c.cmd)
	if e.hooks.afterLookup != nil {
		e.hooks.afterLookup(c.cmd)
	}
	if err != nil {
		e.drop(c)
		return err
	}
	c.looked = true
	answerLookup(c.cmd, known)
	return nil
}

// drop gives up the look-up of a call that will not be stepped.
func (e *Engine) drop(c *call) {
	e.lookups.end(c.look)
	c.look = nil
}

// lookAgain makes the look-up that the machine asked for, and hands the call in again. If one
// was made already it came too early: then all that was stepped is waited for.
func (e *Engine) lookAgain(ctx context.Context, c *call, stepped uint64) {
	var err error
	if c.looked {
		err = e.until(ctx, stepped)
	}
	if err == nil {
		err = e.lookUp(ctx, c)
	}
	if err == nil {
		e.post(c)
		return
	}
	c.err = err
	if ctx.Err() != nil || e.hasFailed() {
		return // its caller hears that from the engine
	}
	e.config.Logger.Error("look-up failed", "error", err)
	c.answer()
}

// wanted reads what a command is about.
func (e *Engine) wanted(ctx context.Context, cmd queue.Command) ([]queue.Known, error) {
	switch c := cmd.(type) {
	case *queue.Submit:
		return e.knownIDs(ctx, ledger.Keys{IDs: submitIDs(c)})
	case *queue.Import:
		return e.knownIDs(ctx, ledger.Keys{IDs: importIDs(c)})
	case *queue.Cancel:
		return e.knownIDs(ctx, ledger.Keys{IDs: choices(c.Items)})
	case *queue.Rerun:
		return e.knownWithParents(ctx, choices(c.Items))
	default:
		return e.knownLeases(ctx, needed(cmd))
	}
}

func answerLookup(cmd queue.Command, known []queue.Known) {
	found := queue.Lookup{Looked: true, Known: known}
	switch c := cmd.(type) {
	case *queue.Submit:
		c.Lookup = found
	case *queue.Import:
		c.Lookup = found
	case *queue.Cancel:
		c.Lookup = found
	case *queue.Rerun:
		c.Lookup = found
	case *queue.ReportLeases:
		c.Lookup = found
	case *queue.ReleaseLeases:
		c.Lookup = found
	case *queue.ExtendLeases:
		c.Lookup = found
	case *queue.Message:
		c.Lookup = found
	}
}
