package queue

// prune forgets terminal tasks and old events. A task that is live again stays; so does one that something
// live depends on, or whose end a look-up under way has not seen. These are deferred durably, since the
// events that would have them looked at again go.
func (m *Machine) prune(c *Prune) {
	defer m.done(c)
	for i := range c.Known {
		k := &c.Known[i]
		s := k.Spec.Serial
		_, t := m.tasks.findSerial(s)
		_, gone := m.gone[s]
		if gone || !k.Status.State.Terminal() || k.Status.Finish >= c.Before {
			continue
		}
		if t != nil && (!t.state.Terminal() || t.run != k.Status.Run) {
			continue // its new run ends with an event of its own
		}
		if _, needed := m.kids[s]; needed || t != nil {
			if !c.Again {
				m.records().Deferred = append(m.records().Deferred, s)
			}
			c.Deferred = append(c.Deferred, s)
			continue
		}
		b := m.records()
		b.Prune = append(b.Prune, Pruned{Serial: s, ID: k.Spec.ID, Spilled: k.Status.MayHaveAttempts()})
		m.gone[s] = m.number()
		m.goners.push(gonerSerial{m.number(), s})
		l := m.touchLine(m.line(k.Spec.Queue))
		l.counts.States[k.Status.State]--
		l.counts.Pruned++
		m.emit(nil, Event{Kind: EventPruned, Task: k.Spec.ID, Serial: s, Queue: k.Spec.Queue, Run: k.Status.Run})
		c.Pruned++
	}
	if c.EventsTo > 0 && c.EventsTo >= m.head.Oldest {
		m.records().PruneEventsTo = min(c.EventsTo, m.head.Newest)
		m.head.Oldest = m.records().PruneEventsTo + 1
	}
}
