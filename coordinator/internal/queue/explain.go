package queue

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

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
		ws := append([]Why{explainScheduled(t)}, m.explainPause(t)...)
		return append(ws, m.explainAgents(t)...), t.state, true
	}
	ws := slices.Concat(m.explainPause(t), m.explainLimits(t), m.explainBudget(t), m.explainGate(t), m.explainAgents(t))
	if len(ws) == 0 {
		ws = []Why{m.explainPlace(t)}
	}
	return ws, t.state, true
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

func (m *Machine) explainPause(t *task) []Why {
	l := m.lineOf(t)
	if !l.paused {
		return nil
	}
	return []Why{{Code: ExplainQueuePaused, Message: "queue " + l.name + " is paused; ResumeQueue lets it go on"}}
}

// explainLimits tells of max_running and rate.
func (m *Machine) explainLimits(t *task) (ws []Why) {
	l := m.lineOf(t)
	if most := l.settings.MaxRunning; most > 0 && l.running() >= int64(most) {
		ws = append(ws, Why{Code: ExplainQueueLimit, Message: fmt.Sprintf(
			"%d tasks of queue %s run, and at most %d may (max_running)", l.running(), l.name, most)})
	}
	if at := l.bucket.next(); l.bucket.every > 0 && at > m.elapsed {
		ws = append(ws, Why{
			Code: ExplainRateLimit, Until: m.now + Instant((at-m.elapsed+time.Microsecond-1)/time.Microsecond),
			Message: fmt.Sprintf("queue %s grants at most %g tasks a second (rate)", l.name, l.settings.Rate.PerSecond),
		})
	}
	return ws
}

// explainBudget tells of a budget that the task, or one that holds the queue, does not fit.
func (m *Machine) explainBudget(t *task) []Why {
	l := m.lineOf(t)
	m.roll(l)
	b := l.settings.Budget
	cost := m.terms.at(t.terms).maxCost
	left := b.Limit - l.spend.Settled - l.reserved
	switch {
	case !b.Set || cost <= left && m.headFits(l):
		return nil
	case b.Below(cost):
		return []Why{{Code: ExplainBudget, Message: fmt.Sprintf(
			"it reserves %s, and the whole budget of queue %s is %s; others pass it until that is raised", cost.USD(), l.name, b.Limit.USD())}}
	case cost <= left:
		return []Why{{Code: ExplainBudget, Until: l.ends, Message: fmt.Sprintf(
			"a task of queue %s that comes first does not fit what is left of its budget, %s", l.name, left.USD())}}
	}
	return []Why{{Code: ExplainBudget, Until: l.ends, Message: fmt.Sprintf(
		"it reserves %s, and of the budget of queue %s, %s, there are %s spent and %s reserved by tasks that run",
		cost.USD(), l.name, b.Limit.USD(), l.spend.Settled.USD(), l.reserved.USD())}}
}

func (m *Machine) explainGate(t *task) []Why {
	if t.gate == 0 || m.passes(t.gate) {
		return nil
	}
	g := m.gates[t.gate]
	return []Why{{Code: ExplainConcurrencyKey, Message: fmt.Sprintf(
		"%d tasks of concurrency key %s run, and at most %d may (max_running_per_key of queue %s)",
		g.running, g.name, g.line.settings.KeyLimit, g.line.name)}}
}

// explainAgents tells what keeps all connected agents from running a task, if something does.
func (m *Machine) explainAgents(t *task) []Why {
	c := m.lanes[t.lane].class
	connected, taking := 0, 0
	met := make([]int, len(c.requires))
	for _, a := range m.agents {
		if a.taker == nil || !a.alive() {
			continue
		}
		connected++
		p := a.taker.profile
		if !p.takes(c.line.name) {
			continue
		}
		if p.fits(c) {
			return nil
		}
		taking++
		for i := range c.requires {
			if c.requires[i].met(p.labels) {
				met[i]++
			}
		}
	}
	w := Why{Code: ExplainNoMatchingAgent}
	switch {
	case connected == 0:
		w.Message = "no agent is connected"
	case taking == 0:
		w.Message = fmt.Sprintf("of %d connected agents none takes queue %s", connected, c.line.name)
	default:
		w.Message = fmt.Sprintf("of %d connected agents that take queue %s none has %s", taking, c.line.name, lacking(c.requires, met))
	}
	return []Why{w}
}

// lacking names the requirements that nobody meets, or says that nobody meets all.
func lacking(requires []Requirement, met []int) string {
	var none, all []string
	for i := range requires {
		all = append(all, requires[i].String())
		if met[i] == 0 {
			none = append(none, requires[i].String())
		}
	}
	if len(none) > 0 {
		return strings.Join(none, ", nor ")
	}
	return "all of " + strings.Join(all, ", ") + " together"
}

// mostCounted bounds the READY tasks that are looked at to tell a place among them, or the oldest.
const mostCounted = 100_000

// leastCounted are looked at in a heap all the same, if so many are left: the first may be of tasks that are
// gone.
const leastCounted = 16

// explainPlace tells how many tasks come first.
func (m *Machine) explainPlace(t *task) Why {
	l := m.lineOf(t)
	w := Why{Code: ExplainNoFreeAgent, Message: "agents that can run it are connected, and none is free"}
	if l.counts.States[Ready] > mostCounted {
		return w
	}
	if w.Position = m.position(t); w.Position > 0 {
		w.Message += fmt.Sprintf("; of queue %s, %d tasks come first", l.name, w.Position)
	}
	return w
}

// position is how many READY tasks of its queue are granted before a task if none ends
// meanwhile: all of its fairness key that are before it, and of each other key as many as it
// takes until more of that run. Those that stand aside let it pass.
func (m *Machine) position(t *task) int32 {
	own, order := m.fairs[t.fair], heapItem{key: t.order(), serial: uint64(t.serial)}
	waiting := map[*fairKey]int{}
	before := 0
	own.line.eachReady(&glance{math.MaxInt, math.MaxInt}, func(it heapItem) {
		o := m.tasks.at(it.handle)
		if !m.readyHolds(it) || m.beyond(o) {
			return
		}
		f := m.fairs[o.fair]
		if f != own {
			waiting[f]++
		} else if it.less(order) {
			before++
		}
	})
	ahead := before
	for f, n := range waiting {
		ahead += min(n, max(0, own.running+before-f.running))
	}
	return int32(ahead)
}
