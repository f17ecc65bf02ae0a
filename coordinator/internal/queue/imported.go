package queue

import "slices"

// importTasks brings tasks of an older system in, all or none; terminal ones keep their
// result or failure, and those that somebody was at have one attempt to their name.
func (m *Machine) importTasks(c *Import) {
	specs := make([]Spec, len(c.Tasks))
	for i := range c.Tasks {
		specs[i] = c.Tasks[i].Spec
		specs[i].DependsOn = c.Tasks[i].kept()
	}
	existed, ok, err := m.repeats(specs, nil, &c.Lookup)
	if !ok {
		m.missing(c)
		return
	}
	defer m.done(c)
	if err == nil {
		err = m.checkNew(specs, existed, &c.Lookup)
	}
	if err != nil {
		c.Err = err
		return
	}
	if err := m.checkBudgets(specs, c.over(existed)); err != nil {
		c.Err = err
		return
	}
	c.Existed = existed
	for i := range c.Tasks {
		specs[i].DependsOn = c.Tasks[i].Spec.DependsOn
	}
	next, made := 0, m.makeAll(specs, existed, &c.Lookup)
	for i := range c.Tasks {
		if existed[i] {
			continue
		}
		h := made[next]
		next++
		if c.Tasks[i].State.Terminal() {
			m.finishImported(h, m.tasks.at(h), &c.Tasks[i])
		} else {
			m.enter(h, m.tasks.at(h))
		}
	}
}

// over tells which tasks will not wait for a grant: those that were there, and those that have ended.
func (c *Import) over(existed []bool) []bool {
	over := make([]bool, len(existed))
	for i := range c.Tasks {
		over[i] = existed[i] || c.Tasks[i].State.Terminal()
	}
	return over
}

func (m *Machine) finishImported(h uint32, t *task, x *Imported) {
	var a Attempt
	if x.began() {
		a = m.importedAttempt(t, x)
	}
	m.finish(h, t, x.State, x.Failure, a, x.Result)
	last := &m.batch.Terminal[len(m.batch.Terminal)-1]
	if x.Finish != 0 {
		last.Status.Finish = min(x.Finish, m.now) // later, its retention would end after that of its event
	}
}

// began tells whether somebody was at the task. What completed or failed was run, even if nobody
// wrote down by whom.
func (x *Imported) began() bool {
	return x.State == Completed || x.State == Failed || x.Agent != "" || x.Start != 0
}

// importedAttempt gives a task its only attempt, which has ended.
func (m *Machine) importedAttempt(t *task, x *Imported) Attempt {
	t.attempt, t.start = 1, x.Start
	n, l := m.leases.take()
	t.lease = n
	a := Attempt{
		Number: 1, Run: 1, Agent: x.Agent, Start: x.Start, Finish: x.Finish,
		Outcome: OutcomeSucceeded, End: EndReported, Reported: true,
	}
	if x.State != Completed {
		a.Outcome, a.Failure = OutcomeFailed, x.Failure
	}
	l.ended = a
	return a
}

// kept are the dependencies that must be there.
func (x *Imported) kept() []string {
	if len(x.Forgotten) == 0 {
		return x.Spec.DependsOn
	}
	return slices.DeleteFunc(slices.Clone(x.Spec.DependsOn), func(id string) bool { return slices.Contains(x.Forgotten, id) })
}
