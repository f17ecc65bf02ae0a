package queue

import (
	"errors"
	"slices"
)

// step does what the machine has just done with the same input.
func (r *reference) step(m *Machine, in Input, out *Effects) {
	r.m = m
	r.events, r.streams, r.ended, r.faults = nil, nil, nil, nil
	r.advance(in)
	for _, c := range in.Commands {
		r.apply(c, out)
		r.forget()
	}
	r.endLeases()
	r.endSilent()
	r.endDrains()
	r.forget()
	r.settle()
	r.grants(in, out)
	r.answerWaiters(out)
	r.forget()
}

func (r *reference) timed() bool {
	streams := slices.ContainsFunc(r.agentList(), func(a *refAgent) bool { return a.stream != 0 })
	leases := slices.ContainsFunc(r.live(), func(t *refTask) bool { return t.lease != nil })
	return streams || leases || len(r.waiters) > 0
}

func (r *reference) agentList() []*refAgent {
	var as []*refAgent
	for _, a := range r.agents {
		as = append(as, a)
	}
	return as
}

func (r *reference) advance(in Input) {
	r.now = max(r.now, in.Now)
	gap := in.Elapsed - r.elapsed
	r.elapsed = in.Elapsed
	if r.timed() {
		if gap > r.cfg.LeaseTTL/3 { // L7
			r.stalled += gap
		}
	} else {
		r.stalled = r.m.stalled // nothing is timed by it
	}
	r.mono = r.elapsed - r.stalled
	for _, t := range r.live() {
		if l := t.lease; l != nil && !l.running && l.batch <= in.Released {
			r.startClock(t, l)
		}
	}
	for _, t := range r.live() {
		if t.st.State == Scheduled && t.st.Ready <= r.now {
			t.st.State, t.st.BackingOff = Ready, false
		}
		if t.st.State != Running && r.expired(t) {
			r.end(t, Expired, ClassDeadline, nil)
		}
	}
}

func (r *reference) startClock(t *refTask, l *refLease) {
	l.running, l.backstop = true, r.mono+t.spec.AttemptTimeout+l.length
	switch {
	case l.unary:
		l.deadline = min(r.mono+l.length, l.backstop)
	case l.confirmed:
		l.deadline = l.backstop
	default:
		l.deadline = r.mono + r.cfg.GrantTimeout
	}
}

// endLeases ends those whose time is up (L5, L6).
func (r *reference) endLeases() {
	for _, t := range r.live() {
		l := t.lease
		if l == nil || !l.running || l.deadline > r.mono {
			continue
		}
		switch {
		case l.restored, !l.unary && !l.confirmed:
			r.back(t, OutcomeUnconfirmed, EndUnconfirmed, false)
		case l.deadline == l.backstop:
			r.timeOut(t)
		default:
			r.lose(t, EndExpired)
		}
	}
}

func (r *reference) timeOut(t *refTask) {
	l := t.lease
	a := r.close(t, OutcomeLost, EndTimedOut, t.spec.MaxCost)
	a.Failure.Class = ClassTimeout
	t.attempts[a.Number] = *a
	r.priced(t, EventLeaseEnded, a, EndTimedOut, 0)
	if s := r.agents[l.agent].stream; s != 0 && !l.unary {
		r.cancelOut(s, t.spec.Serial, l.attempt, EndTimedOut)
	}
	r.judge(t, a)
}

func (r *reference) endSilent() {
	for id, a := range r.agents {
		if !a.known || a.heard+r.cfg.LeaseTTL > r.mono {
			continue
		}
		a.silent = true
		for _, t := range r.session(id) {
			if t.lease.confirmed {
				r.lose(t, EndExpired)
			}
		}
	}
}

// endDrains releases what a drained agent holds when its time is up.
func (r *reference) endDrains() {
	for id, a := range r.agents {
		if a.drainBy == 0 || a.drainBy > r.mono {
			continue
		}
		a.drainBy = 0
		for _, t := range r.held(id) {
			r.tellCancel(t, EndReleased)
			r.back(t, OutcomeReleased, EndReleased, t.lease.confirmed)
		}
	}
}

func (r *reference) apply(c Command, out *Effects) {
	missing := slices.Contains(out.Missing, c)
	switch c := c.(type) {
	case *Message:
		r.message(c, missing)
		return
	case *ReportLeases:
		for i := range c.Reports {
			r.report(&c.Reports[i], nil, nil)
		}
		return
	case *ReleaseLeases:
		for i := range c.Releases {
			r.release(&c.Releases[i])
		}
		return
	case *ExtendLeases:
		for i := range c.Extensions {
			r.extend(&c.Extensions[i])
		}
		return
	}
	if missing {
		return
	}
	switch c := c.(type) {
	case *Submit:
		r.submit(c)
	case *Cancel:
		r.cancel(c)
	case *Rerun:
		r.rerun(c)
	case *Acquire:
		r.acquire(c)
	case *Abandon:
		r.abandon(c)
	case *Connect:
		r.connect(c)
	case *Disconnect:
		for _, a := range r.agents {
			if a.stream == c.Stream {
				a.stream = 0
			}
		}
	case *SetPaused:
		r.setPaused(c)
	case *UpdateQueue:
		r.update(c)
	case *Drain:
		r.drainAgent(c)
	case *Prune:
		r.prune(c, out)
	}
}

// wantErr compares a refusal by its reason.
func (r *reference) wantErr(what string, err error, want Reason) {
	got := Reason("")
	var e *Error
	if errors.As(err, &e) {
		got = e.Reason
	}
	if got != want || err != nil && e == nil {
		r.fault("%s answers %v, want %q", what, err, want)
	}
}
