package queue

import (
	"fmt"
	"slices"
	"time"
)

// agent is a program that runs tasks: with a session, with leases of the unary calls, or both.
type agent struct {
	number    uint64
	id        string
	instance  string // of the session; empty: none
	version   string
	labels    []Label
	queues    []string
	slots     int32
	stream    StreamID // 0: none
	silent    bool     // the stream has said nothing for a lease length
	greeted   bool     // the stream's first message has been taken
	timed     bool     // it stands in silences
	ttl       time.Duration
	heard     time.Duration
	heardAt   Instant
	connected Instant
	roundTrip time.Duration
	beat      uint64
	credit    int64 // running totals since welcome
	granted   int64
	draining  bool // it wants no more itself
	drained   bool // an operator wants no more
	drainBy   time.Duration
	hasDrain  bool     // drainBy is set
	drainDue  bool     // it has not come yet: it stands in drainTimes
	leases    []uint32 // of the session
	unary     int      // leases of the unary calls
	taker     *taker
}

// busyRetry is when to try again with an agent id that another live instance has.
const busyRetry = 5 * time.Second

func (m *Machine) agent(id string) *agent {
	a := m.agents[id]
	if a == nil {
		m.agentsMade++
		a = &agent{id: id, number: m.agentsMade}
		m.agents[id] = a
		m.byNumber[a.number] = a
	}
	return a
}

// forgetAgent drops an agent that has neither a stream nor leases.
func (m *Machine) forgetAgent(a *agent) {
	if a.stream != 0 || len(a.leases) > 0 || a.unary > 0 || m.agents[a.id] != a {
		return
	}
	if (a.draining || a.drained) && a.timed && !a.silent {
		return // the instance may come back, and must still be draining then
	}
	m.dropTaker(a)
	delete(m.agents, a.id)
	delete(m.byNumber, a.number)
	if a.timed {
		m.silences.forget(m.silenceHolds)
	}
	m.stopDrain(a)
	if a.drained {
		m.offerWaiting(a.id)
	}
}

// offerWaiting puts the calls of an agent in line again that waited while it was drained.
func (m *Machine) offerWaiting(id string) {
	for _, w := range m.waiters {
		if w.call.Agent == id {
			m.offer(w.taker)
		}
	}
}

// alive tells whether the agent's session has a stream that is heard of (L11).
func (a *agent) alive() bool { return a.stream != 0 && !a.silent }

func (m *Machine) connect(c *Connect) {
	defer m.done(c)
	a := m.agent(c.Agent)
	if a.instance != "" && a.instance != c.Instance {
		if a.alive() {
			c.Err = &Error{
				Reason: AgentIDInUse, Names: []string{c.Agent}, RetryAfter: busyRetry,
				Detail: fmt.Sprintf("instance %s of this agent is connected; give each agent an id of its own, or wait until the other has gone", a.instance),
			}
			return
		}
		m.replaceInstance(a)
		a = m.agent(c.Agent) // it may have been forgotten with its last lease
	}
	m.takeStream(a, c)
	c.TTL, c.Interval = a.ttl, a.ttl/3
}

// replaceInstance ends the leases of an instance that another one takes over from.
func (m *Machine) replaceInstance(a *agent) {
	m.closeStream(a)
	for _, n := range slices.Clone(a.leases) {
		l := m.leases.at(n)
		m.lose(l.task, m.tasks.at(l.task), EndReplaced)
	}
	m.stopDrain(a)
	a.instance, a.draining, a.drained, a.hasDrain = "", false, false, false
	m.offerWaiting(a.id)
}

// closeStream tells the old stream of an agent that it has been replaced.
func (m *Machine) closeStream(a *agent) {
	if a.stream == 0 {
		return
	}
	m.tell(a.stream).Close = true
	delete(m.byStream, a.stream)
	m.streams--
	a.stream = 0
}

func (m *Machine) takeStream(a *agent, c *Connect) {
	m.closeStream(a)
	m.streams++
	m.byStream[c.Stream] = a
	a.stream, a.instance, a.version = c.Stream, c.Instance, c.Version
	a.labels, a.queues, a.slots = c.Labels, c.Queues, c.Slots
	a.silent, a.greeted = false, false
	a.credit, a.granted = 0, 0
	a.connected, a.heard, a.heardAt = m.now, m.mono, m.now
	a.ttl = max(m.cfg.LeaseTTL, time.Duration(m.streams)*sessionShare)
	m.dropTaker(a)
	a.taker = &taker{agent: a, profile: m.takeProfile(c.Labels, c.Queues)}
	if !a.timed {
		a.timed = true
		m.silences.push(heapItem{key: int64(a.heard + a.ttl), serial: a.number})
	}
	if a.drained {
		m.tellDrain(a)
	}
}

func (m *Machine) dropTaker(a *agent) {
	if a.taker != nil {
		a.taker.agent = nil
		m.dropProfile(a.taker.profile)
		a.taker = nil
	}
}

func (m *Machine) disconnect(c *Disconnect) {
	defer m.done(c)
	a := m.byStream[c.Stream]
	if a == nil {
		return
	}
	delete(m.byStream, c.Stream)
	m.streams--
	a.stream = 0
	m.dropTaker(a)
	m.forgetAgent(a)
}

func agentNotFound(id string) error {
	return &Error{Reason: AgentNotFound, Names: []string{id}, Detail: "no agent of this id is connected or holds leases"}
}
