package queue

import (
	"hash/maphash"
	"time"
)

// Config is the machine's own settings; all but Offline must be set.
type Config struct {
	LeaseTTL     time.Duration // shortest lease of a session
	GrantTimeout time.Duration // an unconfirmed session grant goes back after it
	MaxLive      int           // tasks that are not terminal
	Offline      bool          // nobody is served, so that nobody could extend a lease: the clocks of those restored do not run
}

// cascadeBound is the number of dependents that one step settles, so that a parent with a
// million children does not hold up everybody else.
const cascadeBound = 1000

// sessionShare is what each session adds to the lease length, so that the heartbeats of
// many agents stay below a thousand a second.
const sessionShare = 3 * time.Millisecond

// DefaultQueue exists in every ledger.
const DefaultQueue = "default"

// Machine is the pure state machine. It is not safe for concurrent use.
type Machine struct {
	cfg  Config
	head Head

	// Times of the present step. mono is elapsed less all stalls; deadlines of leases,
	// sessions and waits are told in it.
	now     Instant
	elapsed time.Duration
	stalled time.Duration
	mono    time.Duration
	quiet   bool // no more grants

	tasks      tasks
	terms      intern[terms]
	hashes     []uint64 // of the ids of the call that is taken
	seen       shard    // of them, to find an id that stands twice
	edges      slab[edge]
	kids       map[Serial]kids
	leases     slab[lease]
	agents     map[string]*agent
	byStream   map[StreamID]*agent
	byNumber   map[uint64]*agent
	agentsMade uint64
	streams    int
	requests   map[requestKey][]uint32
	waiters    []*waiter

	lines        []*line // from 1
	lineByName   map[string]*line
	classByKey   map[classKey]*class
	spareClasses []*class
	labelSets    map[string]int
	lanes        []*lane // from 1
	freeLanes    []uint32
	fairs        []*fairKey // from 1
	fairByID     map[fairID]*fairKey
	freeFairs    []uint32
	gates        []*gate // from 1
	gateByID     map[gateID]uint32
	freeGates    []uint32
	agentRows    int // of spend
	fairnessRows int
	profiles     []*profile
	profileByKey map[string]*profile

	scheduled  heap             // SCHEDULED, by ready time
	expiring   heap             // not terminal, by expire_time
	grantTimes heap             // leases that must be confirmed by their deadline, by that
	leaseTimes heap             // all others whose clock runs, by deadline
	silences   heap             // sessions, by when they count as silent
	drainTimes heap             // drained agents, by when what they hold is released
	unreleased fifo[unreleased] // in order of batch

	rateTimes   heap // queues that wait for their rate, by elapsed time
	periodTimes heap // queues that wait for a period of their budget, by its start

	stirred []*class   // classes that may grant what they could not before
	turns   []stirred  // room for matchStirred
	seats   []*line    // room for seatAll
	wanting []*profile // profiles with new takers
	idle    []*profile // profiles with takers

	cascade []settling // parents whose dependents are to be settled
	stubs   fifo[stub] // tasks that became terminal, until every look-up has seen it
	past    map[AttemptKey]pastAttempt
	pasts   fifo[pastKey]
	gone    map[Serial]uint64 // pruned, and in which batch
	goners  fifo[gonerSerial]

	live       int
	batch      *Batch
	spare      []*Batch
	dirty      []uint32
	dirtyLines []*line
	dirtyRows  []*spendRow
	out        Effects
	outAt      map[StreamID]int

	readyHolds, scheduledHolds, expireHolds, grantHolds, leaseHolds, silenceHolds, drainHolds, rateHolds, periodHolds func(heapItem) bool
}

type stub struct {
	batch  uint64
	handle uint32
	run    int32 // that ended in this batch
	serial Serial
}

// pastAttempt is an attempt as the batch stored it that wrote it last.
type pastAttempt struct {
	batch uint64
	Attempt
}

type pastKey struct {
	batch uint64
	key   AttemptKey
}

type gonerSerial struct {
	batch  uint64
	serial Serial
}

// New gives a machine without tasks. Fill it with Restore…, then call Activate once.
func New(c Config) *Machine {
	m := &Machine{
		cfg: c, head: Head{NextSerial: 1, Oldest: 1},
		kids: map[Serial]kids{}, agents: map[string]*agent{}, byStream: map[StreamID]*agent{}, byNumber: map[uint64]*agent{},
		requests: map[requestKey][]uint32{}, lines: make([]*line, 1), lineByName: map[string]*line{},
		classByKey: map[classKey]*class{}, labelSets: map[string]int{}, lanes: make([]*lane, 1),
		fairs: make([]*fairKey, 1), fairByID: map[fairID]*fairKey{}, gates: make([]*gate, 1), gateByID: map[gateID]uint32{},
		profileByKey: map[string]*profile{}, past: map[AttemptKey]pastAttempt{}, gone: map[Serial]uint64{},
		outAt: map[StreamID]int{},
	}
	m.tasks.seed = maphash.MakeSeed()
	m.line(DefaultQueue)
	m.readyHolds = func(it heapItem) bool {
		t := m.tasks.at(it.handle)
		return t.serial == Serial(it.serial) && t.state == Ready && t.order() == it.key && !m.overdue(t)
	}
	m.scheduledHolds = func(it heapItem) bool {
		t := m.tasks.at(it.handle)
		return t.serial == Serial(it.serial) && t.state == Scheduled && int64(t.ready) == it.key
	}
	m.expireHolds = func(it heapItem) bool {
		t := m.tasks.at(it.handle)
		return t.serial == Serial(it.serial) && !t.state.Terminal() && int64(t.expire) == it.key
	}
	m.grantHolds = func(it heapItem) bool { return m.timed(it, &m.grantTimes) }
	m.leaseHolds = func(it heapItem) bool { return m.timed(it, &m.leaseTimes) }
	m.silenceHolds = func(it heapItem) bool { return m.byNumber[it.serial] != nil }
	m.drainHolds = func(it heapItem) bool {
		a := m.byNumber[it.serial]
		return a != nil && a.drainDue && int64(a.drainBy) == it.key
	}
	m.rateHolds = func(it heapItem) bool { return m.lines[it.serial].rateAt == it.key }
	m.periodHolds = func(it heapItem) bool { return m.lines[it.serial].rollAt == it.key }
	return m
}

// Step advances to the input's times, takes its commands in order, then grants. Deadlines of
// leases and sessions are looked at after the commands: what has arrived counts (L6).
func (m *Machine) Step(in Input) Effects {
	m.advance(in)
	m.popScheduled()
	m.popExpiring()
	m.popWakes()
	for _, c := range in.Commands {
		m.apply(c)
	}
	m.popLeases()
	m.popSilences()
	m.popDrains()
	m.settleKids()
	m.match()
	m.popWaiters()
	return m.effects()
}

// advance takes the times of a step. A gap of more than a third of the lease length means
// that the coordinator itself slept: it is added to every lease and session deadline (L7).
func (m *Machine) advance(in Input) {
	m.now = max(m.now, in.Now)
	if gap := in.Elapsed - m.elapsed; gap > m.cfg.LeaseTTL/3 && m.clocks() {
		m.stalled += gap
	}
	m.elapsed = max(m.elapsed, in.Elapsed)
	m.mono = m.elapsed - m.stalled
	m.startClocks(in.Released)
	m.forgetEnded(in.Settled)
}

// clocks tells whether any lease, session or wait is being timed.
func (m *Machine) clocks() bool {
	return m.grantTimes.live > 0 || m.leaseTimes.live > 0 || m.streams > 0 || len(m.waiters) > 0 || m.unreleased.len() > 0
}

// forgetEnded drops what ended in batches that every look-up under way has seen.
func (m *Machine) forgetEnded(settled uint64) {
	for m.stubs.len() > 0 && m.stubs.first().batch <= settled {
		s := m.stubs.pop()
		if t := m.tasks.at(s.handle); t.serial == s.serial && t.run == s.run { // else it runs again
			m.removeStub(s.handle, t)
		}
	}
	for m.pasts.len() > 0 && m.pasts.first().batch <= settled {
		if p := m.pasts.pop(); m.past[p.key].batch == p.batch { // else it was written again
			delete(m.past, p.key)
		}
	}
	for m.goners.len() > 0 && m.goners.first().batch <= settled {
		delete(m.gone, m.goners.pop().serial)
	}
}

func (m *Machine) removeStub(h uint32, t *task) {
	if t.lease != 0 {
		m.leases.put(t.lease)
	}
	m.dropFair(m.fairs[t.fair])
	m.tasks.remove(h)
}

func (m *Machine) apply(c Command) {
	switch c := c.(type) {
	case *Submit:
		m.submit(c)
	case *Cancel:
		m.cancel(c)
	case *Rerun:
		m.rerun(c)
	case *ReportLeases:
		m.reportLeases(c)
	case *ReleaseLeases:
		m.releaseLeases(c)
	case *ExtendLeases:
		m.extendLeases(c)
	case *Acquire:
		m.acquire(c)
	case *Abandon:
		m.abandon(c)
	case *Connect:
		m.connect(c)
	case *Message:
		m.message(c)
	case *Disconnect:
		m.disconnect(c)
	case *SetPaused:
		m.setPaused(c)
	case *UpdateQueue:
		m.updateQueue(c)
	case *Drain:
		m.drain(c)
	case *Prune:
		m.prune(c)
	case *Import:
		m.importTasks(c)
	case *Quiesce:
		m.quiesce()
		m.done(c)
	case *Read:
		c.F(m)
		m.done(c)
	}
}

func (m *Machine) done(c Command)    { m.out.Done = append(m.out.Done, c) }
func (m *Machine) missing(c Command) { m.out.Missing = append(m.out.Missing, c) }

// Next is the elapsed time of the nearest deadline, and false if there is none: the caller
// steps again by then. While leases are timed it is never far, so that a stall can be told.
func (m *Machine) Next() (time.Duration, bool) {
	next, some := time.Duration(0), false
	take := func(at time.Duration) {
		if !some || at < next {
			next, some = at, true
		}
	}
	if it, ok := m.scheduled.top(m.scheduledHolds); ok {
		take(m.elapsed + micros(it.key-int64(m.now)))
	}
	if it, ok := m.expiring.top(m.expireHolds); ok {
		take(m.elapsed + micros(it.key-int64(m.now)))
	}
	if it, ok := m.nextLease(); ok {
		take(time.Duration(it.key) + m.stalled)
	}
	if it, ok := m.nextSilence(); ok {
		take(time.Duration(it.key) + m.stalled)
	}
	if it, ok := m.drainTimes.top(m.drainHolds); ok {
		take(time.Duration(it.key) + m.stalled)
	}
	if it, ok := m.rateTimes.top(m.rateHolds); ok {
		take(time.Duration(it.key))
	}
	if it, ok := m.periodTimes.top(m.periodHolds); ok {
		take(m.elapsed + micros(it.key-int64(m.now)))
	}
	for _, w := range m.waiters {
		take(w.until + m.stalled)
	}
	if m.clocks() {
		take(m.elapsed + m.cfg.LeaseTTL/6)
	}
	return next, some
}

// micros turns a distance of instants into a duration, without overflow.
func micros(d int64) time.Duration {
	const most = int64(time.Hour) * 24 * 365 / 1000
	return time.Duration(min(d, most)) * time.Microsecond
}
