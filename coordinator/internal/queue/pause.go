package queue

// setPaused stops or resumes the grants of a queue; reports are taken either way.
func (m *Machine) setPaused(c *SetPaused) {
	defer m.done(c)
	l, ok := m.lineByName[c.Queue]
	if !ok {
		c.Err = queueNotFound(c.Queue)
		return
	}
	if l.paused == c.Paused {
		return
	}
	m.touchLine(l).paused = c.Paused
	l.version++
	reason := "resumed"
	if c.Paused {
		reason = "paused"
	}
	m.emit(nil, Event{Kind: EventQueueChanged, Queue: c.Queue, Reason: reason})
	m.stirLine(l)
}

func queueNotFound(name string) error {
	return &Error{Reason: QueueNotFound, Names: []string{name}, Detail: "a queue is made by the first task submitted to it; see ListQueues"}
}
