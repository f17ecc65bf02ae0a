package queue

import (
	"errors"
	"fmt"
	"slices"
	"time"
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
			r.back(t, OutcomeUnconfirmed, EndUnconfirmed)
		case l.deadline == l.backstop:
			r.timeOut(t)
		default:
			r.lose(t, EndExpired)
		}
	}
}

func (r *reference) timeOut(t *refTask) {
	l := t.lease
	a := r.close(t, OutcomeLost, EndTimedOut)
	a.Failure.Class = ClassTimeout
	t.attempts[a.Number] = *a
	r.event(t, EventLeaseEnded, a.Number, a.Agent, EndTimedOut, 0)
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

func (r *reference) apply(c Command, out *Effects) {
	missing := slices.Contains(out.Missing, c)
	switch c := c.(type) {
	case *Message:
		r.message(c, missing)
		return
	case *ReportLeases:
		for i := range c.Reports {
			r.report(&c.Reports[i], nil)
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

func (r *reference) submit(c *Submit) {
	want := r.refuse(c)
	r.wantErr("submit", c.Err, want)
	if want != "" {
		return
	}
	var made []*refTask
	for i := range c.Tasks {
		s := c.Tasks[i]
		old := r.byID(s.ID)
		if c.Existed[i] != (old != nil) {
			r.fault("submit of %s existed %v", s.ID, c.Existed[i])
		}
		if old != nil {
			continue
		}
		if _, ok := r.paused[s.Queue]; !ok {
			r.paused[s.Queue] = false
			r.queueEvent(s.Queue)
		}
		if r.tasks[s.Serial] != nil {
			r.fault("serial %d is used twice", s.Serial)
		}
		t := &refTask{spec: s, attempts: map[int32]Attempt{}}
		t.st = Status{Run: 1, Create: r.now, NotBefore: s.NotBefore, ExpireTime: s.ExpireTime}
		r.tasks[s.Serial] = t
		made = append(made, t)
		r.event(t, EventSubmitted, 0, "", 0, 0)
	}
	for _, t := range made {
		r.depend(t)
	}
	for _, t := range made {
		r.enter(t)
	}
}

// depend gives a new run its edges; the parents' states are acted on at the end of the step.
func (r *reference) depend(t *refTask) {
	t.edges = nil
	for i, p := range t.spec.Parents {
		if parent := r.tasks[p]; parent == nil || parent.spec.ID != t.spec.DependsOn[i] || parent.pruned {
			r.fault("%s depends on serial %d, which is not %s", t.spec.ID, p, t.spec.DependsOn[i])
			continue
		}
		t.edges = append(t.edges, refEdge{parent: p, passed: r.tasks[p].st.State == Completed})
	}
}

// refuse tells why a submit must be refused.
func (r *reference) refuse(c *Submit) Reason {
	ids := map[string]bool{}
	for _, s := range c.Tasks {
		if ids[s.ID] {
			return TaskIDRepeated
		}
		ids[s.ID] = true
	}
	var fresh []Spec
	for _, s := range c.Tasks {
		old := r.byID(s.ID)
		if old != nil && old.spec.Digest != s.Digest {
			return TaskExists
		}
		if old == nil {
			fresh = append(fresh, s)
		}
	}
	for _, s := range fresh {
		if s.ExpireTime != 0 && (s.ExpireTime <= r.now || s.ExpireTime <= s.NotBefore) {
			return FieldInvalid
		}
	}
	at, existed := map[string]int{}, make([]bool, len(c.Tasks))
	for i, s := range c.Tasks {
		at[s.ID], existed[i] = i, r.byID(s.ID) != nil
	}
	for _, s := range fresh {
		for _, d := range s.DependsOn {
			if !ids[d] && r.byID(d) == nil {
				return DependencyNotFound
			}
		}
	}
	if naiveCyclic(c.Tasks, existed, at) {
		return DependencyCycle
	}
	if len(fresh) > 0 && len(r.live())+len(fresh) > r.cfg.MaxLive {
		return QueueFull
	}
	return ""
}

func (r *reference) cancel(c *Cancel) {
	want, changed := Reason(""), 0
	for _, it := range c.Items {
		t := r.byID(it.ID)
		switch {
		case t == nil && len(c.Items) == 1:
			want = TaskNotFound
		case t == nil || t.st.State.Terminal() || it.Run != 0 && it.Run != t.st.Run:
		default:
			changed++
			var a *Attempt
			if l := t.lease; l != nil {
				r.tellCancel(t, EndCancelled)
				a = r.close(t, OutcomeCancelled, EndCancelled)
				r.event(t, EventLeaseEnded, a.Number, a.Agent, EndCancelled, 0)
			}
			if a != nil && r.expired(t) {
				r.end(t, Expired, ClassDeadline, a)
				continue
			}
			r.end(t, Cancelled, ClassCancelled, a)
		}
	}
	r.wantErr("cancel", c.Err, want)
	if c.Changed != changed {
		r.fault("cancel changed %d, want %d", c.Changed, changed)
	}
}

func (r *reference) tellCancel(t *refTask, end EndReason) {
	l := t.lease
	if s := r.agents[l.agent].stream; s != 0 && !l.unary {
		r.cancelOut(s, t.spec.Serial, l.attempt, end)
	}
}

func (r *reference) rerun(c *Rerun) {
	want, changed := Reason(""), 0
	if c.ExpireTime != 0 && c.ExpireTime <= r.now {
		r.wantErr("rerun", c.Err, FieldInvalid)
		return
	}
	for _, it := range c.Items {
		ok, why := r.rerunTask(it, c.ExpireTime)
		if ok {
			changed++
		}
		if len(c.Items) == 1 {
			want = why
		}
	}
	r.wantErr("rerun", c.Err, want)
	if c.Changed != changed {
		r.fault("rerun changed %d, want %d", c.Changed, changed)
	}
}

func (r *reference) rerunTask(it Choice, expire Instant) (bool, Reason) {
	t := r.byID(it.ID)
	switch {
	case t == nil:
		return false, TaskNotFound
	case !t.st.State.Terminal() || it.Run != 0 && it.Run != t.st.Run:
		return false, ""
	case t.st.State == Completed:
		return false, TaskCompleted
	}
	for _, p := range t.spec.Parents {
		if r.tasks[p].pruned {
			return false, DependencyNotFound
		}
	}
	if len(r.live())+1 > r.cfg.MaxLive {
		return false, QueueFull
	}
	t.st = Status{Run: t.st.Run + 1, Attempt: t.st.Attempt, Create: t.st.Create, ExpireTime: expire}
	t.class = 0
	r.event(t, EventRetried, 0, "", 0, 0)
	r.depend(t)
	r.enter(t)
	return true, ""
}

// report takes a report; by is nil for a unary call.
func (r *reference) report(x *Report, by *refAgent) {
	if r.taken[x] || x.Need {
		return
	}
	r.taken[x] = true
	ack, end, win := r.judgeReport(x, by)
	if x.Ack != ack || x.End != end || x.Winner != win {
		r.fault("report of %d#%d: ack %d end %d winner %v, want %d %d %v",
			x.Lease.Serial, x.Lease.Attempt, x.Ack, x.End, x.Winner, ack, end, win)
	}
}

func (r *reference) judgeReport(x *Report, by *refAgent) (Ack, EndReason, bool) {
	t := r.tasks[x.Lease.Serial]
	if t == nil || t.pruned || x.Lease.Attempt < 1 || x.Lease.Attempt > t.st.Attempt {
		return AckLeaseLost, EndUnknown, false
	}
	if l := t.lease; l != nil && l.attempt == x.Lease.Attempt {
		mine := l.unary && by == nil || !l.unary && by != nil && r.agents[l.agent] == by
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
	switch {
	case a.Reported && a.Digest == x.Digest: // C3
		if x.Invalid != "" {
			return AckInvalid, 0, false
		}
		return AckDuplicate, 0, false
	case x.Success && !t.st.State.Terminal() && !a.Reported && a.Outcome != OutcomeReleased: // L4
		r.winLate(t, a, x)
		return AckRecorded, 0, true
	}
	if cost, has := costOf(x); has && !a.Reported && !a.HasCost {
		a.Cost, a.HasCost = cost, true // B3
		t.attempts[a.Number] = a
	}
	return AckLeaseLost, refusal(t, a), false
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
	a := r.close(t, OutcomeFailed, EndReported)
	a.Reported, a.Digest = true, x.Digest
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
	r.event(t, EventAttemptFailed, a.Number, a.Agent, 0, a.Failure.Class)
	r.judge(t, a)
	if x.Invalid != "" {
		return AckInvalid, 0, false
	}
	return AckRecorded, 0, false
}

func (r *reference) winLate(t *refTask, a Attempt, x *Report) {
	a.Outcome, a.End, a.Failure = OutcomeSucceeded, EndReported, Failure{}
	a.Reported, a.Digest = true, x.Digest
	a.Cost, a.HasCost = x.Cost, x.HasCost
	t.attempts[a.Number], t.result = a, string(x.Result)
	if t.lease != nil {
		r.tellCancel(t, EndSuperseded)
		over := r.close(t, OutcomeSuperseded, EndSuperseded)
		r.event(t, EventLeaseEnded, over.Number, over.Agent, EndSuperseded, 0)
	}
	r.end(t, Completed, 0, &a)
}

func (r *reference) message(c *Message, missing bool) {
	var a *refAgent
	id := ""
	for n, x := range r.agents {
		if x.stream == c.Stream {
			id, a = n, x
		}
	}
	if a == nil && !c.Looked {
		if !c.Gone || missing {
			r.fault("a message of stream %d, which is gone, is taken", c.Stream)
		}
		return
	}
	by := a
	if by == nil {
		by = &refAgent{}
	}
	for i := range c.Reports {
		r.report(&c.Reports[i], by)
	}
	if c.Looked {
		return
	}
	a.heard, a.silent = r.mono, false
	for i := range c.Releases {
		if t := r.own(id, c.Releases[i].Lease); t != nil {
			r.back(t, OutcomeReleased, EndReleased)
		}
	}
	if c.Beats || !a.greeted {
		r.heartbeat(id, a, c)
	}
	a.credit = max(a.credit, c.Credit)
	a.draining = a.draining || c.Draining
}

// own is the task whose live lease is this one, of that agent's session.
func (r *reference) own(agent string, ref LeaseRef) *refTask {
	t := r.tasks[ref.Serial]
	if t == nil || t.pruned || t.lease == nil || t.lease.attempt != ref.Attempt || t.lease.unary || t.lease.agent != agent {
		return nil
	}
	return t
}

func (r *reference) heartbeat(id string, a *refAgent, c *Message) {
	first := !a.greeted
	a.greeted = true
	var cancels []LeaseEnd
	for i := range c.Held {
		t := r.own(id, c.Held[i].Lease)
		if t == nil {
			cancels = append(cancels, LeaseEnd{c.Held[i].Lease, r.whyEnded(c.Held[i].Lease)})
			continue
		}
		l := t.lease
		l.misses, l.named = 0, true
		if !l.confirmed && l.running {
			l.deadline = l.backstop
		}
		l.confirmed, l.restored = true, false
	}
	r.wantCancels(c.Cancels, cancels)
	for _, t := range r.session(id) { // L9
		l := t.lease
		named := l.named
		l.named = false
		switch {
		case named:
		case !l.confirmed && first:
			r.back(t, OutcomeUnconfirmed, EndUnconfirmed)
		case l.confirmed:
			if l.misses++; l.misses == 2 {
				r.back(t, OutcomeReleased, EndReleased)
			}
		}
	}
}

// wantCancels takes UNKNOWN for any reason: that of an attempt which ended long ago is in the
// ledger only.
func (r *reference) wantCancels(got, want []LeaseEnd) {
	ok := len(got) == len(want)
	for i := 0; ok && i < len(got); i++ {
		ok = got[i].Lease == want[i].Lease && (got[i].Reason == want[i].Reason || got[i].Reason == EndUnknown)
	}
	if !ok {
		r.fault("a heartbeat is answered with cancels %v, want %v", got, want)
	}
}

func (r *reference) whyEnded(ref LeaseRef) EndReason {
	t := r.tasks[ref.Serial]
	if t == nil || t.pruned {
		return EndUnknown
	}
	if a, ok := t.attempts[ref.Attempt]; ok {
		return refusal(t, a)
	}
	return EndUnknown
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
				r.back(t, OutcomeReleased, EndReleased)
				want, end = true, 0
			}
		case ended && a.Outcome == OutcomeReleased && a.Unary:
			want, end = true, 0 // C4
		case ended:
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
		case ended:
			end = refusal(t, a)
		}
	}
	if x.Extended != want || x.End != end || x.Left != left {
		r.fault("extension of %v answers %v %d %v, want %v %d %v", x.Lease, x.Extended, x.End, x.Left, want, end, left)
	}
}

func (r *reference) connect(c *Connect) {
	a := r.agent(c.Agent)
	if a.instance != "" && a.instance != c.Instance {
		if a.stream != 0 && !a.silent { // L11
			r.wantErr("connect", c.Err, AgentIDInUse)
			return
		}
		for _, t := range r.session(c.Agent) {
			r.lose(t, EndReplaced)
		}
		a.drain, a.draining = false, false
		if a.stream == 0 {
			r.forget()
			a = r.agent(c.Agent)
		}
	}
	r.wantErr("connect", c.Err, "")
	if a.stream != 0 {
		r.streams = append(r.streams, fmt.Sprintf("%d close", a.stream))
	}
	a.stream, a.instance, a.labels, a.queues = c.Stream, c.Instance, c.Labels, c.Queues
	a.silent, a.greeted, a.known = false, false, true
	a.credit, a.granted, a.heard = 0, 0, r.mono
	if a.drain {
		r.streams = append(r.streams, fmt.Sprintf("%d drain", a.stream))
	}
	if c.TTL < r.cfg.LeaseTTL || c.Interval != c.TTL/3 {
		r.fault("welcome with a lease of %v, heartbeat each %v", c.TTL, c.Interval)
	}
}

func (r *reference) setPaused(c *SetPaused) {
	was, ok := r.paused[c.Queue]
	if !ok {
		r.wantErr("pause", c.Err, QueueNotFound)
		return
	}
	r.wantErr("pause", c.Err, "")
	if r.paused[c.Queue] = c.Paused; was != c.Paused {
		r.queueEvent(c.Queue)
	}
}

func (r *reference) drainAgent(c *Drain) {
	a := r.agents[c.Agent]
	if a == nil {
		r.wantErr("drain", c.Err, AgentNotFound)
		return
	}
	r.wantErr("drain", c.Err, "")
	a.drain = true
	if a.stream != 0 {
		r.streams = append(r.streams, fmt.Sprintf("%d drain", a.stream))
	}
}

// prune takes from the machine whether it still remembers a task, which keeps it.
func (r *reference) prune(c *Prune, out *Effects) {
	for i := range c.Known {
		t := r.tasks[c.Known[i].Spec.Serial]
		s := t.spec.Serial
		gone := out.Batch != nil && slices.ContainsFunc(out.Batch.Prune, func(p Pruned) bool { return p.Serial == s })
		may := !t.pruned && t.st.State.Terminal() && t.st.Finish < c.Before && !r.needed(s)
		_, remembered := r.m.TaskBySerial(s)
		if gone && !may && !t.pruned || !gone && may && !remembered {
			r.fault("%s in state %s: pruned %v, want %v", t.spec.ID, t.st.State, gone, may)
		}
		if gone && !t.pruned {
			t.pruned = true
			r.event(t, EventPruned, 0, "", 0, 0)
		}
	}
}

// needed tells whether something live depends on a task.
func (r *reference) needed(s Serial) bool {
	return slices.ContainsFunc(r.live(), func(t *refTask) bool {
		return slices.ContainsFunc(t.edges, func(e refEdge) bool { return e.parent == s && !e.dropped })
	})
}
