package queue

func (m *Machine) reportLeases(c *ReportLeases) {
	if m.reports(c.Reports, &c.Lookup, nil) {
		m.missing(c)
		return
	}
	m.done(c)
}

func (m *Machine) releaseLeases(c *ReleaseLeases) {
	need := false
	for i := range c.Releases {
		r := &c.Releases[i]
		if !r.Released && (r.End == 0 || r.Need) {
			r.Need = false
			m.release(r, &c.Lookup)
			need = need || r.Need
		}
	}
	if need {
		m.missing(c)
		return
	}
	m.done(c)
}

// release takes a unary lease back; to say it again is no fault (C4).
func (m *Machine) release(r *Release, lk *Lookup) {
	s := m.stand(r.Lease, lk)
	switch {
	case s.need:
		r.Need = true
	case s.live && m.leases.at(s.t.lease).unary:
		m.back(s.h, s.t, OutcomeReleased, EndReleased, r.Started)
		r.Released = true
	case s.rec != nil && s.rec.Outcome == OutcomeReleased && s.rec.Unary:
		r.Released = true
	default:
		r.End = s.endFor(nil)
	}
}

func (m *Machine) extendLeases(c *ExtendLeases) {
	need := false
	for i := range c.Extensions {
		x := &c.Extensions[i]
		if !x.Extended && (x.End == 0 || x.Need) {
			x.Need = false
			m.extend(x, &c.Lookup)
			need = need || x.Need
		}
	}
	if need {
		m.missing(c)
		return
	}
	m.done(c)
}

// extend sets the deadline of a unary lease to now + its length, up to its backstop.
func (m *Machine) extend(x *Extension, lk *Lookup) {
	s := m.stand(x.Lease, lk)
	if s.need {
		x.Need = true
		return
	}
	if !s.live || !m.leases.at(s.t.lease).unary {
		x.End = s.endFor(nil)
		return
	}
	n := s.t.lease
	l := m.leases.at(n)
	l.restored = false
	l.note(x)
	if l.deadline != 0 {
		m.setDeadline(n, l, min(m.mono+l.length, l.backstop))
	}
	x.Extended, x.Left = true, m.left(l)
}
