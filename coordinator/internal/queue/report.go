package queue

// verdictOn is how a report, extension or release of a lease is to be taken.
type standing struct {
	live bool      // it is the live lease
	end  EndReason // else why not
	need bool      // only the ledger can tell
	rec  *Attempt  // the attempt's record, if it ended
	t    *task     // the task, if the machine holds it
	h    uint32
	k    *Known // the task as looked up, if it does not
}

// stand judges a lease ref in the order that CONTRACT gives.
func (m *Machine) stand(r LeaseRef, lk *Lookup) standing {
	if r.Serial == 0 || r.Serial >= m.head.NextSerial || r.Attempt <= 0 {
		return standing{end: EndUnknown}
	}
	h, t := m.tasks.findSerial(r.Serial)
	if t == nil {
		return m.standKnown(r, lk)
	}
	s := standing{h: h, t: t}
	switch {
	case r.Attempt > t.attempt:
		s.end = EndUnknown
	case r.Attempt == t.attempt && t.lease != 0:
		if l := m.leases.at(t.lease); l.live {
			s.live = true
		} else {
			s.rec = &l.ended
		}
	default:
		s.rec, s.need = m.recordOf(r, lk)
		if s.rec == nil {
			s.end = EndUnknown
		}
	}
	if s.rec != nil {
		s.end = endOf(t.state, s.rec)
	}
	return s
}

func (m *Machine) standKnown(r LeaseRef, lk *Lookup) standing {
	if !lk.Looked {
		return standing{need: true}
	}
	k := m.knownSerial(lk, r.Serial)
	if k == nil || r.Attempt > k.Status.Attempt {
		return standing{end: EndUnknown}
	}
	if !k.Status.State.Terminal() {
		return standing{need: true} // it ended after the look-up
	}
	rec, _ := m.recordOf(r, lk)
	if rec == nil {
		return standing{end: EndUnknown}
	}
	return standing{rec: rec, k: k, end: endOf(k.Status.State, rec)}
}

// recordOf finds the record of an ended attempt: among those of late, else in the look-up.
func (m *Machine) recordOf(r LeaseRef, lk *Lookup) (rec *Attempt, need bool) {
	if a, ok := m.past[AttemptKey{r.Serial, r.Attempt}]; ok {
		return &a.Attempt, false
	}
	if !lk.Looked {
		return nil, true
	}
	k := m.knownSerial(lk, r.Serial)
	if k == nil {
		return nil, false
	}
	for i := range k.Attempts {
		if k.Attempts[i].Number == r.Attempt {
			return &k.Attempts[i], false
		}
	}
	if k.Final.Number == r.Attempt {
		return &k.Final, false
	}
	return nil, false
}

// knownSerial finds a task in a look-up, unless it was pruned since.
func (m *Machine) knownSerial(lk *Lookup, s Serial) *Known {
	if _, ok := m.gone[s]; ok {
		return nil
	}
	return lk.findSerial(s)
}

// endOf says why an attempt that ended is not the live one.
func endOf(s State, rec *Attempt) EndReason {
	switch {
	case rec.Reported:
		return EndReported
	case s == Completed:
		return EndSuperseded
	case s == Cancelled:
		return EndCancelled
	case s.Terminal():
		return EndTerminal
	}
	return rec.End
}

// foreign tells whether an attempt that ended was not the caller's: by is the agent of a session,
// nil for unary calls. It may be an earlier instance's: its reports outlive it in the outbox.
func foreign(rec *Attempt, by *agent) bool {
	if by == nil {
		return !rec.Unary
	}
	return rec.Unary || rec.Agent != by.id
}

// endFor is the reason to tell a caller who may not act on the lease.
func (s *standing) endFor(by *agent) EndReason {
	if s.live || s.rec != nil && foreign(s.rec, by) {
		return EndUnknown
	}
	return s.end
}

// reports takes reports in order; by is the agent of the session that sent them, nil for
// unary calls. It tells whether some must be looked up first.
func (m *Machine) reports(rs []Report, lk *Lookup, by *agent) (need bool) {
	for i := range rs {
		r := &rs[i]
		if r.Ack != 0 && !r.Need {
			continue // taken before the look-up
		}
		r.Need = false
		m.report(r, lk, by)
		need = need || r.Need
	}
	return need
}

func (m *Machine) report(r *Report, lk *Lookup, by *agent) {
	s := m.stand(r.Lease, lk)
	switch {
	case s.need:
		r.Need = true
	case s.live:
		m.reportLive(r, s, by)
	case s.rec == nil, !r.Success && foreign(s.rec, by):
		r.Ack, r.End = AckLeaseLost, EndUnknown
	case s.rec.Reported && s.rec.Digest == r.Digest:
		r.Ack = AckDuplicate
		if r.Invalid != "" {
			r.Ack = AckInvalid // the same content, the same answer
		}
	case m.mayWin(r, s):
		m.winLate(r, s)
	default:
		m.refuse(r, s)
	}
}

// reportLive takes the report of the live lease, if it comes from whom it was given to. A
// success is taken from anybody who can name the lease (L4).
func (m *Machine) reportLive(r *Report, s standing, by *agent) {
	l := m.leases.at(s.t.lease)
	mine := by == nil && l.unary || by != nil && l.agent == by && l.instance == by.instance && !l.unary
	if !mine && !r.Success {
		r.Ack, r.End = AckLeaseLost, EndUnknown
		return
	}
	r.Ack = AckRecorded
	if r.Invalid != "" {
		r.Ack = AckInvalid
	}
	if r.Success {
		m.succeed(r, s)
		return
	}
	a := m.close(s.t, OutcomeFailed, EndReported)
	reported(&a, r)
	m.emit(s.t, Event{
		Kind: EventAttemptFailed, Attempt: a.Number, Agent: a.Agent, Class: a.Failure.Class, Reason: clip(a.Failure.Message),
	})
	m.judge(s.h, s.t, a)
}

func reported(a *Attempt, r *Report) {
	a.Reported, a.Digest = true, r.Digest
	a.Cost, a.HasCost = r.Cost, r.HasCost
	if !r.Success {
		a.Failure = r.Failure
		a.Cost, a.HasCost = r.Failure.Cost, r.Failure.HasCost
		if _, ok := verdicts[a.Failure.Class]; !ok {
			a.Failure.Class = ClassInternal
		}
	}
}

func (m *Machine) succeed(r *Report, s standing) {
	a := m.close(s.t, OutcomeSucceeded, EndReported)
	reported(&a, r)
	r.Winner = true
	m.finish(s.h, s.t, Completed, Failure{}, a, r.Result)
}

// mayWin tells whether the success of an attempt that is not current is the first one (L4).
func (m *Machine) mayWin(r *Report, s standing) bool {
	return r.Success && s.t != nil && !s.t.state.Terminal() && !s.rec.Reported && s.rec.Outcome != OutcomeReleased
}

// winLate completes a task by the success of an attempt that had been given up; the live
// lease, if there is one, is superseded.
func (m *Machine) winLate(r *Report, s standing) {
	a := *s.rec
	a.Outcome, a.End, a.Failure = OutcomeSucceeded, EndReported, Failure{}
	reported(&a, r)
	if s.rec.HasCost { // a refused report has settled it, once and for all (B3)
		a.Cost, a.HasCost = s.rec.Cost, true
	}
	r.Ack, r.Winner = AckRecorded, true
	t := s.t
	var final Attempt
	var over Event
	if t.state == Running {
		l := m.leases.at(t.lease)
		m.tellCancel(l, EndSuperseded)
		final = m.close(t, OutcomeSuperseded, EndSuperseded)
		over = Event{
			Kind: EventLeaseEnded, Attempt: final.Number, Agent: final.Agent, End: EndSuperseded, Queue: m.lineOf(t).name,
		}
	}
	m.storeAttempt(t.serial, a)
	t.set(flagSpilled, true)
	m.complete(s.h, t, a, final, r.Result)
	if over.Kind != 0 {
		m.emit(t, over)
	}
}

// complete is finish for a winner that is not the attempt which this change ends.
func (m *Machine) complete(h uint32, t *task, winner, final Attempt, result []byte) {
	m.finish(h, t, Completed, Failure{}, final, result)
	e := &m.batch.Events[len(m.batch.Events)-1]
	e.Attempt, e.Agent = winner.Number, winner.Agent
}

// tellCancel has the agent of a live session lease drop it.
func (m *Machine) tellCancel(l *lease, why EndReason) {
	if l.unary || l.agent.stream == 0 || l.instance != l.agent.instance {
		return
	}
	o := m.tell(l.agent.stream)
	o.Cancels = append(o.Cancels, LeaseEnd{l.ref(), why})
}

// refuse answers a report that comes too late. What it says of cost settles its own attempt,
// once (B3).
func (m *Machine) refuse(r *Report, s standing) {
	r.Ack, r.End = AckLeaseLost, s.end
	cost, has := r.Cost, r.HasCost
	if !r.Success {
		cost, has = r.Failure.Cost, r.Failure.HasCost
	}
	if s.rec.Reported || s.rec.HasCost || !has {
		return
	}
	a := *s.rec
	a.Cost, a.HasCost = cost, true
	m.storeAttempt(r.Lease.Serial, a)
	if s.t != nil {
		if l := s.t.lease; l != 0 && s.rec == &m.leases.at(l).ended {
			m.leases.at(l).ended = a
		}
	}
}

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
		m.back(s.h, s.t, OutcomeReleased, EndReleased)
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
