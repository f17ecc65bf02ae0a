package engine

import (
	"context"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// retain forgets, round by round, terminal tasks and events whose retention has ended.
func (e *Engine) retain(ctx context.Context) {
	if e.config.Retain == 0 {
		return
	}
	select {
	case <-e.active:
	case <-ctx.Done():
		return
	}
	j := &janitor{Engine: e, deferred: e.deferred}
	tick := time.NewTicker(e.config.RetainEvery)
	defer tick.Stop()
	for {
		if err := j.round(ctx); err != nil && ctx.Err() == nil && !e.hasFailed() {
			e.config.Logger.Error("retention round failed", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// janitor walks the oldest events. Each terminal task has an event of its end, which is not
// dropped before the task was pruned or deferred.
type janitor struct {
	*Engine
	deferred []queue.Serial // due, but something live depended on them at the last try
}

// round prunes what is due now: first the tasks deferred before, then what the events name.
func (j *janitor) round(ctx context.Context) error {
	now, _ := j.clock.read()
	before := now - queue.Instant(j.config.Retain.Microseconds())
	again := j.deferred
	j.deferred = nil
	if err := j.prune(ctx, again, before, 0); err != nil {
		j.deferred = again
		return err
	}
	for {
		more, err := j.page(ctx, before)
		if err != nil || !more {
			return err
		}
	}
}

// page prunes by one page of events; more tells that there may be another.
func (j *janitor) page(ctx context.Context, before queue.Instant) (more bool, err error) {
	oldest, newest := j.history.bounds()
	page, err := j.ledger.Events(ctx, oldest-1, pageEvents)
	if err != nil {
		return false, err
	}
	var due []queue.Serial
	seen := make(map[queue.Serial]bool)
	to := int64(0)
	for i := range page.Events {
		v := &page.Events[i]
		if v.Time >= before || v.Sequence > newest {
			break
		}
		to, more = v.Sequence, i == len(page.Events)-1
		if endings[v.Kind] && !seen[v.Serial] {
			seen[v.Serial] = true
			due = append(due, v.Serial)
		}
	}
	if to == 0 {
		return false, nil
	}
	return more, j.prune(ctx, due, before, to)
}

// endings are the events of tasks that became terminal.
var endings = map[queue.EventKind]bool{
	queue.EventCompleted: true, queue.EventFailed: true, queue.EventCancelled: true,
	queue.EventExpired: true, queue.EventQuarantined: true,
}

// prune forgets those tasks that are still terminal and due, and with the last of them the
// events up to a sequence.
func (j *janitor) prune(ctx context.Context, tasks []queue.Serial, before queue.Instant, eventsTo int64) error {
	for len(tasks) > 0 || eventsTo > 0 {
		var some []queue.Serial
		some, tasks = split(tasks, prunePerCall)
		to := eventsTo
		if len(tasks) > 0 {
			to = 0
		} else {
			eventsTo = 0
		}
		if err := j.chunk(ctx, some, before, to); err != nil {
			return err
		}
	}
	return nil
}

func (j *janitor) chunk(ctx context.Context, tasks []queue.Serial, before queue.Instant, eventsTo int64) error {
	cmd := &queue.Prune{Before: before, EventsTo: eventsTo}
	c := newCall(cmd)
	c.look = j.lookups.begin()
	known, err := j.due(ctx, tasks, before)
	if err != nil || len(known) == 0 && eventsTo == 0 {
		j.drop(c)
		return err
	}
	cmd.Looked, cmd.Known = true, known
	if err := j.enqueue(ctx, c); err != nil {
		j.drop(c)
		return err
	}
	if err := j.await(ctx, c); err != nil {
		return err
	}
	j.deferred = append(j.deferred, cmd.Deferred...)
	if cmd.Pruned > 0 {
		j.config.Logger.Debug("pruned", "tasks", cmd.Pruned, "deferred", len(j.deferred))
	}
	return nil
}

// due looks tasks up and keeps those that ended before an instant. A retried one is not among
// them: its new run ends with an event of its own.
func (j *janitor) due(ctx context.Context, tasks []queue.Serial, before queue.Instant) ([]queue.Known, error) {
	if len(tasks) == 0 {
		return nil, nil
	}
	found, err := j.ledger.Get(ctx, ledger.Keys{Serials: tasks})
	if err != nil {
		return nil, err
	}
	due := found.Serials[:0]
	for _, t := range found.Serials {
		if t != nil && t.Terminal != nil && t.Terminal.Status.Finish < before {
			due = append(due, t)
		}
	}
	return appendKnown(nil, due), nil
}
