package queue

import (
	"fmt"
	"slices"
)

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
	s := r.said[c]
	if s == nil {
		s = &refMessage{agent: id}
		r.said[c] = s
	}
	for i := range c.Reports {
		r.report(&c.Reports[i], a, &s.agent)
	}
	if !c.Looked {
		r.messageRest(c, id, a)
	}
	r.cancelled(c, s)
}

func (r *reference) messageRest(c *Message, id string, a *refAgent) {
	a.heard, a.silent = r.mono, false
	for i := range c.Releases {
		if t := r.own(id, c.Releases[i].Lease); t != nil {
			r.back(t, OutcomeReleased, EndReleased, c.Releases[i].Started)
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
	for i := range c.Held {
		t := r.own(id, c.Held[i].Lease)
		if t == nil {
			continue
		}
		r.taken[&c.Held[i]] = true
		l := t.lease
		l.misses, l.named = 0, true
		if !l.confirmed && l.running {
			l.deadline = l.backstop
		}
		l.confirmed, l.restored = true, false
	}
	for _, t := range r.session(id) { // L9
		l := t.lease
		named := l.named
		l.named = false
		switch {
		case named:
		case !l.confirmed && first:
			r.back(t, OutcomeUnconfirmed, EndUnconfirmed, false)
		case l.confirmed:
			if l.misses++; l.misses == 2 {
				r.back(t, OutcomeReleased, EndReleased, true)
			}
		}
	}
}

// cancelled judges the leases that a heartbeat names and its agent does not hold.
func (r *reference) cancelled(c *Message, s *refMessage) {
	for i := range c.Held {
		x := &c.Held[i]
		if r.taken[x] || x.Need {
			continue
		}
		r.taken[x] = true
		s.cancels = append(s.cancels, LeaseEnd{x.Lease, r.whyEnded(x.Lease, s.agent)})
	}
	if !slices.Equal(c.Cancels, s.cancels) {
		r.fault("a heartbeat is answered with cancels %v, want %v", c.Cancels, s.cancels)
	}
}

func (r *reference) whyEnded(ref LeaseRef, by string) EndReason {
	t := r.tasks[ref.Serial]
	if t == nil || t.pruned {
		return EndUnknown
	}
	if a, ok := t.attempts[ref.Attempt]; ok && a.Agent == by && !a.Unary {
		return refusal(t, a)
	}
	return EndUnknown
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
		a.drain, a.draining, a.drainBy = false, false, 0
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

func (r *reference) drainAgent(c *Drain) {
	a := r.agents[c.Agent]
	if a == nil {
		r.wantErr("drain", c.Err, AgentNotFound)
		return
	}
	r.wantErr("drain", c.Err, "")
	a.drain, a.drainBy = true, 0
	if c.Timeout > 0 {
		a.drainBy = r.mono + c.Timeout
	}
	if a.stream != 0 {
		r.streams = append(r.streams, fmt.Sprintf("%d drain", a.stream))
	}
}
