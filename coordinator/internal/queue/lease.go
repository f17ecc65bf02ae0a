package queue

import (
	"slices"
	"time"
)

// The bounds of what may happen to a task before it is given up.
const (
	MaxLost      = 5  // lost leases a run: then QUARANTINED, it may be what kills its agents
	MaxUncounted = 20 // RATE_LIMITED and OVERLOADED a run that cost no attempt
	MaxDenied    = 3  // AUTH and OUT_OF_CREDIT a run: no agent seems to have access
)

// lease is the right to run one attempt.
type lease struct {
	live      bool
	confirmed bool // the agent has named it, or the call that got it was answered
	unary     bool
	restored  bool // it is of an earlier process, and nobody has named it since
	misses    uint8
	task      uint32
	attempt   int32
	run       int32
	answers   int32 // of the unary calls, with it, that may have reached their callers
	serial    Serial
	batch     uint64
	start     Instant
	length    time.Duration
	deadline  time.Duration // key in grantTimes or leaseTimes; 0: its clock does not run yet
	backstop  time.Duration // it is never extended past this
	beat      uint64        // number of the agent's heartbeat that named it last
	at        int           // place in agent.leases, for a session's
	agent     *agent
	instance  string
	request   string
	id        string // of the task; empty: not asked for yet
	progress  float64
	hasProg   bool
	message   string
	reserved  Micros
	ended     Attempt // once it is not live
}

// unreleased is a lease whose batch has not been released; it may have ended since, and its
// handle be that of another.
type unreleased struct {
	batch uint64
	lease uint32
}

type requestKey struct{ agent, request string }

func (l *lease) ref() LeaseRef { return LeaseRef{l.serial, l.attempt} }

func (l *lease) grant() Grant {
	return Grant{Agent: l.agent.id, Instance: l.instance, Request: l.request, Length: l.length, Start: l.start}
}

// lease makes the lease of a task's next attempt.
func (m *Machine) lease(h uint32, t *task, a *agent) (uint32, *lease) {
	t.attempt++
	if t.start == 0 {
		t.start = m.now
	}
	n, l := m.leases.take()
	*l = lease{
		live: true, task: h, attempt: t.attempt, run: t.run, serial: t.serial,
		batch: m.number(), start: m.now, agent: a, reserved: m.terms.at(t.terms).maxCost,
	}
	t.lease = n
	m.unreleased.push(unreleased{l.batch, n})
	return n, l
}

// startClocks starts the clocks of leases whose batch has been released: not before, since
// until then nobody can know of them (L6).
func (m *Machine) startClocks(released uint64) {
	for m.unreleased.len() > 0 && m.unreleased.first().batch <= released {
		u := m.unreleased.pop()
		if l := m.leases.at(u.lease); l.live && l.batch == u.batch && l.deadline == 0 {
			m.startClock(u.lease, l)
		}
	}
}

func (m *Machine) startClock(n uint32, l *lease) {
	l.backstop = m.mono + m.terms.at(m.tasks.at(l.task).terms).timeout + l.length
	switch {
	case l.unary:
		m.setDeadline(n, l, min(m.mono+l.length, l.backstop))
	case l.confirmed:
		m.setDeadline(n, l, l.backstop)
	default:
		m.setDeadline(n, l, m.mono+m.cfg.GrantTimeout)
	}
}

func (m *Machine) setDeadline(n uint32, l *lease, at time.Duration) {
	if at == l.deadline {
		return
	}
	m.stopClock(l)
	l.deadline = at
	h, _ := m.times(l)
	h.push(heapItem{key: int64(at), serial: uint64(l.serial), handle: n, extra: l.attempt})
}

func (m *Machine) stopClock(l *lease) {
	if l.deadline != 0 {
		l.deadline = 0
		h, holds := m.times(l)
		h.forget(holds)
	}
}

// times gives the heap that the deadline of a lease stands in. Those to be confirmed have one of
// their own: all get the same time for it, so there they come in order.
func (m *Machine) times(l *lease) (h *heap, holds func(heapItem) bool) {
	if l.unary || l.confirmed {
		return &m.leaseTimes, m.leaseHolds
	}
	return &m.grantTimes, m.grantHolds
}

// timed tells whether an item of one of the two heaps holds.
func (m *Machine) timed(it heapItem, in *heap) bool {
	l := m.leases.at(it.handle)
	if !l.live || uint64(l.serial) != it.serial || l.attempt != it.extra || int64(l.deadline) != it.key {
		return false
	}
	h, _ := m.times(l)
	return h == in
}

// nextLease gives the deadline of a lease that comes first.
func (m *Machine) nextLease() (heapItem, bool) {
	grant, ok := m.grantTimes.top(m.grantHolds)
	other, some := m.leaseTimes.top(m.leaseHolds)
	if some && (!ok || other.less(grant)) {
		return other, true
	}
	return grant, ok
}

// confirm notes that a session's agent knows of its lease.
func (m *Machine) confirm(n uint32, l *lease) {
	if l.confirmed {
		return
	}
	timed := l.deadline != 0
	m.stopClock(l)
	l.confirmed, l.restored = true, false
	if timed {
		m.setDeadline(n, l, l.backstop)
	}
}

// left is the time until a lease ends unless it is extended.
func (m *Machine) left(l *lease) time.Duration {
	switch {
	case l.deadline == 0:
		return l.length
	case l.unary || !l.confirmed:
		return max(0, l.deadline-m.mono)
	}
	return max(0, min(l.backstop, l.agent.heard+l.agent.ttl)-m.mono)
}

// close ends a live lease and gives the record of its attempt, settled at cost. The caller moves
// the task.
func (m *Machine) close(t *task, outcome Outcome, end EndReason, cost Micros) Attempt {
	l := m.leases.at(t.lease)
	l.live = false
	m.stopClock(l)
	m.unhold(t.lease, l)
	l.ended = Attempt{
		Number: l.attempt, Run: l.run, Agent: l.agent.id, Unary: l.unary,
		Start: l.start, Finish: m.now, Outcome: outcome, End: end, Reserved: l.reserved,
	}
	m.settleAttempt(m.fairs[t.fair], &l.ended, cost)
	t.spent += cost
	return l.ended
}

// unhold takes a lease from its agent, and forgets the agent if nothing keeps it.
func (m *Machine) unhold(n uint32, l *lease) {
	a := l.agent
	if l.unary {
		a.unary--
		m.dropRequest(n, l)
	} else {
		last := len(a.leases) - 1
		a.leases[l.at] = a.leases[last]
		m.leases.at(a.leases[l.at]).at = l.at
		a.leases = a.leases[:last]
	}
	m.forgetAgent(a)
}

func (m *Machine) dropRequest(n uint32, l *lease) {
	if l.request == "" {
		return
	}
	key := requestKey{l.agent.id, l.request}
	ls := m.requests[key]
	for i, x := range ls {
		if x == n {
			ls = append(ls[:i:i], ls[i+1:]...)
			break
		}
	}
	if len(ls) == 0 {
		delete(m.requests, key)
	} else {
		m.requests[key] = ls
	}
}

// spill stores an attempt on its own, because its task lives on, and frees its lease.
func (m *Machine) spill(h uint32, t *task, a Attempt) {
	m.leases.put(t.lease)
	t.lease = 0
	m.storeAttempt(t.serial, a)
	t.set(flagSpilled, true)
	m.touch(h, t)
}

func (m *Machine) storeAttempt(s Serial, a Attempt) {
	b, key := m.records(), AttemptKey{s, a.Number}
	if p, ok := m.past[key]; ok && p.batch == m.number() { // it stands once in a batch
		i := slices.IndexFunc(b.Attempts, func(r AttemptRecord) bool { return r.Serial == s && r.Number == a.Number })
		b.Attempts[i].Attempt = a
	} else {
		b.Attempts = append(b.Attempts, AttemptRecord{s, a})
		m.pasts.push(pastKey{m.number(), key})
	}
	m.past[key] = pastAttempt{m.number(), a}
}

// popLeases ends leases whose time is up.
func (m *Machine) popLeases() {
	for {
		it, ok := m.nextLease()
		if !ok || it.key > int64(m.mono) {
			return
		}
		l := m.leases.at(it.handle)
		h := l.task
		switch t := m.tasks.at(h); {
		case l.restored || !l.unary && !l.confirmed:
			m.back(h, t, OutcomeUnconfirmed, EndUnconfirmed, false)
		case l.deadline >= l.backstop:
			m.timeOut(h, t)
		default:
			m.lose(h, t, EndExpired)
		}
	}
}

// back returns a task to READY, at no cost to its retries: its lease was released or never
// confirmed. If the attempt had started it may have spent what was reserved.
func (m *Machine) back(h uint32, t *task, o Outcome, end EndReason, started bool) {
	cost := Micros(0)
	if started {
		cost = m.leases.at(t.lease).reserved
	}
	a := m.close(t, o, end, cost)
	m.emit(t, a.priced(Event{Kind: EventLeaseEnded, End: end}))
	m.again(h, t, a)
}

// again has a task run once more, in its old place, or EXPIRED if its time has passed.
func (m *Machine) again(h uint32, t *task, a Attempt) {
	if m.overdue(t) {
		m.finish(h, t, Expired, deadlineFailure, a, nil)
		return
	}
	m.spill(h, t, a)
	m.move(h, t, Ready)
}

// lose ends the lease of an agent that fell silent.
func (m *Machine) lose(h uint32, t *task, end EndReason) {
	a := m.close(t, OutcomeLost, end, m.leases.at(t.lease).reserved)
	a.Failure = Failure{Class: ClassLeaseExpired, Message: "agent " + a.Agent + " fell silent"}
	m.emit(t, a.priced(Event{Kind: EventLeaseEnded, End: end}))
	t.lost++
	switch {
	case m.overdue(t):
		m.finish(h, t, Expired, deadlineFailure, a, nil)
	case m.terms.at(t.terms).retry.Unknown == UnknownFail:
		m.finish(h, t, Failed, a.Failure, a, nil)
	case t.lost >= MaxLost:
		m.finish(h, t, Quarantined, a.Failure, a, nil)
	default:
		m.again(h, t, a)
	}
}

// timeOut ends a lease at its backstop: its attempt ran out of attempt_timeout.
func (m *Machine) timeOut(h uint32, t *task) {
	l := m.leases.at(t.lease)
	ref, stream := l.ref(), l.agent.stream
	a := m.close(t, OutcomeLost, EndTimedOut, l.reserved)
	a.Failure = Failure{Class: ClassTimeout, Message: "attempt_timeout and a lease length passed without a report"}
	m.emit(t, a.priced(Event{Kind: EventLeaseEnded, End: EndTimedOut}))
	if stream != 0 && !a.Unary {
		o := m.tell(stream)
		o.Cancels = append(o.Cancels, LeaseEnd{ref, EndTimedOut})
	}
	m.judge(h, t, a)
}
