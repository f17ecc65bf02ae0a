package engine

import "github.com/stint-dev/stint/coordinator/internal/queue"

// turn is what one step asked for, on its way out. Nothing in it may leave the process before
// its batch, and all batches before it, are durable (D3).
type turn struct {
	batch   *queue.Batch // nil: nothing to write
	wait    func() error // of batch; set by the committer
	done    []*call
	streams []queue.StreamOut
	ended   []string
	grants  bool
}

// commit applies batches in order. Its syncs overlap with the next step.
func (e *Engine) commit() {
	defer close(e.releases)
	for t := range e.turns {
		if e.hasFailed() {
			return
		}
		if t.batch != nil && !e.apply(t) {
			return
		}
		select {
		case e.releases <- t:
		case <-e.failed:
			return
		}
	}
}

func (e *Engine) apply(t *turn) bool {
	n := t.batch.Head.Batch
	if e.hooks.beforeCommit != nil {
		e.hooks.beforeCommit(n)
	}
	e.payloads.put(t.batch.Specs)
	e.committing.Store(n)
	wait, err := e.ledger.Commit(t.batch)
	if err != nil {
		e.fail("commit", err)
		return false
	}
	e.lookups.advance(n)
	t.wait = wait
	return true
}

// release waits for each batch, and only then lets its turn leave. After a failure it lets
// nothing leave any more (D5).
func (e *Engine) release() {
	for t := range e.releases {
		if t.wait != nil {
			if err := t.wait(); err != nil {
				e.fail("sync", err)
				return
			}
		}
		if e.hasFailed() {
			return
		}
		e.let(t)
	}
}

// let hands everything of a turn over. Nothing in here blocks. The history comes first: a watch
// that begins after an OK sees what the OK is about.
func (e *Engine) let(t *turn) {
	if t.batch != nil {
		e.history.publish(t.batch.Events, t.batch.Head.Oldest, t.batch.Head.Newest)
	}
	for _, c := range t.done {
		c.answer()
	}
	for i := range t.streams {
		e.streams.deliver(&t.streams[i])
	}
	e.ring()
	e.waiters.end(t.ended)
	if t.batch != nil {
		e.gate.advance(t.batch.Head.Batch)
		select {
		case e.spent <- t.batch:
		default: // the loop has enough of them
		}
		select {
		case e.wake <- struct{}{}:
		default: // it has been woken already
		}
	}
}
