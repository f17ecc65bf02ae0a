package queue

// standing is how a report, extension or release of a lease is to be taken.
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
