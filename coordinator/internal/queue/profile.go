package queue

import (
	"slices"
	"strings"
)

// profile is what a kind of agent can run, with those of its kind that want work.
type profile struct {
	key     string
	labels  map[string]string
	queues  map[string]bool // empty: all
	reach   []reach         // by queue, in order of their numbers
	takers  fifo[*taker]    // in turn; stale ones are skipped
	users   int
	wanting bool // in Machine.wanting
	idle    bool // in Machine.idle
}

// reach is the classes of one queue that a profile can run.
type reach struct {
	line    *line
	classes []*class
}

// taker is one that takes grants: a session's agent or a waiting Acquire.
type taker struct {
	agent   *agent
	waiter  *waiter
	queued  bool // in its profile's takers
	profile *profile
}

// gone tells whether nobody will take anything by it any more.
func (t *taker) gone() bool { return t.agent == nil && (t.waiter == nil || t.waiter.over) }

// takes tells whether an agent of this profile takes tasks of that queue.
func (p *profile) takes(queue string) bool { return len(p.queues) == 0 || p.queues[queue] }

// fits tells whether an agent of this profile can run the tasks of a class.
func (p *profile) fits(c *class) bool {
	if !p.takes(c.line.name) {
		return false
	}
	for i := range c.requires {
		if !c.requires[i].met(p.labels) {
			return false
		}
	}
	return true
}

func (p *profile) reachAt(l *line) (int, bool) {
	return slices.BinarySearchFunc(p.reach, l.number, func(r reach, n int) int { return r.line.number - n })
}

func (p *profile) reachFor(l *line) *reach {
	i, ok := p.reachAt(l)
	if !ok {
		p.reach = slices.Insert(p.reach, i, reach{line: l})
	}
	return &p.reach[i]
}

func (r *reach) add(c *class) {
	r.classes = append(r.classes, c)
	c.runners++
}

// forget takes a class away that has no tasks left.
func (p *profile) forget(c *class) {
	i, ok := p.reachAt(c.line)
	if !ok {
		return
	}
	r := &p.reach[i]
	if r.classes = without(r.classes, c); len(r.classes) == 0 {
		p.reach = slices.Delete(p.reach, i, i+1)
	}
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

func labelKey(ls []Label) string {
	var b strings.Builder
	for _, l := range ls {
		b.WriteString(l.Key + "=" + l.Value + "\n")
	}
	return b.String()
}

func (m *Machine) newProfile(key string, labels []Label, queues []string) *profile {
	p := &profile{key: key, labels: map[string]string{}, queues: map[string]bool{}}
	for _, l := range labels {
		p.labels[l.Key] = l.Value
	}
	for _, q := range queues {
		p.queues[q] = true
	}
	for _, l := range m.lines[1:] {
		for _, c := range l.classes {
			if p.fits(c) {
				p.reachFor(l).add(c)
			}
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
	m.profiles = without(m.profiles, p)
	m.idle = without(m.idle, p)
	for i := range p.reach {
		for _, c := range p.reach[i].classes {
			if c.runners--; c.runners == 0 && c.line.settings.Budget.Set {
				m.stirLine(c.line) // the budget is not kept for it any more
			}
		}
	}
}
