package queue

import "slices"

// acquire puts a caller in line; it is answered at the end of this step or of a later one.
func (m *Machine) acquire(c *Acquire) {
	if c.Request != "" && m.repeat(c) {
		m.done(c)
		return
	}
	w := &waiter{call: c, until: m.mono + c.Wait}
	w.taker = &taker{waiter: w, profile: m.takeProfile(c.Labels, c.Queues)}
	m.waiters = append(m.waiters, w)
	m.offer(w.taker)
}

// repeat answers a request_id that has live leases with those (C4). A call of the same
// request_id that still waits ends empty: its caller asks again here.
func (m *Machine) repeat(c *Acquire) bool {
	for _, w := range m.waiters {
		if w.call.Agent == c.Agent && w.call.Request == c.Request {
			w.over = true
		}
	}
	ls := m.requests[requestKey{c.Agent, c.Request}]
	for _, n := range ls {
		l := m.leases.at(n)
		t := m.tasks.at(l.task)
		l.answers++
		l.restored = false
		c.Grants = append(c.Grants, Granted{
			Lease: l.ref(), ID: m.idOf(t), Run: t.run, Repeated: true, Left: m.left(l), Live: t.status(),
		})
	}
	return len(ls) > 0
}

// popWaiters answers the calls that have leases or whose wait is over.
func (m *Machine) popWaiters() {
	m.waiters = slices.DeleteFunc(m.waiters, func(w *waiter) bool {
		if len(w.call.Grants) == 0 && !w.over && w.until > m.mono && !m.quiet {
			return false
		}
		w.over = true
		m.dropProfile(w.taker.profile)
		m.done(w.call)
		return true
	})
}

// abandon takes back what was granted to a call whose caller has gone, unless another call of its
// request_id was answered with it too: that one's caller may have it.
func (m *Machine) abandon(c *Abandon) {
	defer m.done(c)
	for _, w := range m.waiters {
		if w.call == c.Acquire {
			w.over = true
		}
	}
	for _, g := range c.Acquire.Grants {
		h, t := m.tasks.findSerial(g.Lease.Serial)
		if t == nil || t.state != Running || t.attempt != g.Lease.Attempt {
			continue
		}
		l := m.leases.at(t.lease)
		if l.answers--; l.answers == 0 {
			m.back(h, t, OutcomeUnconfirmed, EndUnconfirmed, false)
		}
	}
}

// quiesce ends all grants; waiting calls are answered as if time were up.
func (m *Machine) quiesce() { m.quiet = true }
