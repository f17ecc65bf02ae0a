package ledgertest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Maker makes the batches of a coordinator that does not exist: valid, and the same for the
// same seed. Model is what they fold to.
type Maker struct {
	Model *Model
	rng   *rand.Rand
	b     *queue.Batch
	now   queue.Instant
	dirty map[string]bool
	spent map[queue.SpendKey]bool
	freed []string // ids of tasks that were pruned in batches before
	// Payload and Result are the sizes of what tasks carry, at most.
	Payload, Result int
}

// firstInstant is where a Maker's time starts: some day in 2025.
const firstInstant queue.Instant = 1_750_000_000_000_000

// NewMaker starts from an empty ledger.
func NewMaker(seed uint64) *Maker {
	return &Maker{
		Model: NewModel(), rng: rand.New(rand.NewPCG(seed, 1)), now: firstInstant,
		Payload: 200, Result: 300,
	}
}

// Begin starts a batch.
func (m *Maker) Begin() {
	m.now += queue.Instant(m.rng.IntN(2_000_000))
	m.b = &queue.Batch{Head: m.Model.Head}
	m.b.Head.Batch++
	m.b.Head.Now = m.now
	m.dirty, m.spent = make(map[string]bool), make(map[queue.SpendKey]bool)
}

// End gives the batch and folds it into the model.
func (m *Maker) End() *queue.Batch {
	for _, name := range slices.Sorted(maps.Keys(m.dirty)) {
		m.b.Queues = append(m.b.Queues, m.Model.Queues[name])
	}
	for _, k := range slices.SortedFunc(maps.Keys(m.spent), compareSpends) {
		m.b.Spends = append(m.b.Spends, m.Model.Spends[k])
	}
	for _, p := range m.b.Prune {
		m.freed = append(m.freed, p.ID)
	}
	m.Model.Apply(m.b)
	return m.b
}

// queue is a queue as it stands, or a new one.
func (m *Maker) queue(name string) queue.QueueRecord {
	if q, ok := m.Model.Queues[name]; ok {
		return q
	}
	return queue.QueueRecord{Name: name, Settings: queue.Settings{Weight: 1}, Version: 1}
}

// count moves a task of a queue from one state to another; 0: from or to nowhere.
func (m *Maker) count(name string, from, to queue.State) {
	q := m.queue(name)
	switch {
	case from == 0:
		q.Counts.Submitted++
	case to == 0:
		q.Counts.Pruned++
	}
	if from != 0 {
		q.Counts.States[from]--
	}
	if to != 0 {
		q.Counts.States[to]++
	}
	m.Model.Queues[name] = q
	m.dirty[name] = true
}

func (m *Maker) event(kind queue.EventKind, s queue.Serial, id, name string, st *queue.Status, agent string) {
	m.b.Head.Newest++
	m.b.Events = append(m.b.Events, queue.Event{
		Sequence: m.b.Head.Newest, Time: m.now, Kind: kind, Task: id, Serial: s, Queue: name,
		Run: st.Run, Attempt: st.Attempt, Agent: agent,
	})
}

func (m *Maker) bytes(most int) []byte {
	b := make([]byte, m.rng.IntN(most+1))
	for i := range b {
		b[i] = byte('a' + m.rng.IntN(26))
	}
	return b
}

// generation is how many serials are one of the record package's.
const generation queue.Serial = 1 << 20

// age makes the next serial the last of its generation, as if many tasks had come and gone.
func (m *Maker) age() { m.b.Head.NextSerial |= generation - 1 }

// id is a new one, or that of a task that was pruned.
func (m *Maker) id(s queue.Serial) string {
	if n := len(m.freed); n > 0 && m.rng.IntN(3) == 0 {
		id := m.freed[n-1]
		m.freed = m.freed[:n-1]
		return id
	}
	return fmt.Sprintf("task-%c-%d", 'a'+m.rng.IntN(3), s)
}

// Submit makes a task and gives its serial.
func (m *Maker) Submit() queue.Serial {
	s := m.b.Head.NextSerial
	m.b.Head.NextSerial++
	spec := queue.Spec{
		Serial: s, ID: m.id(s), Queue: "default",
		OnFailure: queue.PolicyCancel, AttemptTimeout: 2 * time.Minute,
		Retry:   queue.Retry{MaxAttempts: 3, InitialBackoff: time.Second, MaxBackoff: time.Minute},
		MaxCost: usualMaxCost, Payload: m.bytes(m.Payload),
	}
	spec.Digest[0], spec.Digest[1] = byte(s), byte(s>>8)
	m.vary(&spec)
	st := queue.Status{State: queue.Ready, Run: 1, Create: m.now, Ready: m.now,
		NotBefore: spec.NotBefore, ExpireTime: spec.ExpireTime}
	if spec.NotBefore != 0 {
		st.State, st.Ready = queue.Scheduled, spec.NotBefore
	}
	if len(spec.Parents) > 0 {
		st.State, st.Ready = queue.Blocked, 0
	}
	m.b.Specs = append(m.b.Specs, spec)
	m.b.Live = append(m.b.Live, queue.Live{
		Serial: s, ID: spec.ID, Digest: spec.Digest, Queue: spec.Queue, Priority: spec.Priority,
		Parents: spec.Parents, OnFailure: spec.OnFailure, AttemptTimeout: spec.AttemptTimeout,
		Retry: spec.Retry, Requires: spec.Requires, MaxCost: spec.MaxCost,
		FairnessKey: spec.FairnessKey, ConcurrencyKey: spec.ConcurrencyKey, Status: st,
	})
	m.count(spec.Queue, 0, st.State)
	m.event(queue.EventSubmitted, s, spec.ID, spec.Queue, &st, "")
	return s
}

// requires are what tasks of a Maker may require.
var requires = [][]queue.Requirement{
	{{Key: "gpu", Op: queue.In, Values: []string{"true"}}},
	{{Key: "gpu", Op: queue.In, Values: []string{"true"}}, {Key: "region", Op: queue.In, Values: []string{"eu"}}},
	{{Key: "region", Op: queue.In, Values: []string{"eu", "us"}}, {Key: "spot", Op: queue.Absent}},
	{{Key: "gpu", Op: queue.Exists}, {Key: "region", Op: queue.NotIn, Values: []string{"mars"}}},
}

// vary gives some tasks what most do not have.
func (m *Maker) vary(s *queue.Spec) {
	one := func(in int) bool { return m.rng.IntN(in) == 0 }
	if one(3) {
		s.Queue = fmt.Sprintf("queue-%d", m.rng.IntN(3))
	}
	if one(4) {
		s.Priority = int32(m.rng.IntN(201)) - 100
	}
	if one(4) {
		s.Labels = []queue.Label{{Key: "team", Value: string(rune('a' + m.rng.IntN(3)))}, {Key: "tier", Value: "x"}}
	}
	if one(5) {
		s.Requires = requires[m.rng.IntN(len(requires))]
	}
	if one(5) {
		s.MaxCost = queue.Micros(m.rng.IntN(3)) * 2_500_000
	}
	if one(4) {
		s.FairnessKey = fmt.Sprintf("tenant/%d", m.rng.IntN(4))
	}
	if one(6) {
		s.ConcurrencyKey = fmt.Sprintf("customer@%d", m.rng.IntN(4))
	}
	if one(6) {
		s.NotBefore = m.now + queue.Instant(m.rng.IntN(60_000_000)+1)
	}
	if one(6) {
		s.ExpireTime = m.now + 3_600_000_000
	}
	if one(8) {
		s.OnFailure, s.AttemptTimeout = queue.PolicyWait, time.Second
		s.Retry = queue.Retry{MaxAttempts: 1, Unknown: queue.UnknownRetry}
	}
	if one(8) && s.NotBefore == 0 {
		for p := max(10, s.Serial) - 9; p < s.Serial && len(s.Parents) < 3; p++ {
			if l, ok := m.Model.Live[p]; ok {
				s.Parents, s.DependsOn = append(s.Parents, p), append(s.DependsOn, l.ID)
			}
		}
	}
}
