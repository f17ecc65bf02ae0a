package engine

import (
	"context"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// loop steps the machine. Its fields belong to the goroutine of run.
type loop struct {
	*Engine
	ctx     context.Context // of look-ups
	machine *queue.Machine
	timer   *time.Timer

	gathered []*call // for the next turn, in order of arrival
	bytes    int
	pending  map[queue.Command]*call // stepped, not answered yet

	stepped  uint64        // newest batch made
	granted  uint64        // newest batch with grants that the machine has not seen released; 0: none
	more     bool          // the machine has work left over
	last     time.Duration // elapsed at the last step
	due      time.Duration // elapsed when to step again
	deadline bool          // due counts
}

func newLoop(e *Engine, m *queue.Machine) *loop {
	return &loop{
		Engine:  e,
		machine: m,
		timer:   time.NewTimer(0),
		pending: make(map[queue.Command]*call),
		stepped: m.Head().Batch,
		more:    true, // the first step sets the machine's deadlines
	}
}

// run takes turns until ctx ends or the ledger has failed.
func (l *loop) run(ctx context.Context) {
	defer close(l.turns)
	defer l.timer.Stop()
	l.ctx = ctx
	for l.wait(ctx) {
		l.gather()
		l.turn()
	}
}

// wait blocks until there is something to step and room in the pipeline; false: it is over.
func (l *loop) wait(ctx context.Context) bool {
	for {
		released := l.gate.newest()
		calls := l.calls
		var timer <-chan time.Time
		switch {
		case l.stepped-released >= inFlight:
			calls = nil // what comes meanwhile makes the next batch bigger
		case l.more || l.granted != 0 && released >= l.granted:
			return !l.over(ctx)
		case l.deadline:
			_, elapsed := l.clock.read()
			l.timer.Reset(l.due - elapsed)
			timer = l.timer.C
		}
		select {
		case c := <-calls:
			l.take(c)
			return !l.over(ctx)
		case <-timer:
			return !l.over(ctx)
		case <-l.wake:
		case <-ctx.Done():
			return false
		case <-l.failed:
			return false
		}
	}
}

func (l *loop) over(ctx context.Context) bool { return ctx.Err() != nil || l.hasFailed() }

// gather takes what else has arrived, up to the bounds of a turn. After a stall it is thus
// stepped with the machine's first look at the clock (L7).
func (l *loop) gather() {
	l.take(l.lull.take())
	for len(l.gathered) < turnCalls && l.bytes < turnBytes {
		select {
		case c := <-l.calls:
			l.take(c)
		default:
			return
		}
	}
}

func (l *loop) take(c *call) {
	for c != nil {
		l.gathered = append(l.gathered, c)
		l.bytes += weight(c.cmd)
		c, c.next = c.next, nil // one that comes back from a look-up comes alone
	}
}

// turn steps the machine once and sends what came of it down the pipeline.
func (l *loop) turn() {
	in := queue.Input{Released: l.gate.newest(), Settled: l.lookups.settled()}
	in.Commands = make([]queue.Command, len(l.gathered))
	for i, c := range l.gathered {
		in.Commands[i] = c.cmd
		l.pending[c.cmd] = c
	}
	in.Now, in.Elapsed = l.clock.read()
	l.last = in.Elapsed
	if in.Released >= l.granted {
		l.granted = 0
	}
	l.recycle()
	effects := l.machine.Step(in)
	for _, c := range l.gathered {
		l.drop(c)
	}
	clear(l.gathered)
	l.gathered, l.bytes = l.gathered[:0], 0

	l.more = effects.More
	l.due, l.deadline = l.machine.Next()
	l.due = min(l.due, l.last+longestPause)
	l.send(&effects)
	stepped := l.stepped
	for _, cmd := range effects.Missing {
		c := l.answered(cmd)
		l.workers.Go(func() { l.lookAgain(l.ctx, c, stepped) })
	}
}

// recycle hands the batches that have left back to the machine.
func (l *loop) recycle() {
	for {
		select {
		case b := <-l.spent:
			l.machine.Recycle(b)
		default:
			return
		}
	}
}

// answered takes a call out of those pending.
func (l *loop) answered(cmd queue.Command) *call {
	c := l.pending[cmd]
	delete(l.pending, cmd)
	return c
}

// send passes a turn on to the committer. Turns without anything to tell are dropped.
func (l *loop) send(effects *queue.Effects) {
	t := &turn{batch: effects.Batch, streams: effects.Streams, ended: effects.Ended}
	for _, cmd := range effects.Done {
		t.done = append(t.done, l.answered(cmd))
		if a, ok := cmd.(*queue.Acquire); ok && len(a.Grants) > 0 {
			t.grants = true
		}
	}
	for i := range t.streams {
		t.grants = t.grants || len(t.streams[i].Grants) > 0
	}
	if t.batch != nil {
		l.stepped = t.batch.Head.Batch
		if t.grants {
			l.granted = l.stepped
		}
	} else if len(t.done) == 0 && len(t.streams) == 0 && len(t.ended) == 0 {
		return
	}
	select {
	case l.turns <- t:
	case <-l.failed:
	}
}

// weight is about how many bytes a command may make the ledger write.
func weight(cmd queue.Command) int {
	switch c := cmd.(type) {
	case *queue.Submit:
		n := 0
		for i := range c.Tasks {
			n += itemBytes + len(c.Tasks[i].Payload)
		}
		return n
	case *queue.Import:
		n := 0
		for i := range c.Tasks {
			n += itemBytes + len(c.Tasks[i].Spec.Payload) + len(c.Tasks[i].Result)
		}
		return n
	case *queue.ReportLeases:
		return reportsWeight(c.Reports)
	case *queue.Message:
		return reportsWeight(c.Reports)
	case *queue.Prune:
		return itemBytes * len(c.Known)
	default:
		return itemBytes
	}
}

func reportsWeight(reports []queue.Report) int {
	n := 0
	for i := range reports {
		n += itemBytes + len(reports[i].Result)
	}
	return n
}
