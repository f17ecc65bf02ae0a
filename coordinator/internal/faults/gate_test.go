package faults

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// point is a step on the way of a batch, or of a look-up.
type point int

const (
	stepped   point = iota // the machine has decided, and readers do not see it yet
	applied                // readers see it, and it is not durable
	lookedUp               // the ledger was read, and the machine not told yet
	forgotten              // durable, answered, and no longer in memory; nothing is held
)

func (p point) String() string {
	return [...]string{"stepped", "applied", "looked up", "forgotten"}[p]
}

// gate is a ledger that can be held at one point.
type gate struct {
	ledger.Ledger
	t *testing.T

	mu   sync.Mutex
	at   point
	held *held // nil: open
}

type held struct {
	reached, free chan struct{}
	once          sync.Once
}

// hold closes the gate at a point. The function it returns opens it again, and fails the test if
// nothing had come by.
func (g *gate) hold(at point) (open func()) {
	h := &held{reached: make(chan struct{}), free: make(chan struct{})}
	g.mu.Lock()
	g.at, g.held = at, h
	g.mu.Unlock()
	return func() {
		g.t.Helper()
		synctest.Wait()
		select {
		case <-h.reached:
		default:
			g.t.Errorf("the gate at %q held nothing", at)
		}
		g.mu.Lock()
		g.held = nil
		g.mu.Unlock()
		close(h.free)
	}
}

func (g *gate) pass(at point) {
	g.mu.Lock()
	h := g.held
	if g.at != at {
		h = nil
	}
	g.mu.Unlock()
	if h != nil {
		h.once.Do(func() { close(h.reached) })
		<-h.free
	}
}

func (g *gate) Commit(b *queue.Batch) (func() error, error) {
	g.pass(stepped)
	wait, err := g.Ledger.Commit(b)
	if err != nil {
		return nil, err
	}
	return func() error {
		g.pass(applied)
		return wait()
	}, nil
}

func (g *gate) Get(ctx context.Context, k ledger.Keys) (ledger.Found, error) {
	found, err := g.Ledger.Get(ctx, k)
	g.pass(lookedUp)
	return found, err
}

// going is a call under way.
type going[T any] struct {
	t    *testing.T
	done chan struct{}
	got  T
	err  error
}

func begin[T any](t *testing.T, f func() (T, error)) *going[T] {
	g := &going[T]{t: t, done: make(chan struct{})}
	go func() {
		defer close(g.done)
		g.got, g.err = f()
	}()
	return g
}

// waits fails the test if the call has been answered.
func (g *going[T]) waits(what string) {
	g.t.Helper()
	synctest.Wait()
	select {
	case <-g.done:
		g.t.Errorf("D3: %s was answered %v, %v", what, g.got, g.err)
	default:
	}
}

// ends waits for the answer.
func (g *going[T]) ends(what string) T {
	g.t.Helper()
	<-g.done
	if g.err != nil {
		g.t.Errorf("%s: %v", what, g.err)
	}
	return g.got
}
