package queue

import (
	"slices"
	"time"
)

// mostDrain bounds the time to drain, so that no sum of times overflows: no agent lives so long.
const mostDrain = 100 * 365 * 24 * time.Hour

func (m *Machine) drain(c *Drain) {
	defer m.done(c)
	a := m.agents[c.Agent]
	if a == nil {
		c.Err = agentNotFound(c.Agent)
		return
	}
	m.stopDrain(a)
	a.drained, a.hasDrain, a.drainBy = true, c.Timeout > 0, m.mono+min(c.Timeout, mostDrain)
	if a.hasDrain {
		a.drainDue = true
		m.drainTimes.push(heapItem{key: int64(a.drainBy), serial: a.number})
	}
	if a.stream != 0 {
		m.tellDrain(a)
	}
}

func (m *Machine) tellDrain(a *agent) {
	o := m.tell(a.stream)
	o.Drain = true
	if a.hasDrain {
		o.Left = max(1, a.drainBy-m.mono) // 0 would be no limit
	}
}

// stopDrain has nothing happen when the time of a drain is up.
func (m *Machine) stopDrain(a *agent) {
	if a.drainDue {
		a.drainDue = false
		m.drainTimes.forget(m.drainHolds)
	}
}

// popDrains releases what drained agents hold whose time is up.
func (m *Machine) popDrains() {
	unary := false
	for {
		it, ok := m.drainTimes.top(m.drainHolds)
		if !ok || it.key > int64(m.mono) {
			break
		}
		m.drainTimes.pop()
		a := m.byNumber[it.serial]
		a.drainDue = false
		unary = unary || a.unary > 0
		for _, n := range slices.Clone(a.leases) {
			m.drainLease(n)
		}
	}
	if unary {
		m.drainUnary()
	}
}

// drainUnary releases the leases of unary calls, which no agent lists, of all agents whose time is up.
func (m *Machine) drainUnary() {
	for n := uint32(1); n <= m.leases.next; n++ {
		if l := m.leases.at(n); l.live && l.unary && l.agent.hasDrain && l.agent.drainBy <= m.mono {
			m.drainLease(n)
		}
	}
}

// drainLease releases a lease for its agent. It counts as started if the agent knows of it.
func (m *Machine) drainLease(n uint32) {
	l := m.leases.at(n)
	m.tellCancel(l, EndReleased)
	m.back(l.task, m.tasks.at(l.task), OutcomeReleased, EndReleased, l.confirmed)
}
