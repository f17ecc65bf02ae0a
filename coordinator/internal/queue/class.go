package queue

import "slices"

// MaxLabelSets bounds the distinct sets of requirements among live tasks: a grant looks at each
// that fits.
const MaxLabelSets = 4_096

// class is the tasks of one queue that require the same of an agent.
type class struct {
	key      classKey
	line     *line
	requires []Requirement
	lanes    []*lane // a heap by rank: those that may have READY tasks
	plain    lane    // of tasks without a fairness key; in use if it has tasks
	byFair   map[*fairKey]*lane
	tasks    int  // live tasks, whatever their state
	runners  int  // profiles that can run it
	stirred  bool // in Machine.stirred

	room [1]*lane // of lanes, while one is enough
}

type classKey struct {
	line     *line
	requires string
}

// takeLane gives the lane of a queue, requirements and a fairness key, with one more task in it.
func (m *Machine) takeLane(f *fairKey, requires []Requirement) uint32 {
	c := m.takeClass(f.line, requires)
	c.tasks++
	ln := &c.plain
	if f != f.line.plain {
		ln = c.byFair[f]
	}
	if ln == nil || ln.tasks == 0 {
		ln = m.newLane(c, f)
	}
	ln.tasks++
	return ln.number
}

// takeClass gives the class of a queue and requirements. The one asked for last is looked at
// first: what a call submits is often alike.
func (m *Machine) takeClass(l *line, requires []Requirement) *class {
	if c := l.last; c != nil && slices.EqualFunc(c.requires, requires, Requirement.equal) {
		return c
	}
	key := classKey{l, requirementKey(requires)}
	c, ok := m.classByKey[key]
	if !ok {
		c = m.newClass(key, requires)
	}
	l.last = c
	return c
}

func (m *Machine) newClass(key classKey, requires []Requirement) *class {
	c := m.spareClass()
	c.key, c.line, c.requires = key, key.line, slices.Clone(requires)
	m.classByKey[key] = c
	key.line.classes = append(key.line.classes, c)
	m.labelSets[key.requires]++
	for _, p := range m.profiles {
		if p.fits(c) {
			p.reachFor(c.line).add(c)
		}
	}
	return c
}

// dropLane takes one task out of a lane.
func (m *Machine) dropLane(n uint32) {
	ln := m.lanes[n]
	c := ln.class
	if ln.tasks--; ln.tasks == 0 {
		m.removeLane(ln)
	}
	if c.tasks--; c.tasks > 0 {
		return
	}
	delete(m.classByKey, c.key)
	if m.labelSets[c.key.requires]--; m.labelSets[c.key.requires] == 0 {
		delete(m.labelSets, c.key.requires)
	}
	l := c.line
	l.classes = without(l.classes, c)
	if l.last == c {
		l.last = nil
	}
	for _, p := range m.profiles {
		p.forget(c)
	}
	if len(m.spareClasses) < mostSpareClasses {
		*c = class{stirred: c.stirred, plain: lane{ready: heap{items: c.plain.kept()}}}
		m.spareClasses = append(m.spareClasses, c)
	}
}

// mostSpareClasses bounds the classes kept for reuse: where tasks come one by one, each would
// make one and drop it.
const mostSpareClasses = 16

// spareClass gives a class without tasks. One that was dropped may still be in Machine.stirred,
// which does no harm.
func (m *Machine) spareClass() *class {
	c := &class{}
	if n := len(m.spareClasses); n > 0 {
		c, m.spareClasses = m.spareClasses[n-1], m.spareClasses[:n-1]
	}
	c.lanes = c.room[:0]
	return c
}

// without takes x out of s, whose order it keeps.
func without[T comparable](s []T, x T) []T {
	if i := slices.Index(s, x); i >= 0 {
		return slices.Delete(s, i, i+1)
	}
	return s
}
