package queue

// updateQueue changes the settings of a queue.
func (m *Machine) updateQueue(c *UpdateQueue) {
	defer m.done(c)
	c.View, c.Err = m.Queue(c.Queue)
}
