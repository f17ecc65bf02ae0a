package queue

// lane is the tasks of a class that have the same fairness key. READY ones wait in its heap, but
// for those whose concurrency key has no room, which are parked, and those that stand aside, for the
// whole budget of their queue has no room for them: see aside.
//
// What is always true of a concurrency key with room: in each lane, the first of its tasks is
// not parked. So tasks are parked when they come up while there is none, one of each lane comes
// back when there is room again, and the next when that one is granted or goes.
type lane struct {
	class  *class
	fair   *fairKey
	number uint32
	ready  heap
	parked map[uint32]*heap // by gate, or aside
	tasks  int              // live tasks, whatever their state
	at     int              // place in the class's heap, from 1; 0: not there
	rank   rank             // as seen last: its true one is never before it
	kin    int              // place in fair.lanes
}

// rank is the order in which tasks of one queue come: first those of the fairness key with the
// fewest running, of these the one that was served longest ago, then by order key.
type rank struct {
	running int
	turn    uint64
	item    heapItem
}

func (a *rank) less(b *rank) bool {
	if a.running != b.running {
		return a.running < b.running
	}
	if a.turn != b.turn {
		return a.turn < b.turn
	}
	return a.item.less(b.item)
}

func (m *Machine) newLane(c *class, f *fairKey) *lane {
	ln := &c.plain
	if f != f.line.plain {
		ln = &lane{}
		if c.byFair == nil {
			c.byFair = map[*fairKey]*lane{}
		}
		c.byFair[f] = ln
	}
	ln.class, ln.fair, ln.kin = c, f, len(f.lanes)
	f.lanes = append(f.lanes, ln)
	if k := len(m.freeLanes); k > 0 {
		ln.number, m.freeLanes = m.freeLanes[k-1], m.freeLanes[:k-1]
		m.lanes[ln.number] = ln
	} else {
		ln.number = uint32(len(m.lanes))
		m.lanes = append(m.lanes, ln)
	}
	return ln
}

// removeLane forgets a lane without tasks.
func (m *Machine) removeLane(ln *lane) {
	c, f := ln.class, ln.fair
	if ln.at > 0 {
		c.remove(ln)
	}
	last := f.lanes[len(f.lanes)-1]
	f.lanes[ln.kin], last.kin = last, ln.kin
	f.lanes = f.lanes[:len(f.lanes)-1]
	delete(c.byFair, f)
	m.lanes[ln.number] = nil
	m.freeLanes = append(m.freeLanes, ln.number)
	ln.ready, ln.parked = heap{items: ln.kept()}, nil
}

// kept is the room of a heap that serves again, if it is not large.
func (ln *lane) kept() []heapItem {
	if cap(ln.ready.items) > sweepAbove {
		return nil
	}
	return ln.ready.items[:0]
}

// ready puts a READY task in its lane.
func (m *Machine) ready(h uint32, t *task) {
	ln := m.lanes[t.lane]
	it := heapItem{key: t.order(), serial: uint64(t.serial), handle: h, extra: int32(t.priority)}
	ln.ready.push(it)
	ln.rise(it)
	m.stir(ln.class)
}

// unready takes a task that is not READY any more out of its lane. It may be the one that held
// its queue, for the budget had no room for it: the next may be granted then.
func (m *Machine) unready(t *task) {
	ln := m.lanes[t.lane]
	if l := ln.class.line; l.settings.Budget.Set {
		m.stirLine(l)
	}
	switch {
	case t.has(flagParked):
		t.set(flagParked, false)
		m.unparkGone(ln, t.gate)
		return
	case t.has(flagAside):
		t.set(flagAside, false)
		m.unparkGone(ln, aside)
		return
	}
	ln.ready.forget(m.readyHolds)
	if t.gate != 0 {
		m.unpark(ln, t.gate)
	}
}

// rise keeps the lane's rank at or before the true one: a task came that may be its first.
func (ln *lane) rise(it heapItem) {
	c := ln.class
	if ln.at == 0 {
		ln.rank = rank{ln.fair.running, ln.fair.turn, it}
		c.lanes = append(c.lanes, ln)
		ln.at = len(c.lanes)
		c.up(ln.at)
		return
	}
	if it.less(ln.rank.item) {
		ln.rank.item = it
		c.up(ln.at)
	}
}

// first gives the first task of a lane that may be granted, parking those that may not.
func (m *Machine) first(ln *lane) (heapItem, bool) {
	for {
		it, ok := ln.ready.top(m.readyHolds)
		if l := ln.class.line; !ok || l.gates == 0 && !l.settings.Budget.Set {
			return it, ok
		}
		t := m.tasks.at(it.handle)
		switch {
		case m.beyond(t):
			ln.ready.pop()
			m.setAside(ln, t, it)
		case t.gate == 0 || m.passes(t.gate):
			return it, true
		default:
			ln.ready.pop()
			m.park(ln, t, it)
		}
	}
}

// front gives the lane of a class whose first task comes first; its rank is true then.
func (m *Machine) front(c *class) *lane {
	for len(c.lanes) > 0 {
		ln := c.lanes[0]
		it, ok := m.first(ln)
		if !ok {
			c.remove(ln)
			continue
		}
		if now := (rank{ln.fair.running, ln.fair.turn, it}); now != ln.rank {
			ln.rank = now
			c.down(1)
			if c.lanes[0] != ln {
				continue
			}
		}
		return ln
	}
	return nil
}

// each calls f for each item of a lane, those included that do not hold any more; of a heap of which it is
// not for all, its first is among them.
func (ln *lane) each(g *glance, f func(heapItem)) {
	ln.ready.each(g, f)
	for _, h := range ln.parked { // in no order: f must not mind
		if g.left == 0 {
			return
		}
		h.each(g, f)
	}
}

// eachReady is each for all lanes of a queue.
func (l *line) eachReady(g *glance, f func(heapItem)) {
	for _, c := range l.classes {
		c.plain.each(g, f)
		for _, ln := range c.byFair { // in no order: f must not mind
			if g.left == 0 {
				return
			}
			ln.each(g, f)
		}
	}
}

// up, down and remove keep the class's binary heap of lanes; places count from 1.
func (c *class) up(i int) {
	for ; i > 1 && c.lanes[i-1].rank.less(&c.lanes[i/2-1].rank); i /= 2 {
		c.swap(i, i/2)
	}
}

func (c *class) down(i int) {
	for n := len(c.lanes); 2*i <= n; {
		least := 2 * i
		if least < n && c.lanes[least].rank.less(&c.lanes[least-1].rank) {
			least++
		}
		if !c.lanes[least-1].rank.less(&c.lanes[i-1].rank) {
			return
		}
		c.swap(i, least)
		i = least
	}
}

func (c *class) swap(i, j int) {
	a, b := c.lanes[i-1], c.lanes[j-1]
	c.lanes[i-1], c.lanes[j-1] = b, a
	a.at, b.at = j, i
}

func (c *class) remove(ln *lane) {
	i, n := ln.at, len(c.lanes)
	c.swap(i, n)
	c.lanes[n-1] = nil
	c.lanes = c.lanes[:n-1]
	ln.at = 0
	if i < n {
		c.up(i)
		c.down(i)
	}
}
