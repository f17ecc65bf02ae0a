package queue

// The turns between queues: each grant moves its queue's pass on by stride ÷ weight, and the
// queue with the lowest pass is next.
const (
	stride = 1 << 24 // divided by the largest weight it is still exact to a few millionths

	// mostLag bounds how far a queue that could not be served may have fallen behind the others,
	// in strides, so that they are not shut out until it has caught up.
	mostLag = 100 * stride
)

// seating places queues in the turns that are fresh, beside those that were there all along.
type seating struct{ low, all, high uint64 }

func newSeating() seating { return seating{low: noPass, all: noPass} }

const noPass = ^uint64(0)

// look takes a queue in that has something to grant.
func (s *seating) look(l *line) {
	s.all = min(s.all, l.pass)
	if !l.fresh {
		s.low, s.high = min(s.low, l.pass), max(s.high, l.pass)
	}
}

// seat gives a fresh queue the present pass, or up to one grant of its own behind it: what it
// was given lately counts, what others were given while it had nothing to grant does not.
func (s *seating) seat(l *line) {
	low := s.low
	if low == noPass {
		low = s.all
	}
	if l.fresh {
		l.fresh = false
		l.pass = min(max(l.pass, low), low+stride/uint64(l.settings.Weight))
		return
	}
	if s.high > mostLag {
		l.pass = max(l.pass, s.high-mostLag)
	}
}

// seatAll seats the queues that may grant something to a profile.
func (m *Machine) seatAll(p *profile) {
	s, lines := newSeating(), m.seats[:0]
	for i := range p.reach {
		if m.serves(&p.reach[i]) {
			s.look(p.reach[i].line)
			lines = append(lines, p.reach[i].line)
		}
	}
	for _, l := range lines {
		s.seat(l)
	}
	m.seats = lines
}

// serves tells whether a queue may grant something now of the classes that a profile can run. One
// whose READY tasks all stand aside, are parked or overdue has nothing to grant to anybody.
func (m *Machine) serves(r *reach) bool {
	if !m.open(r.line) {
		return false
	}
	for _, c := range r.classes {
		if m.front(c) != nil {
			return true
		}
	}
	r.line.fresh = r.line.fresh || !m.hasFront(r.line)
	return false
}

// hasFront tells whether a queue has a task that some agent could be given.
func (m *Machine) hasFront(l *line) bool {
	for _, c := range l.classes {
		if c.runners > 0 && m.front(c) != nil {
			return true
		}
	}
	return false
}

// stirred is a class that may grant to somebody who waits, and its place among the others.
type stirred struct {
	class *class
	pass  uint64
	line  int
	rank  rank
}

func (a *stirred) less(b *stirred) bool {
	if a.pass != b.pass {
		return a.pass < b.pass
	}
	if a.line != b.line {
		return a.line < b.line
	}
	return a.rank.less(&b.rank)
}

// matchStirred seeks takers for what became grantable. The classes lie in a heap, each at or
// before its true place: grants only put classes off.
func (m *Machine) matchStirred() {
	q := m.turns[:0]
	for _, c := range m.stirred {
		if c.stirred = false; c.tasks == 0 || !c.line.fresh {
			continue
		}
		if _, _, ok := m.place(c); !ok {
			continue
		}
		if p := m.idleFor(c); p != nil {
			m.seatAll(p)
		}
	}
	for _, c := range m.stirred {
		if c.tasks == 0 {
			continue
		}
		if x, _, ok := m.place(c); ok {
			q = append(q, x)
		}
	}
	clear(m.stirred)
	m.stirred = m.stirred[:0]
	for i := len(q)/2 - 1; i >= 0; i-- {
		sink(q, i)
	}
	for len(q) > 0 {
		x, ln, ok := m.place(q[0].class)
		if ok && x != q[0] {
			q[0] = x
			if sink(q, 0); q[0].class != x.class {
				continue
			}
		}
		if ok {
			if p := m.idleFor(x.class); p != nil {
				m.grantTo(p, m.next(p), ln)
				continue
			}
		}
		last := len(q) - 1
		q[0], q[last] = q[last], stirred{}
		q = q[:last]
		sink(q, 0)
	}
	m.turns = q
	for _, c := range m.stirred { // by the grants themselves
		c.stirred = false
	}
	m.stirred = m.stirred[:0]
}

// place gives the place of a class that may grant now.
func (m *Machine) place(c *class) (stirred, *lane, bool) {
	if !m.open(c.line) {
		return stirred{}, nil, false
	}
	ln := m.front(c)
	if ln == nil || !m.affords(ln) {
		return stirred{}, nil, false
	}
	return stirred{c, c.line.pass, c.line.number, ln.rank}, ln, true
}

func sink(q []stirred, i int) {
	for n := len(q); 2*i+1 < n; {
		least := 2*i + 1
		if least+1 < n && q[least+1].less(&q[least]) {
			least++
		}
		if !q[least].less(&q[i]) {
			return
		}
		q[i], q[least] = q[least], q[i]
		i = least
	}
}
