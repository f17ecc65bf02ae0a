package queue

import "slices"

// edge is one dependency: a live child and a parent, which may be live or terminal. It stands
// in two lists: the child's own, and one of the parent's two. No pointers.
type edge struct {
	parent  Serial
	child   uint32
	next    uint32 // of the child's edges
	kidNext uint32
	kidPrev uint32
	settled bool // in kids.settled, else in kids.pending
	passed  bool // the child need not wait for this parent any more
}

// kids are the edges to a parent's live children. Pending ones are settled when the parent
// ends; settled ones stay, for a parent with live dependents is not pruned, and a failed
// parent that is retried has those that still wait made pending again.
type kids struct{ pending, settled uint32 }

// settling is a parent whose present run ended as to, with edges still pending.
type settling struct {
	parent Serial
	to     State
}

func (k *kids) list(settled bool) *uint32 {
	if settled {
		return &k.settled
	}
	return &k.pending
}

func (m *Machine) linkKid(n uint32, settled bool) {
	e := m.edges.at(n)
	k := m.kids[e.parent]
	head := k.list(settled)
	e.settled, e.kidPrev, e.kidNext = settled, 0, *head
	if *head != 0 {
		m.edges.at(*head).kidPrev = n
	}
	*head = n
	m.kids[e.parent] = k
}

func (m *Machine) unlinkKid(n uint32) {
	e := m.edges.at(n)
	k := m.kids[e.parent]
	if e.kidNext != 0 {
		m.edges.at(e.kidNext).kidPrev = e.kidPrev
	}
	if e.kidPrev != 0 {
		m.edges.at(e.kidPrev).kidNext = e.kidNext
	} else {
		*k.list(e.settled) = e.kidNext
	}
	if k == (kids{}) {
		delete(m.kids, e.parent)
	} else {
		m.kids[e.parent] = k
	}
}

// attach makes a child depend on a parent that is in the given state; 0: not terminal. The
// child's own state follows from its waiting count, which the caller acts on.
func (m *Machine) attach(h uint32, parent Serial, state State) {
	n, e := m.edges.take()
	t := m.tasks.at(h)
	*e = edge{parent: parent, child: h, next: t.edges}
	t.edges = n
	if state == Completed {
		e.passed = true
		m.linkKid(n, true)
		return
	}
	t.waiting++
	m.linkKid(n, false)
	if state.Terminal() {
		m.settle(parent, state)
	}
}

// detach takes away all dependencies of a task that ends.
func (m *Machine) detach(t *task) {
	for n := t.edges; n != 0; {
		next := m.edges.at(n).next
		m.unlinkKid(n)
		m.edges.put(n)
		n = next
	}
	t.edges, t.waiting = 0, 0
}

// drop takes away one dependency.
func (m *Machine) dropEdge(n uint32) {
	e := m.edges.at(n)
	t := m.tasks.at(e.child)
	at := &t.edges
	for *at != n {
		at = &m.edges.at(*at).next
	}
	*at = e.next
	m.unlinkKid(n)
	m.edges.put(n)
}

// parents lists what a live record must name of a task's dependencies, in their order.
func (m *Machine) parents(t *task) []Serial {
	if t.edges == 0 {
		return nil
	}
	var ps []Serial
	for n := t.edges; n != 0; n = m.edges.at(n).next {
		ps = append(ps, m.edges.at(n).parent)
	}
	for i, j := 0, len(ps)-1; i < j; i, j = i+1, j-1 {
		ps[i], ps[j] = ps[j], ps[i]
	}
	return ps
}

// settle has the dependents of a parent that ended looked at, in this step or the next.
func (m *Machine) settle(parent Serial, to State) {
	if m.kids[parent].pending != 0 {
		m.cascade = append(m.cascade, settling{parent, to})
	}
}

// reopen makes the settled edges that still wait pending again: their parent runs again, and how
// its last run ended is nothing to its dependents any more.
func (m *Machine) reopen(parent Serial) {
	m.cascade = slices.DeleteFunc(m.cascade, func(s settling) bool { return s.parent == parent })
	for n := m.kids[parent].settled; n != 0; {
		e := m.edges.at(n)
		next := e.kidNext
		if !e.passed {
			m.unlinkKid(n)
			m.linkKid(n, false)
		}
		n = next
	}
}

// settleKids works the cascade off, up to its bound.
func (m *Machine) settleKids() {
	for left := cascadeBound; len(m.cascade) > 0; {
		s := m.cascade[0]
		for n := m.kids[s.parent].pending; n != 0 && left > 0; n = m.kids[s.parent].pending {
			m.settleEdge(n, s.to)
			left--
		}
		if m.kids[s.parent].pending != 0 {
			return
		}
		m.cascade = m.cascade[1:]
	}
}

// settleEdge tells one child what became of its parent.
func (m *Machine) settleEdge(n uint32, to State) {
	e := m.edges.at(n)
	h := e.child
	t := m.tasks.at(h)
	policy := m.terms.at(t.terms).onFailure
	switch {
	case to == Completed:
		e.passed = true
		m.unlinkKid(n)
		m.linkKid(n, true)
		m.stepCloser(h, t)
	case policy == PolicyRun:
		m.dropEdge(n)
		m.touch(h, t)
		m.stepCloser(h, t)
	case policy == PolicyWait:
		m.unlinkKid(n)
		m.linkKid(n, true)
	case m.overdue(t):
		m.finish(h, t, Expired, deadlineFailure, Attempt{}, nil)
	default:
		m.finish(h, t, Cancelled, Failure{
			Class: ClassDependencyFailed, Message: "a task that it depends on did not complete",
		}, Attempt{}, nil)
	}
}

func (m *Machine) stepCloser(h uint32, t *task) {
	if t.waiting--; t.waiting == 0 && t.state == Blocked {
		m.enter(h, t)
	}
}
