package queue

import (
	"fmt"
	"slices"
	"strings"
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
	v := TaskView{Serial: t.serial, ID: m.tasks.names.get(t.name), Status: t.status(), Terminal: t.state.Terminal()}
	if t.class != 0 {
		v.Queue = m.lineOf(t).name
	}
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
	for _, n := range names[:min(limit, len(names))] {
		v, _ := m.Queue(n)
		views = append(views, v)
	}
	return views
}

// Queue gives one queue.
func (m *Machine) Queue(name string) (QueueView, error) {
	n, ok := m.lineByName[name]
	if !ok {
		return QueueView{}, queueNotFound(name)
	}
	l := m.lines[n]
	v := QueueView{Name: name, Paused: l.paused, Counts: l.counts}
	if l.counts.States[Ready] > 0 {
		v.OldestReady = m.oldestReady(n)
	}
	return v, nil
}

// oldestReady looks at every READY task of a queue: the heaps are not in order of age, since
// priority gives a head start. It reads only the heaps, about 24 bytes a task.
func (m *Machine) oldestReady(n uint32) time.Duration {
	oldest := int64(m.now)
	for _, c := range m.classes {
		if c == nil || c.line != n {
			continue
		}
		for _, it := range c.ready.items {
			if ready := it.key + int64(it.extra)*time.Minute.Microseconds(); ready < oldest && m.readyHolds(it) {
				oldest = ready
			}
		}
	}
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

// Explain says why a task that the machine holds is not running.
func (m *Machine) Explain(id string) ([]Why, State, bool) {
	_, t := m.tasks.find(id)
	if t == nil {
		return nil, 0, false
	}
	switch {
	case t.state.Terminal():
		return nil, t.state, true
	case t.state == Running:
		l := m.leases.at(t.lease)
		return []Why{{Code: ExplainRunning, Message: fmt.Sprintf("attempt %d runs on agent %s", l.attempt, l.agent.id)}}, t.state, true
	case t.state == Blocked:
		return []Why{m.explainBlocked(t)}, t.state, true
	case t.state == Scheduled:
		return m.explainGrant(t, []Why{explainScheduled(t)}), t.state, true
	}
	return m.explainGrant(t, nil), t.state, true
}

func (m *Machine) explainBlocked(t *task) Why {
	w := Why{Code: ExplainBlocked, Message: "waits for tasks that it depends on"}
	for n := t.edges; n != 0; n = m.edges.at(n).next {
		e := m.edges.at(n)
		if e.passed {
			continue
		}
		if _, p := m.tasks.findSerial(e.parent); p != nil {
			w.Tasks = append(w.Tasks, m.tasks.names.get(p.name))
		} else {
			w.Serials = append(w.Serials, e.parent)
		}
	}
	slices.Sort(w.Tasks)
	return w
}

func explainScheduled(t *task) Why {
	if t.has(flagBackingOff) {
		return Why{Code: ExplainBackingOff, Message: "waits after a failed attempt", Until: t.ready}
	}
	return Why{Code: ExplainNotBefore, Message: "not_before has not come", Until: t.ready}
}

// explainGrant adds what keeps, or would keep, a task from being granted.
func (m *Machine) explainGrant(t *task, ws []Why) []Why {
	c := m.classes[t.class]
	name := m.lines[c.line].name
	if m.lines[c.line].paused {
		ws = append(ws, Why{Code: ExplainQueuePaused, Message: "queue " + name + " is paused; ResumeQueue lets it go on"})
	}
	matching := 0
	for _, a := range m.agents {
		if a.taker != nil && a.alive() && a.taker.profile.fits(name, c.requires) {
			matching++
		}
	}
	switch {
	case matching == 0:
		ws = append(ws, Why{Code: ExplainNoMatchingAgent, Message: "no connected agent takes queue " + name + needs(c.requires)})
	case t.state == Ready && !m.lines[c.line].paused:
		ws = append(ws, Why{Code: ExplainNoFreeAgent, Message: fmt.Sprintf("connected agents that can run it: %d; none is free, or other tasks come first", matching)})
	}
	return ws
}

func needs(requires []Requirement) string {
	if len(requires) == 0 {
		return ""
	}
	ls := make([]string, len(requires))
	for i := range requires {
		ls[i] = requires[i].String()
	}
	return " and has the labels " + strings.Join(ls, ", ")
}
