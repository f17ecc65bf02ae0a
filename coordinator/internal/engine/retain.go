package engine

import (
	"context"
	"slices"
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
	for {
		wait, err := j.round(ctx)
		if err != nil && ctx.Err() == nil && !e.hasFailed() {
			e.config.Logger.Error("retention round failed", "error", err)
		}
		if sleep(ctx, wait) != nil {
			return
		}
	}
}

// janitor walks the oldest events. Each terminal task has an event of its end, which is not
// dropped before the task was pruned or deferred.
type janitor struct {
	*Engine
	deferred []queue.Serial // due, but something live depended on them at the last try
	again    time.Duration  // when to try them, since the start

	retrying bool    // what is pruned now was deferred before
	at       int64   // in a round: up to here the events have been read
	sent     []chunk // not known to be durable yet
}

// chunk is a part of a page on its way.
type chunk struct {
	call *call
	cmd  *queue.Prune
}

// round prunes what is due now: the tasks deferred before, and what the events name. It gives the
// time until something may be due.
func (j *janitor) round(ctx context.Context) (wait time.Duration, err error) {
	j.at = 0
	start, elapsed := j.clock.read()
	longest := deferredEvery * j.config.RetainEvery
	before := start - micros(j.config.Retain)
	if err := j.settled(ctx, 0); err != nil { // of the round before
		return longest, err
	}
	if elapsed >= j.again {
		if err := j.retry(ctx, before); err != nil {
			return longest, err
		}
		_, now := j.clock.read()
		j.again = now + max(longest, retryShare*(now-elapsed))
	}
	to, err := j.pages(ctx, before)
	if err != nil {
		return longest, err
	}
	wait = time.Duration(to-before) * time.Microsecond
	return min(max(wait, j.config.RetainEvery), longest), nil
}

// retry prunes what was deferred, or keeps it for the next time.
func (j *janitor) retry(ctx context.Context, before queue.Instant) error {
	again := j.deferred
	j.deferred, j.retrying = nil, true
	err := j.prune(ctx, again, before, 0)
	if err == nil {
		err = j.settled(ctx, 0)
	}
	if err != nil {
		j.deferred, j.sent = again, nil
	}
	j.retrying = false
	return err
}

// pages prunes page by page, and gives the time of the first event that stays; now if there is none.
func (j *janitor) pages(ctx context.Context, before queue.Instant) (to queue.Instant, err error) {
	_, newest := j.history.bounds()
	forgotten := int64(0)
	for {
		now, began := j.clock.read()
		p, err := j.page(ctx, before, now)
		if err != nil {
			return 0, err
		}
		if !p.more {
			return p.to, nil
		}
		forgotten += p.events
		_, ended := j.clock.read()
		_, made := j.history.bounds()
		if err := sleep(ctx, rest(forgotten, made-newest, ended-began)); err != nil {
			return 0, err
		}
	}
}

// rest is how long to wait after a page. As long as five events are forgotten for four that are made
// half the time is enough, and the other half is for those who wait for an answer; else it takes all,
// or the history would grow without end.
func rest(forgotten, made int64, took time.Duration) time.Duration {
	if 4*forgotten < 5*made {
		return 0
	}
	return took
}

func micros(d time.Duration) queue.Instant { return queue.Instant(d.Microseconds()) }

// sleep waits unless the time is over before.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read is what a page of events was.
type read struct {
	events int64         // that were due
	to     queue.Instant // of the first that is not; now if there is none
	more   bool          // all were due: there may be another page
}

// page prunes by one page of events.
func (j *janitor) page(ctx context.Context, before, now queue.Instant) (p read, err error) {
	p.to = now
	oldest, newest := j.history.bounds()
	page, err := j.ledger.Events(ctx, max(oldest-1, j.at), retainEvents)
	if err != nil || len(page.Events) == 0 {
		return p, err
	}
	var due []queue.Serial
	seen := make(map[queue.Serial]bool)
	to := int64(0)
	for i := range page.Events {
		v := &page.Events[i]
		if p.more = v.Time < before && v.Sequence <= newest; !p.more {
			p.to = v.Time
			break
		}
		to = v.Sequence
		p.events++
		if endings[v.Kind] && !seen[v.Serial] {
			seen[v.Serial] = true
			due = append(due, v.Serial)
		}
	}
	if p.events == 0 {
		return p, nil
	}
	j.at = to
	slices.Sort(due) // neighbours are looked up by one walk, and deleted by one range
	return p, j.prune(ctx, due, before, to)
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
		if err := j.send(ctx, some, before, to); err != nil {
			return err
		}
	}
	return nil
}

// send hands a chunk in once few are on their way.
func (j *janitor) send(ctx context.Context, tasks []queue.Serial, before queue.Instant, eventsTo int64) error {
	cmd := &queue.Prune{Before: before, EventsTo: eventsTo, Again: j.retrying}
	c := newCall(cmd)
	c.look = j.lookups.begin()
	known, err := j.due(ctx, tasks, before)
	if err == nil {
		err = j.settled(ctx, prunesAtOnce-1)
	}
	if err != nil || len(known) == 0 && eventsTo == 0 {
		j.drop(c)
		return err
	}
	cmd.Looked, cmd.Known = true, known
	if err := j.enqueue(ctx, c); err != nil {
		j.drop(c)
		return err
	}
	j.sent = append(j.sent, chunk{c, cmd})
	return nil
}

// settled waits until no more than some are on their way.
func (j *janitor) settled(ctx context.Context, some int) error {
	for len(j.sent) > some {
		c := j.sent[0]
		if err := j.await(ctx, c.call); err != nil {
			return err
		}
		j.sent = j.sent[1:]
		j.deferred = append(j.deferred, c.cmd.Deferred...)
		if c.cmd.Pruned > 0 {
			j.config.Logger.Debug("pruned", "tasks", c.cmd.Pruned, "deferred", len(j.deferred))
		}
	}
	return nil
}

// due looks tasks up and keeps those that ended before an instant. A task that was run again is not among
// them: its new run ends with an event of its own. One that was deferred is kept for later, since the
// retention may be longer now than it was.
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
		switch {
		case t == nil || t.Terminal == nil:
		case t.Terminal.Status.Finish < before:
			due = append(due, t)
		case j.retrying:
			j.deferred = append(j.deferred, t.Terminal.Serial)
		}
	}
	return appendKnown(nil, due), nil
}
