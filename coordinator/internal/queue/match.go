package queue

import (
	"math"
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

// mostGone is the number of takers that have gone which may always stand in line: they are skipped
// when they come first, and swept out when they outnumber the others behind one that waits on.
const mostGone = 64

// offer puts a taker that wants work in line.
func (m *Machine) offer(t *taker) {
	if t == nil || t.queued || !m.wants(t) {
		return
	}
	t.queued = true
	p := t.profile
	if p.takers.len() > 2*p.users+mostGone {
		p.takers.keep(func(t *taker) bool { return !t.gone() })
	}
	p.takers.push(t)
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
	for p.takers.len() > 0 {
		if t := *p.takers.first(); m.wants(t) {
			return t
		}
		p.takers.pop().queued = false
	}
	return nil
}

// match grants READY tasks while somebody wants them (Q4): new takers choose among all that
// they can run; for what became READY a taker is sought among those left. A class that nobody
// can run costs one look a step, however many tasks it has.
func (m *Machine) match() {
	for _, p := range m.wanting {
		p.wanting = false
		seated := false
		for t := m.next(p); t != nil; t = m.next(p) {
			if !seated {
				m.seatAll(p)
				seated = true
			}
			ln := m.best(p)
			if ln == nil {
				break
			}
			m.grantTo(p, t, ln)
		}
	}
	m.wanting = m.wanting[:0]
	if len(m.stirred) > 0 {
		m.matchStirred()
	}
}

// best gives the lane that is next among those the profile can run: of the queue whose turn it
// is the one that comes first.
func (m *Machine) best(p *profile) *lane {
	var found *lane
	turn := uint64(math.MaxUint64)
	for i := range p.reach {
		l := p.reach[i].line
		if l.pass >= turn || !m.open(l) {
			continue
		}
		var least *lane
		for _, c := range p.reach[i].classes {
			if ln := m.front(c); ln != nil && (least == nil || ln.rank.less(&least.rank)) {
				least = ln
			}
		}
		if least != nil && m.affords(least) {
			found, turn = least, l.pass
		}
	}
	return found
}

func (m *Machine) idleFor(c *class) *profile {
	for i := 0; i < len(m.idle); {
		p := m.idle[i]
		if m.next(p) == nil {
			p.idle = false
			m.idle = append(m.idle[:i], m.idle[i+1:]...)
			continue
		}
		if p.fits(c) {
			return p
		}
		i++
	}
	return nil
}

// grantTo gives the first task of a lane, as front found it, to a taker, which then goes to the
// end of its line.
func (m *Machine) grantTo(p *profile, tk *taker, ln *lane) {
	h := ln.rank.item.handle
	ln.ready.pop()
	t := m.tasks.at(h)
	t.state = 0 // out of its heap already
	var g *[]Granted
	var l *lease
	if tk.waiter != nil {
		l = m.grantUnary(h, t, tk.waiter.call)
		g = &tk.waiter.call.Grants
	} else {
		l = m.grantSession(h, t, tk.agent)
		if g = &m.tell(tk.agent.stream).Grants; *g == nil {
			*g = make([]Granted, 0, p.share(tk.agent, ln.class.line))
		}
	}
	m.move(h, t, Running)
	m.charge(ln, t, l)
	m.emit(t, Event{Kind: EventGranted, Attempt: l.attempt, Agent: l.agent.id})
	*g = append(*g, Granted{Lease: l.ref(), ID: m.idOf(t), Run: t.run, Left: l.length, Live: t.status()})
	p.takers.pop()
	if m.wants(tk) {
		p.takers.push(tk)
	} else {
		tk.queued = false
	}
}

// mostGuessed bounds the grants that room is made for before they are made.
const mostGuessed = 64

// share guesses how many READY tasks of a queue an agent will be given at once, the first of them
// included: no more than it wants, nor than its share.
func (p *profile) share(a *agent, l *line) int64 {
	most := min(a.credit-a.granted+1, mostGuessed)
	return min(most, l.counts.States[Ready]/int64(p.takers.len())+1)
}

// charge counts a grant to all that bounds or orders those to come.
func (m *Machine) charge(ln *lane, t *task, ls *lease) {
	l := ln.class.line
	l.pass += stride / uint64(l.settings.Weight)
	l.turn++
	ln.fair.turn = l.turn
	if l.bucket.every > 0 {
		l.bucket.take(m.elapsed)
	}
	m.reserve(l, ls)
	if t.gate != 0 {
		m.unpark(ln, t.gate)
	}
}

func (m *Machine) grantSession(h uint32, t *task, a *agent) *lease {
	n, l := m.lease(h, t, a)
	l.instance, l.length, l.at = a.instance, a.ttl, len(a.leases)
	a.leases = append(a.leases, n)
	a.granted++
	return l
}

func (m *Machine) grantUnary(h uint32, t *task, c *Acquire) *lease {
	a := m.agent(c.Agent)
	n, l := m.lease(h, t, a)
	l.unary, l.confirmed, l.length, l.request, l.answers = true, true, c.Length, c.Request, 1
	a.unary++
	if c.Request != "" {
		key := requestKey{c.Agent, c.Request}
		m.requests[key] = append(m.requests[key], n)
	}
	return l
}
