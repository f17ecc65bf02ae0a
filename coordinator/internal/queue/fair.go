package queue

// fairKey is a fairness key of a queue, or the lack of one. It lives as long as tasks of it do,
// those included that ended and are still remembered.
type fairKey struct {
	line    *line
	name    string
	number  uint32
	running int
	turn    uint64 // of its queue, when it was served last
	uses    int    // tasks
	lanes   []*lane
}

type fairID struct {
	line *line
	name string
}

func (m *Machine) newFair(id fairID) *fairKey {
	f := &fairKey{line: id.line, name: id.name, turn: id.line.turn}
	if k := len(m.freeFairs); k > 0 {
		f.number, m.freeFairs = m.freeFairs[k-1], m.freeFairs[:k-1]
		m.fairs[f.number] = f
	} else {
		f.number = uint32(len(m.fairs))
		m.fairs = append(m.fairs, f)
	}
	return f
}

// takeFair gives the fairness key of that name, with one more task.
func (m *Machine) takeFair(l *line, name string) *fairKey {
	if name == "" {
		return l.plain
	}
	id := fairID{l, name}
	f, ok := m.fairByID[id]
	if !ok {
		f = m.newFair(id)
		m.fairByID[id] = f
		if l.fairs++; l.fairs == 1 { // ranks were not kept while all were equal
			for _, ln := range l.plain.lanes {
				ln.rank.running, ln.rank.turn = l.plain.running, l.plain.turn
			}
		}
	}
	f.uses++
	return f
}

func (m *Machine) dropFair(f *fairKey) {
	if f == f.line.plain {
		return
	}
	if f.uses--; f.uses > 0 {
		return
	}
	delete(m.fairByID, fairID{f.line, f.name})
	f.line.fairs--
	m.fairs[f.number] = nil
	m.freeFairs = append(m.freeFairs, f.number)
}

// began counts a task that runs to its keys.
func (m *Machine) began(t *task) {
	m.fairs[t.fair].running++
	if t.gate != 0 {
		m.gates[t.gate].running++
	}
}

// stopped counts a task to its keys that runs no longer: others may come before, or have room.
func (m *Machine) stopped(t *task) {
	f := m.fairs[t.fair]
	f.running--
	l := f.line
	if l.fairs > 0 {
		for _, ln := range f.lanes {
			if ln.at > 0 && f.running < ln.rank.running {
				ln.rank.running = f.running
				ln.class.up(ln.at)
			}
		}
	}
	if t.gate != 0 {
		m.leaveGate(t.gate)
	}
	if l.settings.MaxRunning > 0 || l.settings.Budget.Set {
		m.stirLine(l)
	}
}
