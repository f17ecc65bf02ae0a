package queue

import (
	"fmt"
	"slices"
	"time"
)

// When to try again after a refusal for lack of room.
const fullRetry = 5 * time.Second

// submit makes tasks, all or none: first every check, then the change.
func (m *Machine) submit(c *Submit) {
	existed, ok, err := m.repeats(c.Tasks, c.Generated, &c.Lookup)
	if !ok {
		m.missing(c)
		return
	}
	defer m.done(c)
	if err == nil && c.NoRoom != nil && slices.Contains(existed, false) {
		err = c.NoRoom
	}
	if err == nil {
		err = m.checkNew(c.Tasks, existed, &c.Lookup)
	}
	if err == nil {
		err = m.checkBudgets(c.Tasks, existed)
	}
	if err != nil {
		c.Err = err
		return
	}
	c.Existed = existed
	made := m.makeAll(c.Tasks, existed, &c.Lookup)
	for _, h := range made {
		m.enter(h, m.tasks.at(h))
	}
	if len(made) == 1 && len(c.Tasks) == 1 && len(c.Tasks[0].DependsOn) == 0 {
		c.Made = m.tasks.at(made[0]).status()
	}
}

// repeats finds the tasks that exist already: before any other check, so that a verbatim
// repeat is answered the same for as long as the task is kept (C3). ok is false if the ledger
// must be asked again.
func (m *Machine) repeats(tasks []Spec, generated []bool, lk *Lookup) (existed []bool, ok bool, err error) {
	existed = make([]bool, len(tasks))
	m.hashIDs(tasks)
	if len(tasks) > 1 {
		if twice := m.repeated(tasks); len(twice) > 0 {
			return nil, true, &Error{Reason: TaskIDRepeated, Names: twice, Detail: "an id may stand in a call only once"}
		}
	}
	var conflicts []string
	for i := range tasks {
		digest, found, again := m.digestOf(tasks[i].ID, m.hashes[i], i < len(generated) && generated[i], lk)
		if again {
			return nil, false, nil
		}
		if existed[i] = found; found && digest != tasks[i].Digest {
			conflicts = append(conflicts, tasks[i].ID)
		}
	}
	if len(conflicts) > 0 {
		return nil, true, &Error{
			Reason: TaskExists, Names: conflicts,
			Detail: "a task of this id exists with other content; choose another id, or send the same content to repeat the call",
		}
	}
	return existed, true, nil
}

// hashIDs takes the hashes of a call's ids, once for all that is done with them.
func (m *Machine) hashIDs(tasks []Spec) {
	m.hashes = m.hashes[:0]
	for i := range tasks {
		m.hashes = append(m.hashes, m.tasks.hash(tasks[i].ID))
	}
}

func (m *Machine) repeated(tasks []Spec) []string {
	m.seen.empty(len(tasks))
	var twice []string
	for i, hash := range m.hashes {
		id := tasks[i].ID
		if m.seen.find(uint32(hash), func(n uint32) bool { return tasks[n-1].ID == id }) == 0 {
			m.seen.insert(indexSlot{uint32(hash), uint32(i + 1)})
		} else if !slices.Contains(twice, id) {
			twice = append(twice, id)
		}
	}
	return twice
}

// digestOf finds the content that an id stands for. again: it was pruned in this very batch.
func (m *Machine) digestOf(id string, hash uint64, generated bool, lk *Lookup) (d Digest, found, again bool) {
	if _, t := m.tasks.findHashed(id, hash); t != nil {
		return t.digest, true, false
	}
	if generated {
		return d, false, false
	}
	k, again := m.knownID(lk, id)
	if k == nil {
		return d, false, again
	}
	return k.Spec.Digest, true, false
}

// knownID finds a task in a look-up by id. again: it was pruned in the batch being built, so
// that its id must not be used in the same one.
func (m *Machine) knownID(lk *Lookup, id string) (k *Known, again bool) {
	if k = lk.find(id); k == nil {
		return nil, false
	}
	if batch, pruned := m.gone[k.Spec.Serial]; pruned {
		return nil, batch == m.number()
	}
	return k, false
}

// checkNew refuses what must not become a task.
func (m *Machine) checkNew(tasks []Spec, existed []bool, lk *Lookup) error {
	fresh := 0
	for i := range tasks {
		if existed[i] {
			continue
		}
		fresh++
		field := func() string { return fmt.Sprintf("tasks[%d].expire_time", i) }
		if e := tasks[i].ExpireTime; e != 0 && e <= m.now {
			return m.notInFuture(field(), e)
		}
		if e := tasks[i].ExpireTime; e != 0 && e <= tasks[i].NotBefore {
			return &Error{Reason: FieldInvalid, Field: field(), Detail: "must lie after not_before; raise it or drop not_before"}
		}
	}
	if fresh == 0 {
		return nil
	}
	if err := m.checkParents(tasks, existed, lk); err != nil {
		return err
	}
	return m.checkRoom(tasks, existed, fresh)
}

// notInFuture refuses an expire_time that has passed, by the coordinator's clock.
func (m *Machine) notInFuture(field string, expire Instant) error {
	return &Error{Reason: FieldInvalid, Field: field, Detail: fmt.Sprintf(
		"is %s, and it is %s here already; give a time in the future or none", expire, m.now)}
}

func (m *Machine) checkRoom(tasks []Spec, existed []bool, fresh int) error {
	if m.live+fresh > m.cfg.MaxLive {
		return &Error{
			Reason: QueueFull, RetryAfter: fullRetry,
			Detail: fmt.Sprintf("%d tasks are not terminal and at most %d may be (--max-live-tasks); repeat when some have ended", m.live, m.cfg.MaxLive),
		}
	}
	if len(m.lines)-1+fresh <= MaxQueues && len(m.labelSets)+fresh <= MaxLabelSets {
		return nil // even if each brought its own
	}
	queues, sets := map[string]bool{}, map[string]bool{}
	for i := range tasks {
		if _, ok := m.lineByName[tasks[i].Queue]; !ok && !existed[i] {
			queues[tasks[i].Queue] = true
		}
		if k := requirementKey(tasks[i].Requires); m.labelSets[k] == 0 && !existed[i] {
			sets[k] = true
		}
	}
	if len(m.lines)-1+len(queues) > MaxQueues {
		return tooManyQueues()
	}
	if len(m.labelSets)+len(sets) > MaxLabelSets {
		return &Error{
			Reason: TooManyLabelSets, RetryAfter: fullRetry,
			Detail: fmt.Sprintf("live tasks require more than %d different sets of labels; repeat when some have ended", MaxLabelSets),
		}
	}
	return nil
}

// makeAll creates the new tasks with their dependencies and gives their handles.
func (m *Machine) makeAll(tasks []Spec, existed []bool, lk *Lookup) []uint32 {
	made := make([]uint32, 0, len(tasks))
	for i := range tasks {
		if !existed[i] {
			made = append(made, m.create(&tasks[i], m.hashes[i]))
		}
	}
	if len(made) > 1 {
		b := m.records()
		b.Specs = slices.Grow(b.Specs, len(made))
	}
	next := 0
	for i := range tasks {
		if !existed[i] {
			m.attachAll(made[next], &tasks[i], lk)
			next++
		}
	}
	for i := range tasks {
		if !existed[i] {
			m.records().Specs = append(m.records().Specs, tasks[i])
		}
	}
	return made
}

// create enters a new task into memory, without state; it sets the spec's serial.
func (m *Machine) create(s *Spec, hash uint64) uint32 {
	s.Serial = m.head.NextSerial
	m.head.NextSerial++
	h, t := m.tasks.addHashed(s.ID, hash, s.Serial)
	t.digest, t.create, t.run = s.Digest, m.now, 1
	t.notBefore, t.expire = s.NotBefore, s.ExpireTime
	m.fill(t, s)
	m.touchLine(m.lineOf(t)).counts.Submitted++
	m.watchExpiry(h, t)
	m.emit(t, Event{Kind: EventSubmitted, Task: s.ID})
	return h
}

// fill puts a task where its spec says it belongs.
func (m *Machine) fill(t *task, s *Spec) {
	l, ok := m.lineByName[s.Queue]
	if !ok {
		l = m.touchLine(m.line(s.Queue))
		m.emit(nil, Event{Kind: EventQueueChanged, Queue: s.Queue, Reason: "made by the first task submitted to it"})
	}
	m.join(t, l, s.FairnessKey, s.ConcurrencyKey, s.Requires)
	t.terms = m.terms.take(terms{s.OnFailure, s.AttemptTimeout, s.Retry, s.MaxCost})
	t.priority = int8(s.Priority)
	m.live++
}

// join gives a task its place in its queue.
func (m *Machine) join(t *task, l *line, fairness, concurrency string, requires []Requirement) {
	f := m.takeFair(l, fairness)
	t.fair, t.gate = f.number, m.takeGate(l, concurrency)
	t.lane = m.takeLane(f, requires)
}

func (m *Machine) attachAll(h uint32, s *Spec, lk *Lookup) {
	if len(s.DependsOn) == 0 {
		return
	}
	s.Parents = make([]Serial, len(s.DependsOn))
	for i, id := range s.DependsOn {
		p, state, found := m.parent(id, lk)
		if !found {
			continue // forgotten before an import: its serial stays 0, which no task has
		}
		s.Parents[i] = p
		m.attach(h, p, state)
	}
}

// parent finds a dependency by id: its serial, and its state if that is terminal, else 0.
func (m *Machine) parent(id string, lk *Lookup) (Serial, State, bool) {
	if _, t := m.tasks.find(id); t != nil {
		return t.serial, terminalOnly(t.state), true
	}
	if k, _ := m.knownID(lk, id); k != nil {
		return k.Spec.Serial, terminalOnly(k.Status.State), true
	}
	return 0, 0, false
}

func terminalOnly(s State) State {
	if s.Terminal() {
		return s
	}
	return 0
}
