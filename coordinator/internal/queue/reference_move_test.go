package queue

import (
	"slices"
	"time"
)

// enter gives a new run, or a task that waits no longer, its state.
func (r *reference) enter(t *refTask) {
	waits := slices.ContainsFunc(t.edges, func(e refEdge) bool { return !e.passed && !e.dropped })
	switch {
	case waits:
		t.st.State, t.st.Ready = Blocked, 0
	case t.st.NotBefore > r.now:
		t.st.State, t.st.Ready = Scheduled, t.st.NotBefore
	default:
		t.st.State, t.st.Ready = Ready, r.now
	}
}

// finish makes a task terminal; its attempt, if it had one, has been closed.
func (r *reference) finish(t *refTask, to State, class Class) {
	if t.st.State.Terminal() {
		r.fault("%s becomes %s and is %s already", t.spec.ID, to, t.st.State) // C1
	}
	t.st.State, t.st.Finish, t.class, t.edges = to, r.now, class, nil
	r.ended = append(r.ended, t.spec.ID)
}

// end is finish with its event.
func (r *reference) end(t *refTask, to State, class Class, final *Attempt) {
	var n int32
	var agent string
	if final != nil {
		n, agent = final.Number, final.Agent
	}
	r.finish(t, to, class)
	kinds := map[State]EventKind{
		Completed: EventCompleted, Failed: EventFailed, Cancelled: EventCancelled, Expired: EventExpired, Quarantined: EventQuarantined,
	}
	if to == Completed {
		r.priced(t, kinds[to], final, 0, class)
		return
	}
	r.event(t, kinds[to], n, agent, 0, class)
}

// close ends the live lease of a task and settles its attempt.
func (r *reference) close(t *refTask, o Outcome, end EndReason, cost Micros) *Attempt {
	l := t.lease
	a := Attempt{
		Number: l.attempt, Run: l.run, Agent: l.agent, Unary: l.unary, Start: l.start, Finish: r.now, Outcome: o, End: end,
		Reserved: t.spec.MaxCost,
	}
	t.lease = nil
	r.settleCost(t, &a, cost)
	t.attempts[a.Number] = a
	return &a
}

func (r *reference) expired(t *refTask) bool {
	return t.st.ExpireTime != 0 && t.st.ExpireTime <= r.now
}

// again has a task run once more at no delay.
func (r *reference) again(t *refTask, a *Attempt) {
	if r.expired(t) {
		r.end(t, Expired, ClassDeadline, a)
		return
	}
	t.st.State = Ready
}

// back returns a task at no cost (L8, Q3).
func (r *reference) back(t *refTask, o Outcome, end EndReason, started bool) {
	cost := Micros(0)
	if started {
		cost = t.spec.MaxCost
	}
	a := r.close(t, o, end, cost)
	r.priced(t, EventLeaseEnded, a, end, 0)
	r.again(t, a)
}

// lose ends the lease of an agent that fell silent.
func (r *reference) lose(t *refTask, end EndReason) {
	a := r.close(t, OutcomeLost, end, t.spec.MaxCost)
	a.Failure.Class = ClassLeaseExpired
	t.attempts[a.Number] = *a
	r.priced(t, EventLeaseEnded, a, end, 0)
	t.st.Lost++
	switch {
	case r.expired(t):
		r.end(t, Expired, ClassDeadline, a)
	case t.spec.Retry.Unknown == UnknownFail:
		r.end(t, Failed, ClassLeaseExpired, a)
	case t.st.Lost >= 5:
		r.end(t, Quarantined, ClassLeaseExpired, a)
	default:
		r.again(t, a)
	}
}

// judge decides on a failed attempt by the table of classes.
func (r *reference) judge(t *refTask, a *Attempt) {
	counts, fails, delayed := false, false, true
	switch a.Failure.Class {
	case ClassConnect, ClassServerError, ClassInternal:
		counts = true
	case ClassTimeout:
		counts, fails = true, t.spec.Retry.Unknown != UnknownRetry
	case ClassRateLimited, ClassOverloaded:
		t.st.Uncounted++
		counts = t.st.Uncounted > 20
	case ClassAuth, ClassOutOfCredit:
		t.st.Denied++
		fails, delayed = t.st.Denied >= 3, false
	default:
		fails = true
	}
	if counts {
		t.st.Counted++
		fails = fails || t.st.Counted >= t.spec.Retry.MaxAttempts
	}
	switch {
	case r.expired(t):
		r.end(t, Expired, ClassDeadline, a)
	case fails:
		r.end(t, Failed, a.Failure.Class, a)
	case delayed:
		r.delay(t, a.Failure)
	default:
		t.st.State = Ready
	}
}

// delay takes the end of the back-off from the machine and checks its bounds.
func (r *reference) delay(t *refTask, f Failure) {
	v, _ := r.m.TaskBySerial(t.spec.Serial)
	most := t.spec.Retry.InitialBackoff
	for range t.st.Counted + t.st.Uncounted - 1 {
		most = min(2*most, t.spec.Retry.MaxBackoff)
	}
	most = min(most, t.spec.Retry.MaxBackoff)
	least := time.Duration(0)
	if f.RetryAfter > 0 && (f.Class == ClassRateLimited || f.Class == ClassOverloaded) {
		most = min(max(f.RetryAfter, time.Second), time.Hour)
		least = most
	}
	wait := time.Duration(v.Status.Ready-r.now) * time.Microsecond
	if wait < least || wait > most {
		r.fault("%s backs off %v, not %v to %v", t.spec.ID, wait, least, most)
	}
	t.st.Ready = v.Status.Ready
	t.st.State, t.st.BackingOff = Scheduled, true
	if wait == 0 {
		t.st.State, t.st.BackingOff = Ready, false
	}
}

// settle passes on what became of parents until nothing changes (Q2).
func (r *reference) settle() {
	for changed := true; changed; {
		changed = false
		for _, t := range r.live() {
			changed = r.settleTask(t) || changed
		}
	}
}

func (r *reference) settleTask(t *refTask) bool {
	changed := false
	for i := range t.edges {
		e := &t.edges[i]
		p := r.tasks[e.parent].st.State
		switch {
		case e.passed || e.dropped || !p.Terminal():
		case p == Completed:
			e.passed, changed = true, true
		case t.spec.OnFailure == PolicyRun:
			e.dropped, changed = true, true
		case t.spec.OnFailure == PolicyCancel:
			r.end(t, Cancelled, ClassDependencyFailed, nil)
			return true
		}
	}
	if changed {
		r.enter(t)
	}
	return changed
}
