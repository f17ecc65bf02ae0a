package queue

import "fmt"

// rerun starts a new run of terminal tasks that did not complete, if there is room for all of them.
// Each is looked up: what a new run needs of its spec is not in memory.
func (m *Machine) rerun(c *Rerun) {
	for _, it := range c.Items {
		if m.needsLook(it.ID, &c.Lookup) {
			m.missing(c)
			return
		}
	}
	defer m.done(c)
	again, err := m.chosen(c)
	if err == nil && len(again) > 0 {
		err = m.checkRerunRoom(again, c)
	}
	if err != nil {
		c.Err = err
		return
	}
	for _, k := range again {
		if h, t := m.tasks.find(k.Spec.ID); t != nil {
			m.removeStub(h, t)
		}
		m.revive(k, c)
	}
	c.Changed = len(again)
}

// chosen gives the tasks that a new run is to start for. Those that cannot have one are passed over; if
// nothing else was asked for, it is told why.
func (m *Machine) chosen(c *Rerun) ([]*Known, error) {
	over := c.ExpireTime != 0 && c.ExpireTime <= m.now
	var again []*Known
	seen := make(map[*Known]bool)
	for _, it := range c.Items {
		if _, ended := m.ended(it, &c.Lookup); over && ended { // a repeat that comes late is no fault (C4)
			return nil, m.notInFuture("expire_time", c.ExpireTime)
		}
		k, err := m.mayRerun(it, &c.Lookup)
		if err != nil && len(c.Items) == 1 {
			return nil, err
		}
		if k != nil && !seen[k] {
			seen[k] = true
			again = append(again, k)
		}
	}
	return again, nil
}

func (m *Machine) checkRerunRoom(again []*Known, c *Rerun) error {
	if c.NoRoom != nil {
		return c.NoRoom
	}
	specs := make([]Spec, len(again))
	for i, k := range again {
		specs[i] = k.Spec
	}
	return m.checkRoom(specs, make([]bool, len(specs)), len(specs))
}

// needsLook tells whether the ledger must be asked (again) before a task can be retried: it
// is not held, or it ended after the look-up was made.
func (m *Machine) needsLook(id string, lk *Lookup) bool {
	_, t := m.tasks.find(id)
	if t != nil && (!t.state.Terminal() || t.state == Completed) {
		return false
	}
	if !lk.Looked {
		return true
	}
	k, again := m.knownID(lk, id)
	if t == nil {
		return again || k != nil && !k.Status.State.Terminal()
	}
	return k == nil || !k.Status.State.Terminal() || k.Status.Run != t.run
}

// ended gives the state of a task, 0 if there is none, and whether it is terminal in the run
// that is to be retried.
func (m *Machine) ended(it Choice, lk *Lookup) (State, bool) {
	var state State
	var run int32
	if _, t := m.tasks.find(it.ID); t != nil {
		state, run = t.state, t.run
	} else if k, _ := m.knownID(lk, it.ID); k != nil {
		state, run = k.Status.State, k.Status.Run
	}
	return state, state.Terminal() && (it.Run == 0 || it.Run == run)
}

// mayRerun gives a task if a new run of it may start; neither: there is nothing to do.
func (m *Machine) mayRerun(it Choice, lk *Lookup) (*Known, error) {
	state, ok := m.ended(it, lk)
	switch {
	case state == 0:
		return nil, taskNotFound(it.ID)
	case !ok:
		return nil, nil
	case state == Completed:
		return nil, &Error{
			Reason: TaskCompleted, Names: []string{it.ID},
			Detail: "a task that completed keeps its result; submit a new task to have it done again",
		}
	}
	k, _ := m.knownID(lk, it.ID)
	var absent []string
	for i, p := range k.Spec.Parents {
		if _, ok := m.parentState(p, lk); !ok {
			absent = append(absent, k.Spec.DependsOn[i])
		}
	}
	if len(absent) > 0 {
		return nil, &Error{
			Reason: DependencyNotFound, Names: absent,
			Detail: "they were pruned since, so it cannot be told whether they completed; submit a new task instead",
		}
	}
	if err := m.checkBudget(&k.Spec); err != nil {
		return nil, err
	}
	return k, nil
}

func (m *Machine) parentState(p Serial, lk *Lookup) (State, bool) {
	if _, t := m.tasks.findSerial(p); t != nil {
		return terminalOnly(t.state), true
	}
	if k := m.knownSerial(lk, p); k != nil {
		return terminalOnly(k.Status.State), true
	}
	return 0, false
}

// revive makes a terminal task live again: a new run, attempt numbers going on (L2).
func (m *Machine) revive(k *Known, c *Rerun) {
	s := &k.Spec
	h, t := m.tasks.add(s.ID, s.Serial)
	t.digest, t.create = s.Digest, k.Status.Create
	t.run, t.attempt, t.expire = k.Status.Run+1, k.Status.Attempt, c.ExpireTime
	t.set(flagSpilled, k.Status.Spilled || k.Final.Number != 0 || len(k.Attempts) > 0)
	t.spent = k.Status.Spent
	m.fill(t, s)
	l := m.touchLine(m.lineOf(t))
	l.counts.States[k.Status.State]--
	m.watchExpiry(h, t)
	b := m.records()
	b.DropTerminal = append(b.DropTerminal, s.Serial)
	m.keepFinal(k)
	m.emit(t, Event{Kind: EventRetried, Reason: fmt.Sprintf("run %d after %s", t.run, stateNames[k.Status.State])})
	for _, p := range s.Parents {
		state, _ := m.parentState(p, &c.Lookup)
		m.attach(h, p, state)
	}
	m.reopen(s.Serial)
	m.enter(h, t)
}

// keepFinal stores the attempt that ended the last run on its own, unless a later report has.
func (m *Machine) keepFinal(k *Known) {
	if k.Final.Number == 0 {
		return
	}
	key := AttemptKey{k.Spec.Serial, k.Final.Number}
	if a, ok := m.past[key]; ok {
		m.storeAttempt(key.Serial, a.Attempt)
		return
	}
	for i := range k.Attempts {
		if k.Attempts[i].Number == k.Final.Number {
			return
		}
	}
	m.storeAttempt(key.Serial, k.Final)
}
