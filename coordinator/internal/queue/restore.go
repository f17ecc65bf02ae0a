package queue

import (
	"errors"
	"fmt"
	"slices"
)

// ErrInconsistent is given for records that cannot stand beside each other: do not serve.
var ErrInconsistent = errors.New("queue: inconsistent records")

// RestoreHead takes the ledger's head; first.
func (m *Machine) RestoreHead(h Head) {
	m.head = h
	m.head.NextSerial, m.head.Oldest = max(1, h.NextSerial), max(1, h.Oldest)
	m.now = h.Now
}

// RestoreQueue takes one stored queue; before the tasks. Those that are live are counted as
// they come: a task whose time came is READY without a record that says so.
func (m *Machine) RestoreQueue(q QueueRecord) {
	l := m.line(q.Name)
	l.paused, l.counts, l.spend = q.Paused, q.Counts, q.Spend
	l.settings, l.version = q.Settings, max(1, q.Version)
	l.settings.Weight = max(1, l.settings.Weight)
	clear(l.counts.States[:Completed])
}

// RestoreTask takes one live record, in any order. It keeps nothing of l.
func (m *Machine) RestoreTask(l *Live) error {
	if _, t := m.tasks.findSerial(l.Serial); t != nil || l.Serial == 0 || l.Serial >= m.head.NextSerial {
		return fmt.Errorf("%w: live record of serial %d", ErrInconsistent, l.Serial)
	}
	in, ok := m.lineByName[l.Queue]
	if !ok {
		return fmt.Errorf("%w: task %s is in queue %s, which is not there", ErrInconsistent, l.ID, l.Queue)
	}
	h, t := m.tasks.add(l.ID, l.Serial)
	t.digest = l.Digest
	t.restore(&l.Status)
	m.join(t, in, l.FairnessKey, l.ConcurrencyKey, l.Requires)
	t.terms = m.terms.take(terms{l.OnFailure, l.AttemptTimeout, l.Retry, l.MaxCost})
	t.priority, t.counts = int8(l.Priority), l.Status.State
	t.set(flagStored, true)
	m.live++
	m.watchExpiry(h, t)
	for _, p := range l.Parents {
		n, e := m.edges.take()
		*e = edge{parent: p, child: h, next: t.edges, passed: t.state != Blocked}
		t.edges = n
		m.linkKid(n, t.state != Blocked)
	}
	if err := m.restoreState(h, t, l); err != nil {
		return err
	}
	in.counts.States[t.counts]++
	return nil
}

func (m *Machine) restoreState(h uint32, t *task, l *Live) error {
	switch t.state {
	case Blocked:
		t.waiting = uint8(len(l.Parents))
	case Scheduled:
		m.scheduled.push(heapItem{key: int64(t.ready), serial: uint64(t.serial), handle: h})
	case Ready:
		m.ready(h, t)
	case Running:
		m.restoreLease(h, t, &l.Grant)
		m.began(t)
	default:
		return fmt.Errorf("%w: live record of task %s has state %s", ErrInconsistent, l.ID, t.state)
	}
	return nil
}

// restoreLease gives a live lease its full length again, unconfirmed (L7).
func (m *Machine) restoreLease(h uint32, t *task, g *Grant) {
	a := m.agent(g.Agent)
	n, l := m.leases.take()
	*l = lease{
		live: true, restored: true, unary: g.Unary(), task: h, attempt: t.attempt, run: t.run, serial: t.serial,
		start: g.Start, length: g.Length, agent: a, instance: g.Instance, request: g.Request,
		reserved: m.terms.at(t.terms).maxCost,
	}
	t.lease = n
	l.backstop = m.terms.at(t.terms).timeout + l.length
	if l.unary {
		l.confirmed, l.answers = true, 1
		a.unary++
		if l.request != "" {
			key := requestKey{a.id, l.request}
			m.requests[key] = append(m.requests[key], n)
		}
	} else {
		a.instance = g.Instance
		l.at = len(a.leases)
		a.leases = append(a.leases, n)
	}
	if !m.cfg.Offline {
		m.setDeadline(n, l, l.length)
	}
}

// Orphans are the parents that restored BLOCKED tasks name and that are not live: the caller
// looks their terminal states up and gives them to Activate.
func (m *Machine) Orphans() []Serial {
	var orphans []Serial
	for p, k := range m.kids {
		if _, t := m.tasks.findSerial(p); t == nil && k.pending != 0 {
			orphans = append(orphans, p)
		}
	}
	slices.Sort(orphans)
	return orphans
}

// Activate starts the clocks: every live lease has its full length from elapsed zero. What
// was cut short is taken up again: parents that ended have their dependents settled.
func (m *Machine) Activate(now Instant, parents map[Serial]State) error {
	m.now = max(m.now, now)
	for _, p := range m.Orphans() {
		s, ok := parents[p]
		if !ok || !s.Terminal() {
			return fmt.Errorf("%w: task %d is waited for but is not there", ErrInconsistent, p)
		}
		m.settle(p, s)
	}
	for _, l := range m.lines[1:] {
		if err := m.checkCounts(l); err != nil {
			return err
		}
		m.resume(l)
		l.bucket = newBucket(l.settings.Rate, m.elapsed)
	}
	m.rereserve(nil)
	return nil
}

func (m *Machine) checkCounts(l *line) error {
	sum := l.counts.Pruned
	for _, n := range l.counts.States {
		sum += n
	}
	if sum != l.counts.Submitted {
		return fmt.Errorf("%w: queue %s counts %d tasks submitted and %d by state", ErrInconsistent, l.name, l.counts.Submitted, sum)
	}
	return nil
}
