package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Engine is the one writer over a ledger; see the package comment. Make it with New, let Run
// run once, and use the methods of API from any goroutine after Active is closed. Slices handed
// to a method must not be changed after it, also when it returned early because its context
// ended.
type Engine struct {
	config Config
	ledger ledger.Ledger
	hooks  hooks

	// Set by Run before active is closed.
	identity ledger.Identity
	signer   *signer
	clock    *clock

	active  chan struct{} // closed: serving
	leaving chan struct{} // closed: GoingAway was called
	halted  chan struct{} // closed: the loop takes no more calls
	stopped chan struct{} // closed: clean stop, everything committed has been released
	failed  chan struct{} // closed: fail-stop, nothing leaves any more
	failure error         // why; set before failed is closed
	failing sync.Once
	leave   sync.Once

	calls    chan *call
	turns    chan *turn // loop to committer
	releases chan *turn // committer to releaser
	wake     chan struct{}
	spent    chan *queue.Batch // released, for the machine to use again

	committing atomic.Uint64 // newest batch handed to Commit: readers may see it
	gate       gate          // newest batch released
	lookups    lookups
	workers    sync.WaitGroup // look-ups under way for the loop

	payloads cache
	retries  retries
	streams  streams
	lull     lull
	untold   untold
	told     []*Stream // by the turn that leaves; of the releaser
	waiters  waiters
	history  history
	space    space
	deferred []queue.Serial // for the janitor: read at load
}

var _ API = (*Engine)(nil)

// New checks the configuration. The ledger belongs to the caller, who closes it after Run.
func New(c Config, l ledger.Ledger) (*Engine, error) {
	err := c.check()
	if l == nil {
		err = errors.Join(err, errors.New("engine: no ledger"))
	}
	if err != nil {
		return nil, err
	}
	return &Engine{
		config:   c,
		ledger:   l,
		active:   make(chan struct{}),
		leaving:  make(chan struct{}),
		halted:   make(chan struct{}),
		stopped:  make(chan struct{}),
		failed:   make(chan struct{}),
		calls:    make(chan *call, backlog),
		turns:    make(chan *turn, turnsWaiting),
		releases: make(chan *turn, turnsWaiting),
		wake:     make(chan struct{}, 1),
		spent:    make(chan *queue.Batch, inFlight),
		payloads: newCache(c.PayloadCache),
	}, nil
}

// Active is closed once calls are taken.
func (e *Engine) Active() <-chan struct{} { return e.active }

// Run takes the lead of the ledger, recovers, and serves until ctx ends. It returns nil after a
// clean stop, when all that was committed has been released, and otherwise the error after
// which nothing was acknowledged; the process must then exit with a failure, without waiting for
// the ledger. It may be called once.
func (e *Engine) Run(ctx context.Context) error {
	machine, err := e.recover(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to stop before it began
		}
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	var parts sync.WaitGroup
	parts.Go(e.commit)
	parts.Go(e.release)
	parts.Go(func() { e.retain(ctx) })
	close(e.active)
	newLoop(e, machine).run(ctx)

	close(e.halted)
	cancel()
	ended := make(chan struct{})
	go func() {
		parts.Wait()
		e.workers.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-e.failed: // a Commit under way may never return
	}
	if e.hasFailed() {
		return e.failure
	}
	close(e.stopped)
	e.streams.end(ErrStopping)
	return nil
}

// GoingAway begins a drain: streams are told, nothing more is granted, and whoever waits for a
// task or a lease is answered as if the time were up. New submits, waits, acquires, streams and
// watches get ErrStopping; reports, releases, extensions and reads are taken until Run ends.
func (e *Engine) GoingAway() {
	e.leave.Do(func() {
		close(e.leaving)
		e.streams.goAway()
		if e.running() == nil {
			e.tell(&queue.Quiesce{})
		}
	})
}

// running refuses calls before Run has recovered and after its clean stop.
func (e *Engine) running() error {
	if closed(e.active) && !closed(e.stopped) {
		return nil
	}
	return ErrStopping
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// serving also refuses, once this coordinator leaves, calls that would begin something new.
func (e *Engine) serving() error {
	if closed(e.leaving) {
		return ErrStopping
	}
	return e.running()
}

// Fail is for a ledger that fails in the background: nothing leaves the process from here on, and
// Run returns the error, even if a Commit hangs. It does not block, and only the first counts.
func (e *Engine) Fail(err error) { e.fail("ledger", err) }

// fail stops everything: nothing leaves the process from here on.
func (e *Engine) fail(doing string, err error) {
	e.failing.Do(func() {
		e.failure = fmt.Errorf("engine: %s: %w", doing, err)
		close(e.failed)
		e.config.Logger.Error("ledger failed, acknowledging nothing more", "error", e.failure)
	})
}

func (e *Engine) hasFailed() bool { return closed(e.failed) }

// uptime is how long this coordinator has been active.
func (e *Engine) uptime() time.Duration {
	_, elapsed := e.clock.read()
	return elapsed
}
