package queue

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// check compares what can be seen of the machine, and of the records, with the reference.
func (r *reference) check(out *Effects, b *book) []string {
	var events []string
	if out.Batch != nil {
		for i := range out.Batch.Events {
			events = append(events, eventKey(&out.Batch.Events[i]))
		}
	}
	if !sameSet(events, r.events) {
		r.fault("events\n%s\nwant\n%s", strings.Join(events, "\n"), strings.Join(r.events, "\n"))
	}
	if !sameSet(out.Ended, r.ended) {
		r.fault("ended %v, want %v", out.Ended, r.ended)
	}
	r.checkStreams(out)
	for _, s := range r.serials() {
		if t := r.tasks[s]; !t.pruned {
			r.checkTask(t, b)
		} else if _, ok := b.specs[s]; ok {
			r.fault("%s is pruned and still recorded", t.spec.ID)
		}
	}
	r.checkCounts(b)
	r.checkMoney(b)
	r.checkAgents()
	return r.faults
}

func (r *reference) checkStreams(out *Effects) {
	var got []string
	for _, s := range out.Streams {
		for _, c := range s.Cancels {
			got = append(got, fmt.Sprintf("%d cancel %d#%d %d", s.Stream, c.Lease.Serial, c.Lease.Attempt, c.Reason))
		}
		if s.Close {
			got = append(got, fmt.Sprintf("%d close", s.Stream))
		}
		if s.Drain {
			got = append(got, fmt.Sprintf("%d drain", s.Stream))
		}
	}
	if want := slices.Compact(slices.Sorted(slices.Values(r.streams))); !sameSet(got, want) {
		r.fault("streams are told %v, want %v", got, want)
	}
}

func (r *reference) checkTask(t *refTask, b *book) {
	id, k := t.spec.ID, b.known(t.spec.Serial)
	if stored := k.Status; stored.State == Scheduled && t.st.State == Ready && stored.Ready <= r.now {
		k.Status.State = Ready // needs no record
	}
	r.checkStatus(id+" stored", t, k.Status)
	v, held := r.m.Task(id)
	if held && v.Serial == t.spec.Serial {
		if v.Terminal {
			v.Status.Finish = t.st.Finish // in the ledger only
		}
		r.checkStatus(id+" held", t, v.Status)
	} else if held || !t.st.State.Terminal() {
		r.fault("%s in state %s is held %v", id, t.st.State, held)
	}
	if (v.Lease != nil) != (t.st.State == Running) || (t.lease != nil) != (t.st.State == Running) {
		r.fault("%s in state %s has lease %+v", id, t.st.State, v.Lease) // Q1
	} else if l := t.lease; l != nil {
		g := b.live[t.spec.Serial].Grant
		want := Grant{Agent: l.agent, Instance: l.instance, Request: l.request, Length: l.length, Start: l.start}
		if g != want || v.Lease.Agent != l.agent || v.Lease.Attempt != l.attempt || v.Lease.Left != r.left(l) {
			r.fault("%s: grant %+v, lease %+v left %v, want %+v left %v", id, g, *v.Lease, v.Lease.Left, want, r.left(l))
		}
	}
	r.checkAttempts(t, k)
	term := b.terminal[t.spec.Serial]
	if k.Failure.Class != t.class || string(term.Result) != t.result { // C2
		r.fault("%s: failure class %d, result %q, want %d, %q", id, k.Failure.Class, term.Result, t.class, t.result)
	}
}

func (r *reference) left(l *refLease) time.Duration {
	switch {
	case !l.running:
		return l.length
	case l.unary || !l.confirmed:
		return max(0, l.deadline-r.mono)
	}
	return max(0, min(l.backstop, r.agents[l.agent].heard+r.cfg.LeaseTTL)-r.mono)
}

func (r *reference) checkStatus(what string, t *refTask, got Status) {
	want := t.st
	want.Spilled, want.BackingOff = got.Spilled, got.BackingOff
	if want.State != Scheduled {
		got.BackingOff = false
	}
	want.BackingOff = t.st.BackingOff && want.State == Scheduled
	if got != want {
		r.fault("%s: %+v, want %+v", what, got, want)
	}
}

// checkAttempts compares the whole history of a task, as a ledger would show it.
func (r *reference) checkAttempts(t *refTask, k Known) {
	got := map[int32]Attempt{}
	if k.Final.Number != 0 {
		got[k.Final.Number] = k.Final
	}
	for _, a := range k.Attempts {
		got[a.Number] = a
	}
	if len(got) != len(t.attempts) {
		r.fault("%s has %d attempts recorded, want %d", t.spec.ID, len(got), len(t.attempts))
	}
	for n, want := range t.attempts {
		a := got[n]
		a.Failure = Failure{Class: a.Failure.Class}
		want.Failure = Failure{Class: want.Failure.Class}
		if a != want {
			r.fault("%s attempt %d: %+v, want %+v", t.spec.ID, n, a, want)
		}
	}
}

func (r *reference) checkCounts(b *book) {
	want := map[string]*Counts{}
	for q := range r.queues {
		want[q] = &Counts{}
	}
	for _, t := range r.tasks {
		c := want[t.spec.Queue]
		c.Submitted++
		if t.pruned {
			c.Pruned++
		} else {
			c.States[t.st.State]++
		}
	}
	for _, q := range r.m.Queues("", MaxQueues) {
		if c := want[q.Name]; c == nil || q.Counts != *c || q.Paused != r.queues[q.Name].paused {
			r.fault("queue %s: %+v, want %+v", q.Name, q, c) // Q1
		}
		delete(want, q.Name)
	}
	if len(want) > 0 {
		r.fault("queues missing: %v", want)
	}
	if r.m.live != len(r.live()) {
		r.fault("%d tasks are live, want %d", r.m.live, len(r.live()))
	}
}

func (r *reference) checkAgents() {
	for _, v := range r.m.Agents("", 1000) {
		a := r.agents[v.ID]
		if a == nil || v.Instance != a.instance || int(v.Held) != len(r.held(v.ID)) {
			r.fault("agent %+v, want %+v holding %d", v, a, len(r.held(v.ID)))
		}
	}
	if got := len(r.m.Agents("", 1000)); got != len(r.agents) {
		r.fault("%d agents, want %d", got, len(r.agents))
	}
}
