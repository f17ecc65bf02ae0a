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
