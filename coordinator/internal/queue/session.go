package queue

import "slices"

// message takes one message of a stream, part by part. A message that comes back from a
// look-up has only the reports left, and the leases to be cancelled, that needed it.
func (m *Machine) message(c *Message) {
	a := m.byStream[c.Stream]
	if a == nil && !c.Looked {
		c.Gone = true
		m.done(c)
		return
	}
	if a == nil {
		a = &agent{id: c.agent} // the stream went during the look-up: nothing live is its own
	}
	c.agent = a.id
	need := m.reports(c.Reports, &c.Lookup, a)
	if !c.Looked {
		m.messageRest(c, a)
	}
	if m.endings(c, a) || need {
		m.missing(c)
		return
	}
	m.done(c)
}

// messageRest takes all of a message but its reports.
func (m *Machine) messageRest(c *Message, a *agent) {
	a.heard, a.heardAt, a.silent = m.mono, m.now, false
	for i := range c.Releases {
		m.sessionRelease(a, &c.Releases[i])
	}
	if first := !a.greeted; c.Beats || first {
		a.greeted = true
		m.heartbeat(a, c, first)
	}
	if c.Credit > a.credit {
		a.credit = c.Credit
	}
	if c.Draining {
		a.draining = true
	}
	m.offer(a.taker)
}

// held gives the live lease of that ref if it is of this agent's session.
func (m *Machine) held(a *agent, r LeaseRef) (uint32, *lease) {
	_, t := m.tasks.findSerial(r.Serial)
	if t == nil || t.state != Running || t.attempt != r.Attempt {
		return 0, nil
	}
	l := m.leases.at(t.lease)
	if l.agent != a || l.unary || l.instance != a.instance {
		return 0, nil
	}
	return t.lease, l
}

func (m *Machine) sessionRelease(a *agent, r *Release) {
	if _, l := m.held(a, r.Lease); l != nil {
		m.back(l.task, m.tasks.at(l.task), OutcomeReleased, EndReleased, r.Started)
		r.Released = true
	}
}

// heartbeat confirms and extends what the agent names, and gives up what it does not (L8, L9).
func (m *Machine) heartbeat(a *agent, c *Message, first bool) {
	a.beat++
	if c.RoundTrip > 0 {
		a.roundTrip = c.RoundTrip
	}
	for i := range c.Held {
		x := &c.Held[i]
		n, l := m.held(a, x.Lease)
		if l == nil {
			x.Need = true // of an answer, which endings gives
			continue
		}
		l.beat, l.misses = a.beat, 0
		m.confirm(n, l)
		l.note(x)
	}
	for _, n := range slices.Clone(a.leases) {
		m.missed(m.leases.at(n), a, first)
	}
}

// endings answers the leases that an agent names and does not hold, and tells whether some
// must be looked up first.
func (m *Machine) endings(c *Message, a *agent) (need bool) {
	for i := range c.Held {
		x := &c.Held[i]
		if !x.Need {
			continue
		}
		s := m.stand(x.Lease, &c.Lookup)
		if x.Need = s.need; s.need {
			need = true
			continue
		}
		c.Cancels = append(c.Cancels, LeaseEnd{x.Lease, s.endFor(a)})
	}
	return need
}

func (l *lease) note(x *Extension) {
	if x.HasProgress {
		l.progress, l.hasProg = x.Progress, true
	}
	if x.Message != "" {
		l.message = x.Message
	}
}

// maxMisses is the number of heartbeats in a row that may leave a held lease out; one might
// have crossed the report on its way.
const maxMisses = 2

func (m *Machine) missed(l *lease, a *agent, first bool) {
	if l.beat == a.beat {
		return
	}
	t := m.tasks.at(l.task)
	switch {
	case !l.confirmed && first:
		m.back(l.task, t, OutcomeUnconfirmed, EndUnconfirmed, false)
	case l.confirmed:
		if l.misses++; l.misses >= maxMisses {
			m.back(l.task, t, OutcomeReleased, EndReleased, true)
		}
	}
}

// popSilences ends the leases of sessions that have not been heard of for their length.
func (m *Machine) popSilences() {
	for {
		it, ok := m.nextSilence()
		if !ok || it.key > int64(m.mono) {
			return
		}
		m.silences.pop()
		a := m.byNumber[it.serial]
		a.timed = false
		m.fellSilent(a)
	}
}

// nextSilence is when the next session counts as silent. An agent stands in the heap once; its time
// is brought up to date when it surfaces, so that heartbeats don't touch the heap and thousands of
// idle sessions wake nobody.
func (m *Machine) nextSilence() (heapItem, bool) {
	for {
		it, ok := m.silences.top(m.silenceHolds)
		if !ok {
			return it, false
		}
		a := m.byNumber[it.serial]
		due := int64(a.heard + a.ttl)
		if due <= it.key {
			return it, true
		}
		m.silences.pop()
		m.silences.push(heapItem{key: due, serial: a.number})
	}
}

func (m *Machine) fellSilent(a *agent) {
	a.silent = true
	for _, n := range slices.Clone(a.leases) {
		if l := m.leases.at(n); l.confirmed {
			m.lose(l.task, m.tasks.at(l.task), EndExpired)
		}
	}
	if a.stream != 0 || len(a.leases) > 0 {
		a.timed = true
		m.silences.push(heapItem{key: int64(m.mono + a.ttl), serial: a.number})
	}
	m.forgetAgent(a)
}
