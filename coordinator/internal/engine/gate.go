package engine

import (
	"context"
	"sync"
)

// gate lets readers wait until a batch has been released.
type gate struct {
	mu       sync.Mutex
	released uint64
	moved    chan struct{} // closed when released rises; nil while nobody waits
}

// advance says that all batches up to n have been released.
func (g *gate) advance(n uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.released = n
	if g.moved != nil {
		close(g.moved)
		g.moved = nil
	}
}

// newest is the number of the newest batch released.
func (g *gate) newest() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.released
}

// after gives nil once batch n has been released, or a channel that closes when to ask again.
func (g *gate) after(n uint64) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.released >= n {
		return nil
	}
	if g.moved == nil {
		g.moved = make(chan struct{})
	}
	return g.moved
}

// hold keeps back what has just been read of the ledger until all of it is durable: readers may
// see a batch before its sync has finished (D3).
func (e *Engine) hold(ctx context.Context) error {
	return e.until(ctx, e.committing.Load())
}

// until waits for the release of a batch.
func (e *Engine) until(ctx context.Context, n uint64) error {
	for {
		moved := e.gate.after(n)
		if moved == nil {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return e.cut(ctx)
		case <-e.stopped:
			if e.gate.after(n) != nil {
				return ErrStopping
			}
		}
	}
}
