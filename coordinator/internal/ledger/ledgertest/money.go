package ledgertest

import (
	"cmp"
	"strings"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// usualMaxCost is what the contract reserves for a task that names no sum.
const usualMaxCost queue.Micros = 100_000

func compareSpends(a, b queue.SpendKey) int {
	return cmp.Or(cmp.Compare(a.By, b.By), strings.Compare(a.Queue, b.Queue), strings.Compare(a.Name, b.Name))
}

// newest is the last event of the batch.
func (m *Maker) newest() *queue.Event { return &m.b.Events[len(m.b.Events)-1] }

// settle adds what an attempt cost to its queue, its agent and its fairness key.
func (m *Maker) settle(name, fairness string, a *queue.Attempt, sum queue.Micros, attempts int64) {
	for _, k := range []queue.SpendKey{
		{Queue: name, By: queue.ByQueue}, {Queue: name, By: queue.ByAgent, Name: a.Agent},
		{Queue: name, By: queue.ByFairnessKey, Name: fairness},
	} {
		r := m.Model.Spends[k]
		r.Queue, r.By, r.Name = k.Queue, k.By, k.Name
		r.Spent += sum
		r.Attempts += attempts
		m.Model.Spends[k] = r
		m.spent[k] = true
	}
	q := m.Model.Queues[name]
	q.Spend.Settled += sum
	q.Spend.Overrun += max(0, sum-a.Reserved)
	m.Model.Queues[name] = q
	m.dirty[name] = true
}

// Late settles the final attempt of a terminal task that its agent had not reported: what it
// cost is told after the end, in a record of its own.
func (m *Maker) Late(s queue.Serial) {
	t, spec := m.Model.Terminal[s], m.Model.Specs[s]
	if t.Final.Number == 0 || t.Final.Settled || m.told(&t) {
		return
	}
	a := t.Final
	a.Reported, a.Settled, a.Cost, a.HasCost = true, true, queue.Micros(m.rng.IntN(1_000_000)), true
	a.Spent = a.Cost
	m.settle(spec.Queue, spec.FairnessKey, &a, a.Spent-t.Final.Spent, 0)
	m.b.Attempts = append(m.b.Attempts, queue.AttemptRecord{Serial: s, Attempt: a})
	m.event(queue.EventSpendSettled, s, spec.ID, spec.Queue, &t.Status, a.Agent)
	m.newest().Cost, m.newest().HasCost = a.Spent, true
}

// told says whether the final attempt of a task was reported after the end.
func (m *Maker) told(t *queue.Terminal) bool {
	_, ok := m.Model.Attempts[queue.AttemptKey{Serial: t.Serial, Number: t.Final.Number}]
	return ok
}

// Update changes the settings of a queue.
func (m *Maker) Update(name string) {
	q := m.queue(name)
	q.Version++
	one := func(in int) bool { return m.rng.IntN(in) == 0 }
	switch m.rng.IntN(6) {
	case 0:
		q.Settings.MaxRunning, q.Settings.KeyLimit = int32(m.rng.IntN(100)), int32(m.rng.IntN(3))
	case 1:
		q.Settings.Rate = queue.Rate{PerSecond: float64(m.rng.IntN(40)) / 4, Burst: 7}
	case 2:
		q.Settings.Weight, q.Settings.StrictFencing = 1+int32(m.rng.IntN(3)), one(2)
	case 3:
		q.Settings.Retry = queue.RetryDefaults{MaxAttempts: int32(m.rng.IntN(5)), Unknown: queue.UnknownRetry}
	case 4:
		q.Settings.Budget = queue.Budget{Set: true, Limit: queue.Micros(m.rng.IntN(9_000_000)), Period: queue.PeriodDay}
		q.Spend = queue.PeriodSpend{Period: m.now}
	default:
		q.Settings, q.Paused = queue.Settings{}, one(2)
	}
	m.Model.Queues[name] = q
	m.dirty[name] = true
	m.b.Head.Newest++
	m.b.Events = append(m.b.Events, queue.Event{Sequence: m.b.Head.Newest, Time: m.now,
		Kind: queue.EventQueueChanged, Queue: name, Reason: "settings"})
}
