package queue

import "slices"

// The moves between states. Each keeps the counts (Q1), the heaps and the records in step.
//
//	          ┌────────┐ parents done  ┌───────────┐ time come  ┌───────┐  grant   ┌─────────┐
//	submit ──▶│BLOCKED │──────────────▶│ SCHEDULED │───────────▶│ READY │─────────▶│ RUNNING │
//	          └────────┘               └───────────┘            └───────┘          └─────────┘
//	                                         ▲  back-off            ▲ released, lost  │  │
//	                                         └──────────────────────┴─────────────────┘  ▼
//	                                                       COMPLETED FAILED CANCELLED EXPIRED QUARANTINED
//	                                                            └── retry (not COMPLETED) ──▶ a new run

// enter gives a new or returning task its state by what it waits for.
func (m *Machine) enter(h uint32, t *task) {
	switch {
	case t.waiting > 0:
		t.ready = 0
		m.move(h, t, Blocked)
	case t.notBefore > m.now:
		t.ready = t.notBefore
		m.move(h, t, Scheduled)
	default:
		t.ready = m.now
		m.move(h, t, Ready)
	}
}

// move changes the state of a task that stays live, or that begins.
func (m *Machine) move(h uint32, t *task, to State) {
	m.leave(t)
	m.count(t, to)
	t.state = to
	switch to {
	case Ready:
		m.ready(h, t)
	case Running:
		m.began(t)
	case Scheduled:
		m.scheduled.push(heapItem{key: int64(t.ready), serial: uint64(t.serial), handle: h})
	}
	m.touch(h, t)
}

// leave takes a task out of what its state keeps it in. A granted task has left its heap.
func (m *Machine) leave(t *task) {
	was := t.state
	t.state = 0
	switch was {
	case Ready:
		m.unready(t)
	case Scheduled:
		m.scheduled.forget(m.scheduledHolds)
	case Running:
		m.stopped(t)
	}
}

// count moves a task between the counts of its queue; leave has cleared the old state, so
// that is taken from what the counts were last told.
func (m *Machine) count(t *task, to State) {
	l := m.touchLine(m.lineOf(t))
	if t.counts != 0 {
		l.counts.States[t.counts]--
	}
	l.counts.States[to]++
	if l.counts.States[Ready] == 0 {
		l.fresh = true
	}
	t.counts = to
}

// watchExpiry puts the task under its expire_time.
func (m *Machine) watchExpiry(h uint32, t *task) {
	if t.expire != 0 {
		t.set(flagWatched, true)
		m.expiring.push(heapItem{key: int64(t.expire), serial: uint64(t.serial), handle: h})
	}
}

// finish makes a task terminal (C1). Its live lease, if any, has been ended by the caller.
func (m *Machine) finish(h uint32, t *task, to State, f Failure, final Attempt, result []byte) {
	m.leave(t)
	m.count(t, to)
	t.state = to
	if t.has(flagWatched) {
		t.set(flagWatched, false)
		m.expiring.forget(m.expireHolds)
	}
	if final.Number != 0 {
		m.leases.at(t.lease).ended = final
	}
	status := t.status()
	status.Finish = m.now
	b := m.records()
	b.Terminal = append(b.Terminal, Terminal{
		Serial: t.serial, ID: m.idOf(t), Queue: m.lineOf(t).name,
		Status: status, Failure: f, Final: final, Result: result,
	})
	if t.has(flagStored) {
		b.DropLive = append(b.DropLive, t.serial)
	} else { // retried in this very batch: its terminal record is written over, not dropped
		b.DropTerminal = slices.DeleteFunc(b.DropTerminal, func(s Serial) bool { return s == t.serial })
	}
	e := Event{Kind: eventOf[to], Attempt: final.Number, Agent: final.Agent, Class: f.Class, Reason: clip(f.Message)}
	if to == Completed { // else the event before has told it
		e = final.priced(e)
	}
	m.emit(t, e)
	m.out.Ended = append(m.out.Ended, b.Terminal[len(b.Terminal)-1].ID)
	m.detach(t)
	m.settle(t.serial, to)
	m.stubs.push(stub{m.number(), h, t.run, t.serial})
	m.dropLane(t.lane)
	m.dropGate(t.gate)
	m.terms.drop(t.terms)
	t.lane, t.gate, t.terms = 0, 0, 0
	m.live--
}

var eventOf = [States]EventKind{
	Completed: EventCompleted, Failed: EventFailed, Cancelled: EventCancelled,
	Expired: EventExpired, Quarantined: EventQuarantined,
}

// reasonBytes bounds the text of an event; the whole message stands in the task.
const reasonBytes = 256

func clip(s string) string {
	if len(s) <= reasonBytes {
		return s
	}
	n := reasonBytes
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// popScheduled makes tasks READY whose time has come.
func (m *Machine) popScheduled() {
	for {
		it, ok := m.scheduled.top(m.scheduledHolds)
		if !ok || it.key > int64(m.now) {
			return
		}
		m.scheduled.pop()
		t := m.tasks.at(it.handle)
		t.state = 0 // out of its heap already
		t.set(flagBackingOff, false)
		m.becomeReady(it.handle, t)
	}
}

// becomeReady needs no record: the stored ready time tells it.
func (m *Machine) becomeReady(h uint32, t *task) {
	dirty := t.has(flagDirty)
	m.move(h, t, Ready)
	if !dirty {
		t.set(flagDirty, false)
		m.dirty = m.dirty[:len(m.dirty)-1]
	}
}

// expireBound is the number of tasks that one step ends because their time has passed: millions may
// have the same expire_time, and a batch must not grow with them.
const expireBound = 1000

// popExpiring ends tasks whose expire_time has come, up to its bound; a RUNNING one goes on.
func (m *Machine) popExpiring() {
	for left := expireBound; ; {
		it, ok := m.expiring.top(m.expireHolds)
		if !ok || it.key > int64(m.now) {
			return
		}
		if left == 0 {
			m.out.More = true
			return
		}
		m.expiring.pop()
		t := m.tasks.at(it.handle)
		t.set(flagWatched, false)
		if t.state != Running {
			m.finish(it.handle, t, Expired, deadlineFailure, Attempt{}, nil)
			left--
		}
	}
}

// overdue tells whether the expire_time of a task has come: from then on it is not granted, and every
// end but success is EXPIRED.
func (m *Machine) overdue(t *task) bool { return t.expire != 0 && t.expire <= m.now }

var deadlineFailure = Failure{Class: ClassDeadline, Message: "expire_time passed before the task succeeded"}
