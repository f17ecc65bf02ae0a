package queue

import (
	"slices"
	"time"
)

// waiter is an Acquire that waits for its first lease, or for the end of the step.
type waiter struct {
	call  *Acquire
	until time.Duration
	over  bool
	taker *taker
}

// wants tells whether the taker may be given one more lease (L11).
func (m *Machine) wants(t *taker) bool {
	switch {
	case m.quiet:
		return false
	case t.waiter != nil:
		a := m.agents[t.waiter.call.Agent]
		return !t.waiter.over && len(t.waiter.call.Grants) < t.waiter.call.Max && (a == nil || !a.drained)
	case t.agent != nil:
		a := t.agent
		return a.alive() && a.greeted && !a.draining && !a.drained && a.granted < a.credit
	}
	return false
}

// offer puts a taker that wants work in line.
func (m *Machine) offer(t *taker) {
	if t == nil || t.queued || !m.wants(t) {
		return
	}
	t.queued = true
	p := t.profile
	p.takers = append(p.takers, t)
	if !p.wanting {
		p.wanting = true
		m.wanting = append(m.wanting, p)
	}
	if !p.idle {
		p.idle = true
		m.idle = append(m.idle, p)
	}
}

// next gives the profile's first taker that still wants work.
func (m *Machine) next(p *profile) *taker {
	for len(p.takers) > 0 {
		if t := p.takers[0]; m.wants(t) {
			return t
		}
		p.takers[0].queued = false
		p.takers = p.takers[1:]
	}
	return nil
}

// match grants READY tasks while somebody wants them (Q4): new takers choose among all
// classes they can run; for what became READY a taker is sought among those left. A class
// that nobody can run costs one look a step, however many tasks it has.
func (m *Machine) match() {
	for _, p := range m.wanting {
		p.wanting = false
		for t := m.next(p); t != nil; t = m.next(p) {
			c := m.best(p)
			if c == 0 {
				break
			}
			m.grantTo(p, t, c)
		}
	}
	m.wanting = m.wanting[:0]
	for len(m.stirred) > 0 {
		i := m.firstStirred()
		if i < 0 {
			break
		}
		n := m.stirred[i]
		if p := m.idleFor(m.classes[n]); p != nil {
			m.grantTo(p, m.next(p), n)
			continue
		}
		m.classes[n].stirred = false
		m.stirred = slices.Delete(m.stirred, i, i+1)
	}
}

// head gives the class's first task, if it may be granted now.
func (m *Machine) headOf(c *class) (heapItem, bool) {
	if m.lines[c.line].paused || c.ready.live == 0 {
		return heapItem{}, false
	}
	return c.ready.top(m.readyHolds)
}

// best gives the class with the lowest order key among those the profile can run, or 0.
func (m *Machine) best(p *profile) uint32 {
	var least heapItem
	var found uint32
	for _, n := range p.classes {
		if it, ok := m.headOf(m.classes[n]); ok && (found == 0 || it.less(least)) {
			found, least = n, it
		}
	}
	return found
}

// firstStirred gives the place of the stirred class whose head comes first, dropping those
// that have none, or -1.
func (m *Machine) firstStirred() int {
	var least heapItem
	found := -1
	for i := 0; i < len(m.stirred); {
		c := m.classes[m.stirred[i]]
		var it heapItem
		ok := false
		if c != nil {
			it, ok = m.headOf(c)
		}
		if !ok {
			if c != nil {
				c.stirred = false
			}
			m.stirred = slices.Delete(m.stirred, i, i+1)
			continue
		}
		if found < 0 || it.less(least) {
			found, least = i, it
		}
		i++
	}
	return found
}

func (m *Machine) idleFor(c *class) *profile {
	for i := 0; i < len(m.idle); {
		p := m.idle[i]
		if m.next(p) == nil {
			p.idle = false
			m.idle = slices.Delete(m.idle, i, i+1)
			continue
		}
		if p.fits(m.lines[c.line].name, c.requires) {
			return p
		}
		i++
	}
	return nil
}

// grantTo gives the head of a class to a taker, which then goes to the end of its line.
func (m *Machine) grantTo(p *profile, tk *taker, n uint32) {
	c := m.classes[n]
	it, _ := c.ready.top(m.readyHolds)
	c.ready.pop()
	h := it.handle
	t := m.tasks.at(h)
	t.state = 0 // out of its heap already
	var g *[]Granted
	var l *lease
	if tk.waiter != nil {
		l = m.grantUnary(h, t, tk.waiter.call)
		g = &tk.waiter.call.Grants
	} else {
		l = m.grantSession(h, t, tk.agent)
		g = &m.tell(tk.agent.stream).Grants
	}
	m.move(h, t, Running)
	m.emit(t, Event{Kind: EventGranted, Attempt: l.attempt, Agent: l.agent.id})
	*g = append(*g, Granted{Lease: l.ref(), ID: m.tasks.names.get(t.name), Run: t.run, Left: l.length, Live: t.status()})
	if p.takers = p.takers[1:]; m.wants(tk) {
		p.takers = append(p.takers, tk)
	} else {
		tk.queued = false
	}
}

func (m *Machine) grantSession(h uint32, t *task, a *agent) *lease {
	n, l := m.open(h, t, a)
	l.instance, l.length, l.at = a.instance, a.ttl, len(a.leases)
	a.leases = append(a.leases, n)
	a.granted++
	return l
}

func (m *Machine) grantUnary(h uint32, t *task, c *Acquire) *lease {
	a := m.agent(c.Agent)
	n, l := m.open(h, t, a)
	l.unary, l.confirmed, l.length, l.request, l.holder = true, true, c.Length, c.Request, c
	a.unary++
	if c.Request != "" {
		key := requestKey{c.Agent, c.Request}
		m.requests[key] = append(m.requests[key], n)
	}
	return l
}
