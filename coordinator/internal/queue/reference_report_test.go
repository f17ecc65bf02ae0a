package queue

import (
	"time"
)

// report takes a report. Of a session's, id is the agent, and by what it has now, nil if its
// stream has gone; both are nil for a unary call.
func (r *reference) report(x *Report, by *refAgent, id *string) {
	if r.taken[x] || x.Need {
		return
	}
	r.taken[x] = true
	ack, end, win := r.judgeReport(x, by, id)
	if x.Ack != ack || x.End != end || x.Winner != win {
		r.fault("report of %d#%d: ack %d end %d winner %v, want %d %d %v",
			x.Lease.Serial, x.Lease.Attempt, x.Ack, x.End, x.Winner, ack, end, win)
	}
}

func (r *reference) judgeReport(x *Report, by *refAgent, id *string) (Ack, EndReason, bool) {
	t := r.tasks[x.Lease.Serial]
	if t == nil || t.pruned || x.Lease.Attempt < 1 || x.Lease.Attempt > t.st.Attempt {
		return AckLeaseLost, EndUnknown, false
	}
	if l := t.lease; l != nil && l.attempt == x.Lease.Attempt {
		mine := l.unary && id == nil || !l.unary && by != nil && r.agents[l.agent] == by
		if !mine && !x.Success {
			return AckLeaseLost, EndUnknown, false // L3
		}
		return r.reportLive(t, x)
	}
	a, ok := t.attempts[x.Lease.Attempt]
	if !ok {
		r.fault("%s attempt %d is neither live nor ended", t.spec.ID, x.Lease.Attempt)
		return 0, 0, false
	}
	mine := id == nil && a.Unary || id != nil && *id == a.Agent && !a.Unary
	switch {
	case !mine && !x.Success:
		return AckLeaseLost, EndUnknown, false // L3
	case a.Reported && a.Digest == x.Digest: // C3
		if x.Invalid != "" {
			return AckInvalid, 0, false
		}
		return AckDuplicate, 0, false
	case x.Success && !t.st.State.Terminal() && !a.Reported && a.Outcome != OutcomeReleased: // L4
		if r.queues[t.spec.Queue].set.StrictFencing && a.Number != t.st.Attempt {
			r.settleLate(t, &a, x, false)
			return AckLeaseLost, EndFenced, false
		}
		r.winLate(t, a, x)
		return AckRecorded, 0, true
	}
	end := refusal(t, a)
	r.settleLate(t, &a, x, false) // B3
	return AckLeaseLost, end, false
}

func costOf(x *Report) (Micros, bool) {
	if x.Success {
		return x.Cost, x.HasCost
	}
	return x.Failure.Cost, x.Failure.HasCost
}

// refusal is the order of judgement of CONTRACT for an attempt that is not live.
func refusal(t *refTask, a Attempt) EndReason {
	switch {
	case a.Reported:
		return EndReported
	case t.st.State == Completed:
		return EndSuperseded
	case t.st.State == Cancelled:
		return EndCancelled
	case t.st.State.Terminal():
		return EndTerminal
	}
	return a.End
}

func (r *reference) reportLive(t *refTask, x *Report) (Ack, EndReason, bool) {
	cost, stated := costOf(x)
	if !stated {
		cost = r.unstated(x, t.spec.MaxCost)
	}
	a := r.close(t, OutcomeFailed, EndReported, cost)
	a.Reported, a.Digest, a.Settled = true, x.Digest, true
	a.Cost, a.HasCost = costOf(x)
	if x.Success {
		a.Outcome = OutcomeSucceeded
		t.attempts[a.Number], t.result = *a, string(x.Result)
		r.end(t, Completed, 0, a)
		return AckRecorded, 0, true
	}
	a.Failure = x.Failure
	if c := a.Failure.Class; c == 0 || c == ClassLeaseExpired || c >= ClassCancelled {
		a.Failure.Class = ClassInternal
	}
	t.attempts[a.Number] = *a
	r.priced(t, EventAttemptFailed, a, 0, a.Failure.Class)
	r.judge(t, a)
	if x.Invalid != "" {
		return AckInvalid, 0, false
	}
	return AckRecorded, 0, false
}

func (r *reference) winLate(t *refTask, a Attempt, x *Report) {
	a.Outcome, a.End, a.Failure = OutcomeSucceeded, EndReported, Failure{}
	r.settleLate(t, &a, x, true) // unless a refused report has
	a.Reported, a.Digest, a.Settled = true, x.Digest, true
	t.attempts[a.Number], t.result = a, string(x.Result)
	if t.lease != nil {
		r.tellCancel(t, EndSuperseded)
		over := r.close(t, OutcomeSuperseded, EndSuperseded, t.spec.MaxCost)
		r.priced(t, EventLeaseEnded, over, EndSuperseded, 0)
	}
	r.end(t, Completed, 0, &a)
}

func (r *reference) release(x *Release) {
	if r.taken[x] || x.Need {
		return
	}
	r.taken[x] = true
	want, end := false, EndUnknown
	t := r.tasks[x.Lease.Serial]
	if t != nil && !t.pruned {
		a, ended := t.attempts[x.Lease.Attempt]
		switch {
		case t.lease != nil && t.lease.attempt == x.Lease.Attempt:
			if t.lease.unary {
				r.back(t, OutcomeReleased, EndReleased, x.Started)
				want, end = true, 0
			}
		case ended && a.Outcome == OutcomeReleased && a.Unary:
			want, end = true, 0 // C4
		case ended && a.Unary:
			end = refusal(t, a)
		}
	}
	if x.Released != want || x.End != end {
		r.fault("release of %v answers %v %d, want %v %d", x.Lease, x.Released, x.End, want, end)
	}
}

func (r *reference) extend(x *Extension) {
	if r.taken[x] || x.Need {
		return
	}
	r.taken[x] = true
	want, end, left := false, EndUnknown, time.Duration(0)
	t := r.tasks[x.Lease.Serial]
	if t != nil && !t.pruned {
		a, ended := t.attempts[x.Lease.Attempt]
		l := t.lease
		switch {
		case l != nil && l.attempt == x.Lease.Attempt && l.unary:
			want, end, left = true, 0, l.length
			l.restored = false
			if l.running {
				l.deadline = min(r.mono+l.length, l.backstop)
				left = max(0, l.deadline-r.mono)
			}
		case ended && a.Unary:
			end = refusal(t, a)
		}
	}
	if x.Extended != want || x.End != end || x.Left != left {
		r.fault("extension of %v answers %v %d %v, want %v %d %v", x.Lease, x.Extended, x.End, x.Left, want, end, left)
	}
}
