package queue

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
	case !m.mayWin(r, s):
		m.refuse(r, s, s.end)
	case m.fenced(r, s):
		m.refuse(r, s, EndFenced)
	default:
		m.winLate(r, s)
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
	a := m.close(s.t, OutcomeFailed, EndReported, r.costs(l.reserved))
	reported(&a, r)
	m.emit(s.t, a.priced(Event{Kind: EventAttemptFailed, Class: a.Failure.Class, Reason: clip(a.Failure.Message)}))
	m.judge(s.h, s.t, a)
}

func reported(a *Attempt, r *Report) {
	a.Reported, a.Digest, a.Settled = true, r.Digest, true
	a.Cost, a.HasCost = r.stated()
	if !r.Success {
		a.Failure = r.Failure
		if _, ok := verdicts[a.Failure.Class]; !ok {
			a.Failure.Class = ClassInternal
		}
	}
}

func (m *Machine) succeed(r *Report, s standing) {
	a := m.close(s.t, OutcomeSucceeded, EndReported, r.costs(m.leases.at(s.t.lease).reserved))
	reported(&a, r)
	r.Winner = true
	m.finish(s.h, s.t, Completed, Failure{}, a, r.Result)
}

// mayWin tells whether the success of an attempt that is not current is the first one (L4).
func (m *Machine) mayWin(r *Report, s standing) bool {
	return r.Success && s.t != nil && !s.t.state.Terminal() && !s.rec.Reported && s.rec.Outcome != OutcomeReleased
}

// fenced tells whether the queue takes a late success of its newest attempt only.
func (m *Machine) fenced(r *Report, s standing) bool {
	return m.lineOf(s.t).settings.StrictFencing && r.Lease.Attempt != s.t.attempt
}

// winLate completes a task by the success of an attempt that had been given up; the live
// lease, if there is one, is superseded.
func (m *Machine) winLate(r *Report, s standing) {
	a := *s.rec
	a.Outcome, a.End, a.Failure = OutcomeSucceeded, EndReported, Failure{}
	m.settleLate(&a, r, s)
	reported(&a, r)
	if s.rec.final() {
		a.Cost, a.HasCost = s.rec.Cost, s.rec.HasCost
	}
	r.Ack, r.Winner = AckRecorded, true
	t := s.t
	var final Attempt
	if t.state == Running {
		l := m.leases.at(t.lease)
		m.tellCancel(l, EndSuperseded)
		final = m.close(t, OutcomeSuperseded, EndSuperseded, l.reserved)
	}
	m.storeAttempt(t.serial, a)
	t.set(flagSpilled, true)
	m.complete(s.h, t, a, final, r.Result)
	if final.Number != 0 {
		m.emit(t, final.priced(Event{Kind: EventLeaseEnded, End: EndSuperseded}))
	}
}

// complete is finish for a winner that is not the attempt which this change ends.
func (m *Machine) complete(h uint32, t *task, winner, final Attempt, result []byte) {
	m.finish(h, t, Completed, Failure{}, final, result)
	e := &m.batch.Events[len(m.batch.Events)-1]
	*e = winner.priced(*e)
}

// tellCancel has the agent of a live session lease drop it.
func (m *Machine) tellCancel(l *lease, why EndReason) {
	if l.unary || l.agent.stream == 0 || l.instance != l.agent.instance {
		return
	}
	o := m.tell(l.agent.stream)
	o.Cancels = append(o.Cancels, LeaseEnd{l.ref(), why})
}

// refuse answers a report that comes too late. It settles its own attempt, once (B3).
func (m *Machine) refuse(r *Report, s standing, end EndReason) {
	r.Ack, r.End = AckLeaseLost, end
	cost, stated := r.stated()
	if s.rec.final() || !stated && s.rec.Reserved == 0 {
		return
	}
	a := *s.rec
	changed := m.settleLate(&a, r, s)
	a.Cost, a.HasCost = cost, stated
	m.storeAttempt(r.Lease.Serial, a)
	if s.t != nil {
		if l := s.t.lease; l != 0 && s.rec == &m.leases.at(l).ended {
			m.leases.at(l).ended = a
		}
	}
	if changed {
		m.emitSettled(&a, s)
	}
}

// final tells whether a report has settled the attempt: then no other does (B3). Records of
// before attempts were settled know only whether a cost was stated.
func (a *Attempt) final() bool { return a.Settled || a.Reported || a.HasCost }

// settleLate has the first report of an attempt that ended without one say what it cost, and
// tells whether that changes the sum.
func (m *Machine) settleLate(a *Attempt, r *Report, s standing) bool {
	if a.final() {
		return false
	}
	was, cost := a.Spent, r.costs(a.Reserved)
	if s.t == nil {
		return m.resettle(m.line(s.k.Spec.Queue), s.k.Spec.FairnessKey, a, cost)
	}
	f := m.fairs[s.t.fair]
	changed := m.resettle(f.line, f.name, a, cost)
	if changed && !s.t.state.Terminal() {
		s.t.spent += cost - was
		m.touch(s.h, s.t)
	}
	return changed
}

func (m *Machine) emitSettled(a *Attempt, s standing) {
	e := a.priced(Event{Kind: EventSpendSettled})
	if s.t == nil {
		e.Task, e.Serial, e.Queue, e.Run = s.k.Spec.ID, s.k.Spec.Serial, s.k.Spec.Queue, s.k.Status.Run
	}
	m.emit(s.t, e)
}
