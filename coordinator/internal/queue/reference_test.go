package queue

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// reference is a naive model of the machine: maps, slices and walks over everything. It takes
// each step after the machine did, and says what should have come of it. Only two things does
// it take from the machine, and checks them: which tasks were granted, and where in its bounds a
// back-off lies.
type reference struct {
	cfg     Config
	tasks   map[Serial]*refTask // pruned ones too
	queues  map[string]*refQueue
	rows    map[SpendKey]SpendRecord
	agents  map[string]*refAgent
	waiters []*refWaiter
	now     Instant
	elapsed time.Duration
	stalled time.Duration
	mono    time.Duration

	// Of the present step.
	m       *Machine
	taken   map[any]bool // reports, releases, extensions of commands that are looked up
	said    map[*Message]*refMessage
	events  []string
	streams []string
	ended   []string
	faults  []string
}

type refTask struct {
	spec     Spec
	st       Status
	class    Class // of the failure in the terminal record
	edges    []refEdge
	lease    *refLease
	attempts map[int32]Attempt // ended ones
	result   string
	pruned   bool
}

// refEdge is a dependency; passed: it is not waited for any more. A parent that failed under
// RUN has its edge dropped.
type refEdge struct {
	parent          Serial
	passed, dropped bool
}

type refLease struct {
	attempt, run        int32
	agent, instance     string
	unary               bool
	request             string
	answers             int
	length              time.Duration
	batch               uint64
	start               Instant
	confirmed, restored bool
	running             bool // its clock
	deadline, backstop  time.Duration
	misses              int
	named               bool // by the heartbeat being taken
}

type refAgent struct {
	instance        string
	stream          StreamID
	silent, greeted bool
	known           bool // it has had a stream in this process
	heard           time.Duration
	credit, granted int64
	draining, drain bool
	drainBy         time.Duration // 0: none
	labels          []Label
	queues          []string
}

// refMessage is what is kept of a message while it is looked up.
type refMessage struct {
	agent   string
	cancels []LeaseEnd // its answer
}

type refWaiter struct {
	call  *Acquire
	until time.Duration
	over  bool
}

func newReference(c Config) *reference {
	return &reference{
		cfg: c, tasks: map[Serial]*refTask{}, queues: map[string]*refQueue{DefaultQueue: newRefQueue()},
		rows:   map[SpendKey]SpendRecord{},
		agents: map[string]*refAgent{}, taken: map[any]bool{}, said: map[*Message]*refMessage{},
	}
}

func (r *reference) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Sprintf(format, args...))
}

// byID finds the task that an id stands for now.
func (r *reference) byID(id string) *refTask {
	for _, t := range r.tasks {
		if t.spec.ID == id && !t.pruned {
			return t
		}
	}
	return nil
}

func (r *reference) serials() []Serial { return slices.Sorted(maps.Keys(r.tasks)) }

// live is the tasks that are not terminal, by serial.
func (r *reference) live() []*refTask {
	var ts []*refTask
	for _, s := range r.serials() {
		if t := r.tasks[s]; !t.pruned && !t.st.State.Terminal() {
			ts = append(ts, t)
		}
	}
	return ts
}

// held is the live leases of an agent.
func (r *reference) held(agent string) []*refTask {
	var ts []*refTask
	for _, t := range r.live() {
		if t.lease != nil && t.lease.agent == agent {
			ts = append(ts, t)
		}
	}
	return ts
}

// session is those of its session.
func (r *reference) session(agent string) []*refTask {
	return slices.DeleteFunc(r.held(agent), func(t *refTask) bool { return t.lease.unary })
}

func (r *reference) event(t *refTask, kind EventKind, attempt int32, agent string, end EndReason, class Class) {
	r.events = append(r.events, fmt.Sprintf("%d %s run %d attempt %d agent %q end %d class %d",
		kind, t.spec.ID, t.st.Run, attempt, agent, end, class))
}

// priced is event for what tells what an attempt settled at.
func (r *reference) priced(t *refTask, kind EventKind, a *Attempt, end EndReason, class Class) {
	r.event(t, kind, a.Number, a.Agent, end, class)
	if a.Reserved != 0 || a.Spent != 0 || a.HasCost {
		r.events[len(r.events)-1] += fmt.Sprint(" cost ", a.Spent)
	}
}

func (r *reference) queueEvent(name string) {
	r.events = append(r.events, fmt.Sprintf("%d queue %s", EventQueueChanged, name))
}

func eventKey(e *Event) string {
	switch e.Kind {
	case EventQueueChanged:
		return fmt.Sprintf("%d queue %s", e.Kind, e.Queue)
	default:
		text := fmt.Sprintf("%d %s run %d attempt %d agent %q end %d class %d",
			e.Kind, e.Task, e.Run, e.Attempt, e.Agent, e.End, e.Class)
		if e.HasCost {
			text += fmt.Sprint(" cost ", e.Cost)
		}
		return text
	}
}

func (r *reference) cancelOut(s StreamID, serial Serial, attempt int32, end EndReason) {
	r.streams = append(r.streams, fmt.Sprintf("%d cancel %d#%d %d", s, serial, attempt, end))
}

// clone copies what survives a crash.
func (r *reference) clone() *reference {
	c := newReference(r.cfg)
	c.now, c.rows = r.now, maps.Clone(r.rows)
	for n, q := range r.queues {
		x := *q
		x.grants, x.since = nil, 0 // rates begin anew
		c.queues[n] = &x
	}
	for s, t := range r.tasks {
		x := *t
		x.edges, x.attempts = slices.Clone(t.edges), maps.Clone(t.attempts)
		if t.lease != nil {
			l := *t.lease
			x.lease = &l
		}
		c.tasks[s] = &x
	}
	return c
}

// restart turns a clone into what a coordinator that becomes active should know: every lease
// has its full length and is unconfirmed (L7).
func (r *reference) restart() {
	for _, t := range r.live() {
		l := t.lease
		if l == nil {
			continue
		}
		l.restored, l.confirmed, l.running, l.answers = true, l.unary, true, 1
		l.misses, l.batch = 0, 0
		l.deadline, l.backstop = l.length, l.length+t.spec.AttemptTimeout
		a := r.agent(l.agent)
		if !l.unary {
			a.instance = l.instance
		}
	}
}

func (r *reference) agent(id string) *refAgent {
	if r.agents[id] == nil {
		r.agents[id] = &refAgent{}
	}
	return r.agents[id]
}

// forget drops agents that have neither stream nor leases. One that drains may come back for a
// while, and must still be draining then.
func (r *reference) forget() {
	for id, a := range r.agents {
		back := (a.drain || a.draining) && a.known && !a.silent
		if a.stream == 0 && len(r.held(id)) == 0 && !back {
			delete(r.agents, id)
		}
	}
}
