package queue

import "slices"

// number is that of the batch being built.
func (m *Machine) number() uint64 { return m.head.Batch + 1 }

func (m *Machine) records() *Batch {
	if m.batch != nil {
		return m.batch
	}
	if n := len(m.spare); n > 0 {
		m.batch, m.spare = m.spare[n-1], m.spare[:n-1]
	} else {
		m.batch = &Batch{}
	}
	return m.batch
}

// Recycle takes a batch back that its caller is done with, so that its slices serve again:
// nobody may hold on to one. It need not be called.
func (m *Machine) Recycle(b *Batch) {
	b.reset()
	m.spare = append(m.spare, b)
}

// emit appends an event; what the caller left out of e is taken from the task.
func (m *Machine) emit(t *task, e Event) {
	m.head.Newest++
	e.Sequence, e.Time = m.head.Newest, m.now
	if t != nil {
		e.Serial, e.Run, e.Queue = t.serial, t.run, m.lineOf(t).name
		if e.Task == "" {
			e.Task = m.idOf(t)
		}
	}
	b := m.records()
	b.Events = append(b.Events, e)
}

// idOf gives the id of a task. A lease keeps it as text: much is told of a task from its grant to
// its end, and each copy made of a name is garbage.
func (m *Machine) idOf(t *task) string {
	if t.lease == 0 {
		return m.copyID(t)
	}
	l := m.leases.at(t.lease)
	if l.id == "" {
		l.id = m.copyID(t)
	}
	return l.id
}

// copyID gives the id of a task that was just submitted from its spec, of any other a copy.
func (m *Machine) copyID(t *task) string {
	if b := m.batch; b != nil && len(b.Specs) > 0 { // in order of serial, without a gap
		if i := t.serial - b.Specs[0].Serial; i < Serial(len(b.Specs)) {
			return b.Specs[i].ID
		}
	}
	return m.tasks.names.get(t.name)
}

func (m *Machine) lineOf(t *task) *line { return m.fairs[t.fair].line }

// touch has the task's live record written with this batch.
func (m *Machine) touch(h uint32, t *task) {
	if !t.has(flagDirty) {
		t.set(flagDirty, true)
		m.dirty = append(m.dirty, h)
	}
}

// effects closes the step: it turns what changed into records and hands everything over.
func (m *Machine) effects() Effects {
	if n := len(m.dirty); n > 1 {
		b := m.records()
		b.Live = slices.Grow(b.Live, n)
	}
	for _, h := range m.dirty {
		m.record(h)
	}
	m.dirty = m.dirty[:0]
	for _, l := range m.dirtyLines {
		l.dirty = false
		m.roll(l) // a read may have done so too, and must not show (D7)
		m.records().Queues = append(m.records().Queues, l.record())
	}
	m.dirtyLines = m.dirtyLines[:0]
	for _, r := range m.dirtyRows {
		r.dirty = false
		m.records().Spends = append(m.records().Spends, r.record())
	}
	m.dirtyRows = m.dirtyRows[:0]
	if b := m.batch; b != nil && !b.Empty() {
		m.head.Batch++
		m.head.Now = m.now
		b.Head = m.head
		m.out.Batch = b
	}
	out := m.out
	// Calls that ended after the grants may have let others go.
	out.More = out.More || len(m.cascade) > 0 || len(m.stirred) > 0
	m.out, m.batch = Effects{}, nil
	clear(m.outAt)
	return out
}

// record puts the live record of a task that changed.
func (m *Machine) record(h uint32) {
	t := m.tasks.at(h)
	t.set(flagDirty, false)
	if t.serial == 0 || t.state.Terminal() {
		return
	}
	t.set(flagStored, true)
	ln, tm := m.lanes[t.lane], m.terms.at(t.terms)
	l := Live{
		Serial: t.serial, ID: m.idOf(t), Digest: t.digest, Queue: ln.fair.line.name,
		Priority: int32(t.priority), OnFailure: tm.onFailure, AttemptTimeout: tm.timeout, Retry: tm.retry,
		Requires: ln.class.requires, MaxCost: tm.maxCost, FairnessKey: ln.fair.name, Parents: m.parents(t), Status: t.status(),
	}
	if t.gate != 0 {
		l.ConcurrencyKey = m.gates[t.gate].name
	}
	if t.state == Running {
		l.Grant = m.leases.at(t.lease).grant()
	}
	b := m.records()
	b.Live = append(b.Live, l)
}

// tell gives the message that this step sends on a stream.
func (m *Machine) tell(s StreamID) *StreamOut {
	i, ok := m.outAt[s]
	if !ok {
		i = len(m.out.Streams)
		m.outAt[s] = i
		m.out.Streams = append(m.out.Streams, StreamOut{Stream: s})
	}
	return &m.out.Streams[i]
}
