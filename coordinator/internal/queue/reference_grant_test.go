package queue

import (
	"fmt"
	"slices"
	"strings"
)

// acquire answers a repeat, or puts the caller in line.
func (r *reference) acquire(c *Acquire) {
	if c.Request != "" {
		for _, w := range r.waiters {
			if w.call.Agent == c.Agent && w.call.Request == c.Request {
				w.over = true
			}
		}
		var want []LeaseRef
		for _, t := range r.held(c.Agent) {
			if l := t.lease; l.unary && l.request == c.Request {
				l.answers, l.restored = l.answers+1, false
				want = append(want, LeaseRef{t.spec.Serial, l.attempt})
			}
		}
		if len(want) > 0 { // C4
			var got []LeaseRef
			for _, g := range c.Grants {
				if got = append(got, g.Lease); !g.Repeated {
					r.fault("request %s of %s: %v is answered as if it were granted now", c.Request, c.Agent, g.Lease)
				}
			}
			if !sameSet(got, want) {
				r.fault("request %s of %s answers %v, want %v", c.Request, c.Agent, got, want)
			}
			return
		}
	}
	r.waiters = append(r.waiters, &refWaiter{call: c, until: r.mono + c.Wait})
}

func sameSet[T any](a, b []T) bool {
	text := func(xs []T) string {
		var ss []string
		for _, x := range xs {
			ss = append(ss, fmt.Sprint(x))
		}
		slices.Sort(ss)
		return strings.Join(ss, "\n")
	}
	return text(a) == text(b)
}

func (r *reference) abandon(c *Abandon) {
	for _, w := range r.waiters {
		w.over = w.over || w.call == c.Acquire
	}
	for _, t := range r.live() {
		if t.lease == nil || !slices.ContainsFunc(c.Acquire.Grants, func(g Granted) bool {
			return g.Lease == LeaseRef{t.spec.Serial, t.lease.attempt}
		}) {
			continue
		}
		if t.lease.answers--; t.lease.answers == 0 {
			r.back(t, OutcomeUnconfirmed, EndUnconfirmed, false)
		}
	}
}

// refTaker is one that wants work: an agent's session or a waiting call.
type refTaker struct {
	agent  string
	from   *refAgent
	waiter *refWaiter
}

func (k refTaker) fits(s *Spec) bool {
	queues, labels := []string(nil), []Label(nil)
	if k.waiter != nil {
		queues, labels = k.waiter.call.Queues, k.waiter.call.Labels
	} else {
		queues, labels = k.from.queues, k.from.labels
	}
	if len(queues) > 0 && !slices.Contains(queues, s.Queue) {
		return false
	}
	return !slices.ContainsFunc(s.Requires, func(q Requirement) bool {
		at := slices.IndexFunc(labels, func(l Label) bool { return l.Key == q.Key })
		switch has := at >= 0 && slices.Contains(q.Values, labels[max(at, 0)].Value); q.Op {
		case In:
			return !has
		case NotIn:
			return has
		case Exists:
			return at < 0
		default:
			return at >= 0
		}
	})
}

// takers is all that want work now (L11).
func (r *reference) takers() []refTaker {
	var ks []refTaker
	for id, a := range r.agents {
		if a.stream != 0 && !a.silent && a.greeted && !a.draining && !a.drain && a.granted < a.credit {
			ks = append(ks, refTaker{agent: id, from: a})
		}
	}
	for _, w := range r.waiters {
		a := r.agents[w.call.Agent]
		if !w.over && len(w.call.Grants) < w.call.Max && (a == nil || !a.drain) {
			ks = append(ks, refTaker{agent: w.call.Agent, waiter: w})
		}
	}
	return ks
}

// grants takes over what the machine granted, and checks that it might, and that it had to.
func (r *reference) grants(in Input, out *Effects) {
	var given []struct {
		task  *refTask
		taker refTaker
	}
	for _, ref := range granted(out) {
		t := r.tasks[ref.Serial]
		taker, ok := r.takerOf(ref, out)
		if !ok {
			r.fault("%v is granted to nobody who may have it", ref)
			continue
		}
		r.mayGrant(t)
		r.checkFair(t, taker)
		r.open(t, ref, taker, out)
		given = append(given, struct {
			task  *refTask
			taker refTaker
		}{t, taker})
	}
	for _, t := range r.live() {
		if t.st.State != Ready || r.noRoom(t) || r.beyond(t) {
			continue
		}
		for _, g := range given { // Q4: priority and age, within a fairness key
			if g.task.spec.Queue == t.spec.Queue && g.task.spec.FairnessKey == t.spec.FairnessKey &&
				g.taker.fits(&t.spec) && t.order().less(g.task.order()) {
				r.fault("%s is passed over for %s", t.spec.ID, g.task.spec.ID)
			}
		}
		if r.limited(t) {
			continue
		}
		for _, k := range r.takers() { // Q4: nobody idle
			if k.fits(&t.spec) {
				r.fault("%s is left though %s wants work", t.spec.ID, k.agent)
			}
		}
	}
}

// noRoom tells whether the concurrency key of a task has no room.
func (r *reference) noRoom(t *refTask) bool {
	s, most := &t.spec, r.queues[t.spec.Queue].set.KeyLimit
	return most > 0 && s.ConcurrencyKey != "" && r.running(s.Queue, "*", s.ConcurrencyKey) >= int(most)
}

// checkFair shows that no fairness key of the queue with fewer running has a task that the
// taker could have had instead.
func (r *reference) checkFair(t *refTask, k refTaker) {
	s := &t.spec
	has := r.running(s.Queue, s.FairnessKey, "*")
	for _, o := range r.live() {
		if o.st.State == Ready && o.spec.Queue == s.Queue && o.spec.FairnessKey != s.FairnessKey && k.fits(&o.spec) &&
			!r.noRoom(o) && !r.beyond(o) && r.running(s.Queue, o.spec.FairnessKey, "*") < has {
			r.fault("%s is granted before %s, whose key has fewer running than %d", s.ID, o.spec.ID, has)
		}
	}
}

// order is the key of the ready order: a point of priority is a minute's head start.
func (t *refTask) order() heapItem {
	return heapItem{key: int64(t.st.Ready) - int64(t.spec.Priority)*60_000_000, serial: uint64(t.spec.Serial)}
}

// granted lists the leases that a step gave out, by its events.
func granted(out *Effects) []LeaseRef {
	var refs []LeaseRef
	if out.Batch == nil {
		return nil
	}
	for _, e := range out.Batch.Events {
		if e.Kind == EventGranted {
			refs = append(refs, LeaseRef{e.Serial, e.Attempt})
		}
	}
	return refs
}

// takerOf finds who was told of a grant: exactly one, who wanted it.
func (r *reference) takerOf(ref LeaseRef, out *Effects) (refTaker, bool) {
	var found []refTaker
	for _, s := range out.Streams {
		for _, g := range s.Grants {
			for id, a := range r.agents {
				if g.Lease == ref && a.stream == s.Stream {
					found = append(found, refTaker{agent: id, from: a})
				}
			}
		}
	}
	for _, w := range r.waiters {
		for _, g := range w.call.Grants {
			if g.Lease == ref && !w.over && slices.Contains(out.Done, Command(w.call)) {
				found = append(found, refTaker{agent: w.call.Agent, waiter: w})
			}
		}
	}
	if len(found) != 1 {
		return refTaker{}, false
	}
	k := found[0]
	if k.waiter != nil {
		a := r.agents[k.agent]
		return k, len(k.waiter.call.Grants) <= k.waiter.call.Max && (a == nil || !a.drain)
	}
	return k, slices.ContainsFunc(r.takers(), func(o refTaker) bool { return o.from == k.from })
}

func (r *reference) open(t *refTask, ref LeaseRef, k refTaker, out *Effects) {
	switch {
	case t.st.State != Ready:
		r.fault("%s is granted while %s", t.spec.ID, t.st.State) // L1, Q2, Q6, C5
	case r.queues[t.spec.Queue].paused || !k.fits(&t.spec):
		r.fault("%s is granted to %s, paused %v", t.spec.ID, k.agent, r.queues[t.spec.Queue].paused)
	case ref.Attempt != t.st.Attempt+1:
		r.fault("%s is granted as attempt %d after %d", t.spec.ID, ref.Attempt, t.st.Attempt) // L2
	case t.st.NotBefore > r.now || r.expired(t):
		r.fault("%s is granted at %d, outside of %d to %d", t.spec.ID, r.now, t.st.NotBefore, t.st.ExpireTime) // Q6
	}
	t.st.State, t.st.Attempt = Running, ref.Attempt
	if t.st.Start == 0 {
		t.st.Start = r.now
	}
	l := &refLease{attempt: ref.Attempt, run: t.st.Run, agent: k.agent, start: r.now, batch: out.Batch.Head.Batch}
	if k.waiter != nil {
		c := k.waiter.call
		l.unary, l.confirmed, l.length, l.request, l.answers = true, true, c.Length, c.Request, 1
		r.agent(k.agent)
	} else {
		l.instance, l.length = k.from.instance, r.cfg.LeaseTTL
		k.from.granted++
	}
	t.lease = l
	r.event(t, EventGranted, ref.Attempt, k.agent, 0, 0)
}

// answerWaiters checks who of those waiting is answered.
func (r *reference) answerWaiters(out *Effects) {
	r.waiters = slices.DeleteFunc(r.waiters, func(w *refWaiter) bool {
		over := w.over || w.until <= r.mono || len(w.call.Grants) > 0
		if done := slices.Contains(out.Done, Command(w.call)); done != over {
			r.fault("an acquire of %s is answered %v, want %v", w.call.Agent, done, over)
		}
		return over
	})
}
