package queue

// aside is what tasks are parked under that reserve more than the whole budget of their queue; no
// gate has this number. Submit refuses such tasks, but a budget may be lowered while they wait. They
// stand aside from when they come up until the budget is changed: nothing can be kept for them, so
// that they must not hold their queue.
const aside = 0

// beyond tells whether a task can't be granted for as long as the budget of its queue is what it is.
func (m *Machine) beyond(t *task) bool {
	return m.lineOf(t).settings.Budget.Below(m.terms.at(t.terms).maxCost)
}

// Below tells whether a cost is above the whole of a budget.
func (b *Budget) Below(cost Micros) bool { return b.Set && cost > b.Limit }

// setAside parks a task that came up; the next one of its concurrency key comes in its place. Who
// looks at the lane sees that one next, so that no taker need be sought: a read may get here (D7).
func (m *Machine) setAside(ln *lane, t *task, it heapItem) {
	t.set(flagAside, true)
	ln.parkedUnder(aside).push(it)
	if t.gate != 0 {
		m.bringBack(ln, t.gate)
	}
}

// takeBack has all that stand aside in a queue come up again: its budget has changed.
func (m *Machine) takeBack(l *line) {
	for _, c := range l.classes {
		m.takeBackLane(&c.plain)
		for _, ln := range c.byFair { // in no order: each has its own
			m.takeBackLane(ln)
		}
	}
}

func (m *Machine) takeBackLane(ln *lane) {
	h := ln.parked[aside]
	if h == nil {
		return
	}
	for it, ok := h.top(m.readyHolds); ok; it, ok = h.top(m.readyHolds) {
		h.pop()
		m.tasks.at(it.handle).set(flagAside, false)
		ln.ready.push(it)
		ln.rise(it)
	}
	m.dropParked(ln, aside) // some may be overdue: they leave it when they end
}
