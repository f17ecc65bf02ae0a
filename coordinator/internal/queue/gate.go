package queue

// gate is a concurrency key of a queue: at most KeyLimit of its tasks run at once. It lives as
// long as live tasks of it do.
type gate struct {
	line    *line
	name    string
	running int32
	uses    int     // live tasks
	parked  []*lane // in which tasks of it are parked
}

type gateID struct {
	line *line
	name string
}

// takeGate gives the number of a concurrency key, with one more task; 0 for none.
func (m *Machine) takeGate(l *line, name string) uint32 {
	if name == "" {
		return 0
	}
	id := gateID{l, name}
	n, ok := m.gateByID[id]
	if !ok {
		n = m.newGate(&gate{line: l, name: name})
		m.gateByID[id] = n
		l.gates++
	}
	m.gates[n].uses++
	return n
}

func (m *Machine) newGate(g *gate) uint32 {
	if k := len(m.freeGates); k > 0 {
		n := m.freeGates[k-1]
		m.freeGates = m.freeGates[:k-1]
		m.gates[n] = g
		return n
	}
	m.gates = append(m.gates, g)
	return uint32(len(m.gates) - 1)
}

func (m *Machine) dropGate(n uint32) {
	if n == 0 {
		return
	}
	g := m.gates[n]
	if g.uses--; g.uses > 0 {
		return
	}
	for _, ln := range g.parked {
		delete(ln.parked, n)
	}
	delete(m.gateByID, gateID{g.line, g.name})
	g.line.gates--
	m.gates[n] = nil
	m.freeGates = append(m.freeGates, n)
}

// passes tells whether one more task of a concurrency key may run.
func (m *Machine) passes(n uint32) bool {
	g := m.gates[n]
	limit := g.line.settings.KeyLimit
	return limit == 0 || g.running < limit
}

// park puts a task aside that came up while its concurrency key had no room.
func (m *Machine) park(ln *lane, t *task, it heapItem) {
	if ln.parked[t.gate] == nil {
		g := m.gates[t.gate]
		g.parked = append(g.parked, ln)
	}
	t.set(flagParked, true)
	ln.parkedUnder(t.gate).push(it)
}

// parkedUnder gives the heap of what is parked under a number, making it if need be.
func (ln *lane) parkedUnder(n uint32) *heap {
	h := ln.parked[n]
	if h == nil {
		h = &heap{}
		if ln.parked == nil {
			ln.parked = map[uint32]*heap{}
		}
		ln.parked[n] = h
	}
	return h
}

// unpark brings the first parked task of a concurrency key back to its lane, if there is room, and
// has a taker sought for it.
func (m *Machine) unpark(ln *lane, n uint32) {
	if m.bringBack(ln, n) {
		m.stir(ln.class)
	}
}

func (m *Machine) bringBack(ln *lane, n uint32) bool {
	h := ln.parked[n]
	if h == nil || !m.passes(n) {
		return false
	}
	it, ok := h.top(m.readyHolds)
	if ok {
		h.pop()
		m.tasks.at(it.handle).set(flagParked, false)
		ln.ready.push(it)
		ln.rise(it)
	}
	m.dropParked(ln, n)
	return ok
}

// unparkGone counts a parked task out that is not READY any more.
func (m *Machine) unparkGone(ln *lane, n uint32) {
	ln.parked[n].forget(m.readyHolds)
	m.dropParked(ln, n)
}

// dropParked forgets what is parked under a number once there is nothing.
func (m *Machine) dropParked(ln *lane, n uint32) {
	if ln.parked[n].live > 0 {
		return
	}
	delete(ln.parked, n)
	if n != aside {
		m.gates[n].parked = without(m.gates[n].parked, ln)
	}
}

// leaveGate counts a task of a concurrency key that runs no longer.
func (m *Machine) leaveGate(n uint32) {
	m.gates[n].running--
	m.openGate(n)
}

// openGate brings one parked task of each lane back: there may be room for one more.
func (m *Machine) openGate(n uint32) {
	g := m.gates[n]
	for i := len(g.parked) - 1; i >= 0; i-- { // from the end: unpark takes lanes out
		m.unpark(g.parked[i], n)
	}
}
