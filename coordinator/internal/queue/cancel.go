package queue

// cancel ends tasks that are not terminal; a terminal one is left as it is (C4).
func (m *Machine) cancel(c *Cancel) {
	for _, it := range c.Items {
		if _, t := m.tasks.find(it.ID); t == nil && !c.Looked {
			m.missing(c)
			return
		}
	}
	defer m.done(c)
	for _, it := range c.Items {
		h, t := m.tasks.find(it.ID)
		if t == nil {
			k, _ := m.knownID(&c.Lookup, it.ID)
			if k == nil && len(c.Items) == 1 {
				c.Err = taskNotFound(it.ID)
			}
			continue
		}
		if t.state.Terminal() || it.Run != 0 && it.Run != t.run {
			continue
		}
		m.cancelTask(h, t, c.Reason)
		c.Changed++
	}
}

func taskNotFound(id string) error {
	return &Error{Reason: TaskNotFound, Names: []string{id}, Detail: "no task of this id exists; it may have been pruned after its retention"}
}

func (m *Machine) cancelTask(h uint32, t *task, reason string) {
	if reason == "" {
		reason = "cancelled by a caller"
	}
	var final Attempt
	if t.state == Running {
		l := m.leases.at(t.lease)
		m.tellCancel(l, EndCancelled)
		final = m.close(t, OutcomeCancelled, EndCancelled, l.reserved)
		m.emit(t, final.priced(Event{Kind: EventLeaseEnded, End: EndCancelled}))
	}
	if m.overdue(t) {
		m.finish(h, t, Expired, deadlineFailure, final, nil)
		return
	}
	m.finish(h, t, Cancelled, Failure{Class: ClassCancelled, Message: reason}, final, nil)
}
