package ledgertest

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// live is the task as of the batches before; each task moves at most once in a batch.
func (m *Maker) live(s queue.Serial) queue.Live {
	l, ok := m.Model.Live[s]
	if !ok {
		panic(fmt.Sprintf("ledgertest: task %d is not live", s))
	}
	return l
}

func (m *Maker) put(l queue.Live, from queue.State) {
	m.b.Live = append(m.b.Live, l)
	m.count(l.Queue, from, l.Status.State)
}

// Grant gives a task to an agent.
func (m *Maker) Grant(s queue.Serial) {
	l := m.live(s)
	from := l.Status.State
	l.Parents = nil
	l.Status.State, l.Status.Ready = queue.Running, max(l.Status.Ready, l.Status.Create)
	l.Status.Attempt++
	if l.Status.Start == 0 {
		l.Status.Start = m.now
	}
	l.Grant = queue.Grant{Agent: fmt.Sprintf("worker_%08x", m.rng.IntN(8)), Length: 30 * time.Second, Start: m.now}
	if m.rng.IntN(2) == 0 {
		l.Grant.Instance = fmt.Sprintf("instance-%d", m.rng.IntN(8))
	} else {
		l.Grant.Request = "request"
	}
	m.put(l, from)
	m.event(queue.EventGranted, s, l.ID, l.Queue, &l.Status, l.Grant.Agent)
}

// attempt is the running one, ended now and settled.
func (m *Maker) attempt(l *queue.Live, o queue.Outcome) queue.Attempt {
	a := queue.Attempt{
		Number: l.Status.Attempt, Run: l.Status.Run, Agent: l.Grant.Agent, Unary: l.Grant.Unary(),
		Start: l.Grant.Start, Finish: m.now, Outcome: o, End: queue.EndReported, Reported: true,
		Digest: queue.Digest{1, byte(l.Serial)}, Reserved: l.MaxCost, Spent: l.MaxCost, Settled: true,
	}
	switch m.rng.IntN(4) {
	case 0:
		a.Cost, a.HasCost = queue.Micros(m.rng.IntN(300_000)), true
		a.Spent = a.Cost
	case 1:
		a.Spent = 0
	}
	l.Status.Spent += a.Spent
	m.settle(l.Queue, l.FairnessKey, &a, a.Spent, 1)
	return a
}

// Fail ends the attempt of a running task, which is tried again after a back-off.
func (m *Maker) Fail(s queue.Serial) {
	l := m.live(s)
	from := l.Status.State
	a := m.attempt(&l, queue.OutcomeFailed)
	a.Failure = queue.Failure{Class: queue.ClassServerError, Message: "500", HTTPStatus: 500, RetryAfter: time.Second}
	m.b.Attempts = append(m.b.Attempts, queue.AttemptRecord{Serial: s, Attempt: a})
	m.event(queue.EventAttemptFailed, s, l.ID, l.Queue, &l.Status, l.Grant.Agent)
	m.newest().Class = queue.ClassServerError
	m.newest().Cost, m.newest().HasCost = a.Spent, true
	l.Status.State, l.Status.Ready, l.Status.BackingOff = queue.Scheduled, m.now+1_000_000, true
	l.Status.Counted++
	l.Status.Spilled = true
	l.Grant = queue.Grant{}
	m.put(l, from)
}

// Finish ends a task: COMPLETED with a result, or in another terminal state with a failure.
func (m *Maker) Finish(s queue.Serial, to queue.State) {
	l := m.live(s)
	from := l.Status.State
	t := queue.Terminal{Serial: s, ID: l.ID, Queue: l.Queue}
	kind := queue.EventCancelled
	switch {
	case to == queue.Completed:
		kind = queue.EventCompleted
		t.Result = some(m.bytes(m.Result))
		t.Final = m.attempt(&l, queue.OutcomeSucceeded)
	case from == queue.Running:
		t.Final = m.attempt(&l, queue.OutcomeLost)
		t.Final.End, t.Final.Reported, t.Final.Settled = queue.EndCancelled, false, false
	}
	if to != queue.Completed {
		t.Failure = queue.Failure{Class: queue.ClassCancelled, Message: "not wanted"}
	}
	t.Status = l.Status
	t.Status.State, t.Status.Finish, t.Status.BackingOff = to, m.now, false
	m.b.DropLive = append(m.b.DropLive, s)
	m.b.Terminal = append(m.b.Terminal, t)
	m.count(l.Queue, from, to)
	m.event(kind, s, l.ID, l.Queue, &t.Status, l.Grant.Agent)
	m.newest().Reason = t.Failure.Message
	m.newest().Cost, m.newest().HasCost = t.Final.Spent, t.Final != queue.Attempt{}
}

// Rerun starts a new run of a terminal task.
func (m *Maker) Rerun(s queue.Serial) {
	t, spec := m.Model.Terminal[s], m.Model.Specs[s]
	if t.Final.Number != 0 && !m.told(&t) {
		m.b.Attempts = append(m.b.Attempts, queue.AttemptRecord{Serial: s, Attempt: t.Final})
	}
	t.Status.Spilled = t.Status.Spilled || t.Final.Number != 0
	st := queue.Status{State: queue.Ready, Run: t.Status.Run + 1, Attempt: t.Status.Attempt,
		Create: t.Status.Create, Ready: m.now, Spent: t.Status.Spent, Spilled: t.Status.Spilled}
	m.b.DropTerminal = append(m.b.DropTerminal, s)
	m.put(queue.Live{
		Serial: s, ID: spec.ID, Digest: spec.Digest, Queue: spec.Queue, Priority: spec.Priority,
		OnFailure: spec.OnFailure, AttemptTimeout: spec.AttemptTimeout, Retry: spec.Retry,
		Requires: spec.Requires, MaxCost: spec.MaxCost, FairnessKey: spec.FairnessKey,
		ConcurrencyKey: spec.ConcurrencyKey, Status: st,
	}, t.Status.State)
	m.event(queue.EventRetried, s, spec.ID, spec.Queue, &st, "")
}

// Prune forgets a terminal task.
func (m *Maker) Prune(s queue.Serial) {
	t := m.Model.Terminal[s]
	m.b.Prune = append(m.b.Prune, queue.Pruned{Serial: s, ID: t.ID, Spilled: t.Status.MayHaveAttempts()})
	m.count(t.Queue, t.Status.State, 0)
	m.event(queue.EventPruned, s, t.ID, t.Queue, &t.Status, "")
}

// Defer notes that a terminal task is due for pruning.
func (m *Maker) Defer(s queue.Serial) { m.b.Deferred = append(m.b.Deferred, s) }

// PruneEvents drops the events up to a sequence.
func (m *Maker) PruneEvents(to int64) {
	m.b.PruneEventsTo = to
	m.b.Head.Oldest = max(m.b.Head.Oldest, to+1)
}

// Random makes a whole batch of up to n moves.
func (m *Maker) Random(n int) *queue.Batch {
	m.Begin()
	if m.rng.IntN(4) == 0 {
		m.age()
	}
	for range 1 + m.rng.IntN(n) {
		m.Submit()
	}
	var terminal []queue.Serial
	for _, s := range slices.Sorted(maps.Keys(m.Model.Specs)) {
		if l, ok := m.Model.Live[s]; ok {
			m.randomMove(s, l.Status.State)
		} else if _, ok := m.Model.Terminal[s]; ok {
			terminal = append(terminal, s)
		}
	}
	for _, s := range terminal {
		switch {
		case m.rng.IntN(12) == 0:
			m.Prune(s)
		case m.rng.IntN(11) == 0:
			m.Rerun(s)
		case m.rng.IntN(20) == 0:
			m.Defer(s)
		case m.rng.IntN(10) == 0:
			m.Late(s)
		}
	}
	if m.rng.IntN(6) == 0 {
		m.Update(fmt.Sprintf("queue-%d", m.rng.IntN(3)))
	}
	if m.rng.IntN(5) == 0 && m.Model.Head.Newest > 0 {
		m.PruneEvents(m.Model.Head.Oldest - 1 + m.rng.Int64N(m.b.Head.Newest-m.Model.Head.Oldest+2))
	}
	return m.End()
}

func (m *Maker) randomMove(s queue.Serial, from queue.State) {
	switch d := m.rng.IntN(8); {
	case from == queue.Running && d < 3:
		m.Finish(s, queue.Completed)
	case from == queue.Running && d < 4:
		m.Fail(s)
	case from != queue.Running && d < 4:
		m.Grant(s)
	case d == 4:
		m.Finish(s, queue.Cancelled)
	}
}
