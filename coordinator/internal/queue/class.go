package queue

import (
	"slices"
	"strings"
)

// Bounds of what may exist at once.
const (
	MaxQueues    = 10_000 // a queue is never deleted, so a typing error must not make them without end
	MaxLabelSets = 4_096  // distinct sets of required labels among live tasks: a grant looks at each that fits
)

// line is a queue inside.
type line struct {
	name   string
	paused bool
	counts Counts
	dirty  bool
}

// class is the tasks of one queue that require the same labels. READY ones wait in its heap.
type class struct {
	key      classKey
	line     uint32
	requires []Requirement
	ready    heap
	tasks    int  // live tasks, whatever their state
	stirred  bool // in Machine.stirred
}

type classKey struct {
	line     uint32
	requires string
}

// profile is what a kind of agent can run, with those of its kind that want work.
type profile struct {
	key     string
	labels  map[string]string
	queues  map[string]bool // empty: all
	classes []uint32        // that it can run
	takers  []*taker        // in turn; stale ones are skipped
	users   int
	wanting bool // in Machine.wanting
	idle    bool // in Machine.idle
}

// taker is one that takes grants: a session's agent or a waiting Acquire.
type taker struct {
	agent   *agent
	waiter  *waiter
	queued  bool // in its profile's takers
	profile *profile
}

func labelKey(ls []Label) string {
	var b strings.Builder
	for _, l := range ls {
		b.WriteString(l.Key + "=" + l.Value + "\n")
	}
	return b.String()
}

// line gives the queue of that name, making it if need be.
func (m *Machine) line(name string) uint32 {
	if n, ok := m.lineByName[name]; ok {
		return n
	}
	m.lines = append(m.lines, &line{name: name})
	n := uint32(len(m.lines) - 1)
	m.lineByName[name] = n
	return n
}

func (m *Machine) touchLine(n uint32) *line {
	l := m.lines[n]
	if !l.dirty {
		l.dirty = true
		m.dirtyLines = append(m.dirtyLines, l)
	}
	return l
}

// takeClass gives the class of a queue and required labels, with one more task in it.
func (m *Machine) takeClass(ln uint32, requires []Requirement) uint32 {
	key := classKey{ln, requirementKey(requires)}
	n, ok := m.classByKey[key]
	if !ok {
		n = m.newClass(key, requires)
	}
	m.classes[n].tasks++
	return n
}

func (m *Machine) newClass(key classKey, requires []Requirement) uint32 {
	c := &class{key: key, line: key.line, requires: slices.Clone(requires)}
	var n uint32
	if k := len(m.freeClasses); k > 0 {
		n, m.freeClasses = m.freeClasses[k-1], m.freeClasses[:k-1]
		m.classes[n] = c
	} else {
		m.classes = append(m.classes, c)
		n = uint32(len(m.classes) - 1)
	}
	m.classByKey[key] = n
	m.labelSets[key.requires]++
	for _, p := range m.profiles {
		if p.fits(m.lines[c.line].name, c.requires) {
			p.classes = append(p.classes, n)
		}
	}
	return n
}

func (m *Machine) dropClass(n uint32) {
	c := m.classes[n]
	if c.tasks--; c.tasks > 0 {
		return
	}
	delete(m.classByKey, c.key)
	if m.labelSets[c.key.requires]--; m.labelSets[c.key.requires] == 0 {
		delete(m.labelSets, c.key.requires)
	}
	for _, p := range m.profiles {
		if i := slices.Index(p.classes, n); i >= 0 {
			p.classes = slices.Delete(p.classes, i, i+1)
		}
	}
	m.classes[n] = nil
	m.freeClasses = append(m.freeClasses, n)
}

// fits tells whether an agent of this profile can run a task of that queue and those labels.
func (p *profile) fits(queue string, requires []Requirement) bool {
	if len(p.queues) > 0 && !p.queues[queue] {
		return false
	}
	for i := range requires {
		if !requires[i].met(p.labels) {
			return false
		}
	}
	return true
}

// takeProfile gives the profile of an agent, with one more user.
func (m *Machine) takeProfile(labels []Label, queues []string) *profile {
	labels, queues = slices.Clone(labels), slices.Clone(queues)
	slices.SortFunc(labels, func(a, b Label) int { return strings.Compare(a.Key, b.Key) })
	slices.Sort(queues)
	key := labelKey(labels) + "\x00" + strings.Join(queues, "\n")
	p, ok := m.profileByKey[key]
	if !ok {
		p = m.newProfile(key, labels, queues)
	}
	p.users++
	return p
}

func (m *Machine) newProfile(key string, labels []Label, queues []string) *profile {
	p := &profile{key: key, labels: map[string]string{}, queues: map[string]bool{}}
	for _, l := range labels {
		p.labels[l.Key] = l.Value
	}
	for _, q := range queues {
		p.queues[q] = true
	}
	for n, c := range m.classes {
		if c != nil && p.fits(m.lines[c.line].name, c.requires) {
			p.classes = append(p.classes, uint32(n))
		}
	}
	m.profileByKey[key] = p
	m.profiles = append(m.profiles, p)
	return p
}

func (m *Machine) dropProfile(p *profile) {
	if p.users--; p.users > 0 {
		return
	}
	delete(m.profileByKey, p.key)
	i := slices.Index(m.profiles, p)
	m.profiles = slices.Delete(m.profiles, i, i+1)
	if i := slices.Index(m.idle, p); i >= 0 {
		m.idle = slices.Delete(m.idle, i, i+1)
	}
}
