package queue

// setPaused stops or resumes the grants of a queue; reports are taken either way.
func (m *Machine) setPaused(c *SetPaused) {
	defer m.done(c)
	n, ok := m.lineByName[c.Queue]
	if !ok {
		c.Err = queueNotFound(c.Queue)
		return
	}
	l := m.lines[n]
	if l.paused == c.Paused {
		return
	}
	m.touchLine(n).paused = c.Paused
	reason := "resumed"
	if c.Paused {
		reason = "paused"
	}
	m.emit(nil, Event{Kind: EventQueueChanged, Queue: c.Queue, Reason: reason})
	for i, cl := range m.classes {
		if cl != nil && cl.line == n && !c.Paused {
			m.stir(uint32(i))
		}
	}
}

func queueNotFound(name string) error {
	return &Error{Reason: QueueNotFound, Names: []string{name}, Detail: "a queue is made by the first task submitted to it; see ListQueues"}
}
