package queue

import (
	"math"
	"slices"
	"time"
)

// Task gives a view of a task that the machine holds.
func (m *Machine) Task(id string) (TaskView, bool) {
	_, t := m.tasks.find(id)
	if t == nil {
		return TaskView{}, false
	}
	return m.view(t), true
}

// TaskBySerial is Task by serial.
func (m *Machine) TaskBySerial(s Serial) (TaskView, bool) {
	_, t := m.tasks.findSerial(s)
	if t == nil {
		return TaskView{}, false
	}
	return m.view(t), true
}

func (m *Machine) view(t *task) TaskView {
	v := TaskView{Serial: t.serial, ID: m.idOf(t), Status: t.status(), Terminal: t.state.Terminal()}
	v.Queue = m.lineOf(t).name
	if t.state == Running {
		l := m.leases.at(t.lease)
		v.Lease = &LeaseView{
			Agent: l.agent.id, Attempt: l.attempt, Start: l.start, Left: m.left(l),
			Progress: l.progress, HasProgress: l.hasProg, Message: l.message,
		}
	}
	return v
}

// Agents gives up to limit agents with ids after the given one, by id.
func (m *Machine) Agents(after string, limit int) []AgentView {
	ids := make([]string, 0, len(m.agents))
	for id := range m.agents {
		if id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	views := make([]AgentView, 0, min(limit, len(ids)))
	for _, id := range ids[:min(limit, len(ids))] {
		views = append(views, m.agentView(m.agents[id]))
	}
	return views
}

// Agent gives one agent.
func (m *Machine) Agent(id string) (AgentView, error) {
	a := m.agents[id]
	if a == nil {
		return AgentView{}, agentNotFound(id)
	}
	return m.agentView(a), nil
}

func (m *Machine) agentView(a *agent) AgentView {
	v := AgentView{
		ID: a.id, Instance: a.instance, Version: a.version, Labels: a.labels, Queues: a.queues,
		Slots: a.slots, Held: int32(len(a.leases) + a.unary), Connected: a.connected, Heard: a.heardAt, RoundTrip: a.roundTrip,
	}
	switch {
	case a.draining || a.drained:
		v.State = AgentDraining
	case a.stream != 0:
		v.State = AgentOnline
	case a.instance == "" || len(a.leases) == 0:
		v.State = AgentUnary
	default:
		v.State = AgentOffline
	}
	return v
}

// Queues gives up to limit queues with names after the given one, by name.
func (m *Machine) Queues(after string, limit int) []QueueView {
	var names []string
	for _, l := range m.lines[1:] {
		if l.name > after {
			names = append(names, l.name)
		}
	}
	slices.Sort(names)
	views := make([]QueueView, 0, min(limit, len(names)))
	names = names[:min(limit, len(names))]
	for _, n := range names {
		views = append(views, m.viewLine(m.lineByName[n], mostCounted/len(names)))
	}
	return views
}

// Queue gives one queue.
func (m *Machine) Queue(name string) (QueueView, error) {
	l, ok := m.lineByName[name]
	if !ok {
		return QueueView{}, queueNotFound(name)
	}
	return m.viewLine(l, mostCounted), nil
}

// viewLine gives a queue after a look at so many of its READY tasks.
func (m *Machine) viewLine(l *line, look int) QueueView {
	m.roll(l)
	v := QueueView{
		Name: l.name, Paused: l.paused, Counts: l.counts, Settings: l.settings, Version: l.version, Running: l.running(),
		Spend:      SpendView{Start: l.spend.Period, End: l.ends, Settled: l.spend.Settled, Reserved: l.reserved, Overrun: l.spend.Overrun},
		RateTokens: l.bucket.tokens(m.elapsed),
	}
	if l.counts.States[Ready] > 0 {
		v.OldestReady = m.oldestReady(l, look)
	}
	return v
}

// oldestReady looks at the READY tasks of a queue: the heaps are not in order of age, since priority
// gives a head start. It reads only the heaps. If there are more than it may look at, it takes those of
// each heap that come first, until it has looked at so many; an older one may be passed over.
func (m *Machine) oldestReady(l *line, look int) time.Duration {
	g := glance{math.MaxInt, math.MaxInt}
	if l.counts.States[Ready] > int64(look) {
		g = glance{max(look/l.lanes(), leastCounted), look}
	}
	oldest := int64(m.now)
	l.eachReady(&g, func(it heapItem) {
		if ready := it.key + int64(it.extra)*time.Minute.Microseconds(); ready < oldest && m.readyHolds(it) {
			oldest = ready
		}
	})
	return time.Duration(int64(m.now)-oldest) * time.Microsecond
}

// Counts are all queues together.
func (m *Machine) Counts() Counts {
	var sum Counts
	for _, l := range m.lines[1:] {
		sum.Submitted += l.counts.Submitted
		sum.Pruned += l.counts.Pruned
		for s := range l.counts.States {
			sum.States[s] += l.counts.States[s]
		}
	}
	return sum
}

// Head is the head as of the last Step.
func (m *Machine) Head() Head { return m.head }

// Now is the newest wall time that the machine was told.
func (m *Machine) Now() Instant { return m.now }
