package queue

// MaxQueues bounds the queues: one is never deleted, so a typing error must not make them
// without end.
const MaxQueues = 10_000

// line is a queue inside.
type line struct {
	name     string
	number   int
	counts   Counts
	paused   bool
	dirty    bool
	settings Settings // Weight is 1 or more
	version  uint64
	classes  []*class // of its live tasks
	last     *class   // of them, the one asked for last; nil: it is gone

	plain *fairKey // of tasks without a fairness key
	fairs int      // fairness keys besides
	gates int      // concurrency keys
	turn  uint64   // grants, to tell which fairness key was served last

	pass  uint64 // in the turns between queues
	fresh bool   // it had nothing to grant when looked at last

	bucket   bucket
	rateAt   int64 // key in Machine.rateTimes, 0: none
	spend    PeriodSpend
	ends     Instant // of the period that spend is of; 0: never
	reserved Micros  // by attempts that were granted in that period
	rollAt   int64   // key in Machine.periodTimes, 0: none
	rows     *queueSpend
}

// line gives the queue of that name, making it if need be.
func (m *Machine) line(name string) *line {
	if l, ok := m.lineByName[name]; ok {
		return l
	}
	l := &line{name: name, number: len(m.lines), settings: Settings{Weight: 1}, version: 1, fresh: true}
	l.plain, l.rows = m.newFair(fairID{l, ""}), newQueueSpend(name)
	m.lines = append(m.lines, l)
	m.lineByName[name] = l
	return l
}

func (m *Machine) touchLine(l *line) *line {
	if !l.dirty {
		l.dirty = true
		m.dirtyLines = append(m.dirtyLines, l)
	}
	return l
}

func (l *line) record() QueueRecord {
	return QueueRecord{
		Name: l.name, Paused: l.paused, Counts: l.counts, Settings: l.settings, Version: l.version, Spend: l.spend,
	}
}

// lanes is how many lanes its classes have.
func (l *line) lanes() (n int) {
	for _, c := range l.classes {
		n += 1 + len(c.byFair)
	}
	return n
}

func (l *line) running() int64 { return l.counts.States[Running] }

// shut says what keeps a queue from granting anything at all, 0 if nothing does.
func (m *Machine) shut(l *line) Explanation {
	switch {
	case l.paused:
		return ExplainQueuePaused
	case l.settings.MaxRunning > 0 && l.running() >= int64(l.settings.MaxRunning):
		return ExplainQueueLimit
	case l.bucket.every > 0 && l.bucket.next() > m.elapsed:
		return ExplainRateLimit
	case l.settings.Budget.Set && !m.headFits(l):
		return ExplainBudget
	}
	return 0
}

// open tells whether a queue may grant something now. One that may not is fresh when it opens,
// and is looked at again when its limit allows.
func (m *Machine) open(l *line) bool {
	if l.counts.States[Ready] == 0 {
		return false
	}
	why := m.shut(l)
	if why == 0 {
		return true
	}
	l.fresh = true
	switch why {
	case ExplainRateLimit:
		m.wake(&m.rateTimes, &l.rateAt, int64(l.bucket.next()), l, m.rateHolds)
	case ExplainBudget:
		m.wakeAtRoll(l)
	}
	return false
}

// wakeAtRoll has a queue looked at again when the period of its budget is over.
func (m *Machine) wakeAtRoll(l *line) {
	if l.ends != 0 {
		m.wake(&m.periodTimes, &l.rollAt, int64(l.ends), l, m.periodHolds)
	}
}

// wake puts a queue under a time at which it may grant again.
func (m *Machine) wake(h *heap, slot *int64, at int64, l *line, holds func(heapItem) bool) {
	old := *slot
	if old == at {
		return
	}
	*slot = at
	if old != 0 {
		h.forget(holds)
	}
	h.push(heapItem{key: at, serial: uint64(l.number)})
}

func (m *Machine) unwake(h *heap, slot *int64, holds func(heapItem) bool) {
	if *slot != 0 {
		*slot = 0
		h.forget(holds)
	}
}

// popWakes looks again at queues whose rate or budget allows more by now.
func (m *Machine) popWakes() {
	for {
		it, ok := m.rateTimes.top(m.rateHolds)
		if !ok || it.key > int64(m.elapsed) {
			break
		}
		m.rateTimes.pop()
		l := m.lines[it.serial]
		l.rateAt = 0
		m.stirLine(l)
	}
	for {
		it, ok := m.periodTimes.top(m.periodHolds)
		if !ok || it.key > int64(m.now) {
			break
		}
		m.periodTimes.pop()
		l := m.lines[it.serial]
		l.rollAt = 0
		m.stirLine(l)
	}
}

// stir has takers sought for what a class may grant by now.
func (m *Machine) stir(c *class) {
	if !c.stirred {
		c.stirred = true
		m.stirred = append(m.stirred, c)
	}
}

// stirLine is stir for a queue that may grant again. Who asks for work from here on looks at it
// anyway, so nothing needs doing unless somebody waits.
func (m *Machine) stirLine(l *line) {
	if len(m.idle) == 0 || l.counts.States[Ready] == 0 {
		return
	}
	for _, c := range l.classes {
		m.stir(c)
	}
}
