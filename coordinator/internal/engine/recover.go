package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// recover takes the lead and builds the machine from the ledger. No attempt number changes, and
// every live lease has its full length from now on (L7).
func (e *Engine) recover(ctx context.Context) (*queue.Machine, error) {
	began := time.Now()
	identity, err := e.ledger.Lead(ctx)
	if err != nil {
		return nil, fmt.Errorf("engine: take the lead: %w", err)
	}
	m := queue.New(queue.Config{
		LeaseTTL: e.config.LeaseTTL, GrantTimeout: e.config.GrantTimeout, MaxLive: e.config.MaxLive, Offline: e.config.Offline,
	})
	r := &restorer{machine: m, retries: &e.retries}
	if err := e.ledger.Load(ctx, r); err != nil {
		return nil, fmt.Errorf("engine: load: %w", err)
	}
	parents, err := e.parents(ctx, m.Orphans())
	if err != nil {
		return nil, fmt.Errorf("engine: look up dependencies: %w", err)
	}
	e.identity = identity
	e.signer = newSigner(identity.Secret[:])
	e.clock = newClock(e.config.Wall, r.head.Now)
	now, _ := e.clock.read()
	if err := m.Activate(now, parents); err != nil {
		return nil, fmt.Errorf("engine: activate: %w", err)
	}
	e.deferred = r.deferred
	e.committing.Store(r.head.Batch)
	e.gate.advance(r.head.Batch)
	e.lookups.advance(r.head.Batch)
	e.history.publish(nil, r.head.Oldest, r.head.Newest)
	e.config.Logger.Info("recovered", "ledger_id", identity.ID, "version", e.config.Version,
		"batch", r.head.Batch, "queues", r.queues, "live_tasks", r.tasks, "leases", r.leases,
		"newest_sequence", r.head.Newest, "took", time.Since(began))
	return m, nil
}

// parents gives the terminal states of tasks that BLOCKED ones wait for.
func (e *Engine) parents(ctx context.Context, orphans []queue.Serial) (map[queue.Serial]queue.State, error) {
	states := make(map[queue.Serial]queue.State, len(orphans))
	for len(orphans) > 0 {
		var some []queue.Serial
		some, orphans = split(orphans, orphansPerGet)
		found, err := e.ledger.Get(ctx, ledger.Keys{Serials: some})
		if err != nil {
			return nil, err
		}
		for i, t := range found.Serials {
			if t != nil && t.Terminal != nil {
				states[some[i]] = t.Terminal.Status.State
			}
		}
	}
	return states, nil
}

// restorer hands what the ledger loads to the machine.
type restorer struct {
	machine               *queue.Machine
	retries               *retries
	head                  queue.Head
	deferred              []queue.Serial
	queues, tasks, leases int
}

func (r *restorer) Head(h queue.Head) error {
	r.head = h
	r.machine.RestoreHead(h)
	return nil
}

func (r *restorer) Queue(q *queue.QueueRecord) error {
	r.queues++
	r.machine.RestoreQueue(*q)
	r.retries.set(q.Name, q.Settings.Retry)
	return nil
}

func (r *restorer) Spend(s *queue.SpendRecord) error {
	return r.machine.RestoreSpend(*s)
}

func (r *restorer) Live(l *queue.Live) error {
	r.tasks++
	if l.Status.State == queue.Running {
		r.leases++
	}
	return r.machine.RestoreTask(l)
}

func (r *restorer) Deferred(s queue.Serial) error {
	r.deferred = append(r.deferred, s)
	return nil
}
