package queue

import (
	"slices"
)

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
		if r.queues[s.Queue] == nil {
			r.queues[s.Queue] = newRefQueue()
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
	for _, s := range fresh {
		if q := r.queues[s.Queue]; q != nil && q.set.Budget.Set && s.MaxCost > q.set.Budget.Limit {
			return BudgetTooLarge
		}
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
				a = r.close(t, OutcomeCancelled, EndCancelled, t.spec.MaxCost)
				r.priced(t, EventLeaseEnded, a, EndCancelled, 0)
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
	want := Reason("")
	if c.ExpireTime != 0 && c.ExpireTime <= r.now && slices.ContainsFunc(c.Items, r.rerunEnded) {
		r.wantErr("rerun", c.Err, FieldInvalid)
		return
	}
	var again []*refTask
	for _, it := range c.Items {
		t, why := r.rerunTask(it)
		if t != nil && !slices.Contains(again, t) {
			again = append(again, t)
		}
		if len(c.Items) == 1 {
			want = why
		}
	}
	if len(again) > 0 && len(r.live())+len(again) > r.cfg.MaxLive {
		want, again = QueueFull, nil
	}
	for _, t := range again {
		t.st = Status{Run: t.st.Run + 1, Attempt: t.st.Attempt, Create: t.st.Create, ExpireTime: c.ExpireTime, Spent: t.st.Spent}
		t.class = 0
		r.event(t, EventRetried, 0, "", 0, 0)
		r.depend(t)
		r.enter(t)
	}
	r.wantErr("rerun", c.Err, want)
	if c.Changed != len(again) {
		r.fault("rerun changed %d, want %d", c.Changed, len(again))
	}
}

func (r *reference) rerunEnded(it Choice) bool {
	t := r.byID(it.ID)
	return t != nil && t.st.State.Terminal() && (it.Run == 0 || it.Run == t.st.Run)
}

func (r *reference) rerunTask(it Choice) (*refTask, Reason) {
	t := r.byID(it.ID)
	switch {
	case t == nil:
		return nil, TaskNotFound
	case !r.rerunEnded(it):
		return nil, ""
	case t.st.State == Completed:
		return nil, TaskCompleted
	}
	for _, p := range t.spec.Parents {
		if r.tasks[p].pruned {
			return nil, DependencyNotFound
		}
	}
	if r.beyond(t) {
		return nil, BudgetTooLarge
	}
	return t, ""
}

func (r *reference) setPaused(c *SetPaused) {
	q := r.queues[c.Queue]
	if q == nil {
		r.wantErr("pause", c.Err, QueueNotFound)
		return
	}
	r.wantErr("pause", c.Err, "")
	if q.paused != c.Paused {
		q.paused = c.Paused
		q.version++
		r.queueEvent(c.Queue)
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
