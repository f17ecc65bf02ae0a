package queue

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// The rows of spend that may exist in all; what is beyond is counted without a name. An agent's
// id or a fairness key is the caller's to choose, and rows are kept for ever.
const (
	MaxAgentRows    = 10_000
	MaxFairnessRows = 100_000
)

// PeriodSpend is what a queue's attempts cost in its budget's present period.
type PeriodSpend struct {
	Period  Instant // its start; 0 for PeriodTotal
	Settled Micros
	Overrun Micros  // what attempts cost beyond what was set aside for them, within Settled
	Since   Instant // from when on attempts are counted, if a change of the budget began in the middle; 0: from the start
}

// late is what a change of what an attempt settled at does to the figures: nothing, if they don't
// hold what is changed. At the very moment that they began it may have settled before or after:
// then only what makes them larger counts (B1).
func (s *PeriodSpend) late(a *Attempt, delta Micros) Micros {
	switch {
	case a.Start < s.Period || a.Finish < s.Since:
		return 0
	case a.Finish == s.Since:
		return max(0, delta)
	}
	return delta
}

// SpendBy says whose spend a row counts.
type SpendBy uint8

// The groups of spend.
const (
	ByQueue SpendBy = iota + 1
	ByAgent
	ByFairnessKey
)

// SpendKey names a row of spend. Rows of a group are in order of Queue and Name.
type SpendKey struct {
	Queue string
	By    SpendBy
	Name  string // the agent or fairness key; empty for ByQueue
}

// SpendRecord is a row of spend: totals over all time. Attempts are those that ended and had a
// reservation or a cost.
type SpendRecord struct {
	Queue    string
	By       SpendBy
	Name     string
	Spent    Micros
	Attempts int64
}

// Key names the row.
func (r *SpendRecord) Key() SpendKey { return SpendKey{r.Queue, r.By, r.Name} }

// queueSpend is the rows of one queue.
type queueSpend struct {
	total  spendRow
	agents map[string]*spendRow
	keys   map[string]*spendRow
}

type spendRow struct {
	key      SpendKey
	spent    Micros
	attempts int64
	dirty    bool
}

func newQueueSpend(queue string) *queueSpend {
	return &queueSpend{total: spendRow{key: SpendKey{queue, ByQueue, ""}}, agents: map[string]*spendRow{}, keys: map[string]*spendRow{}}
}

// row gives a row by name, making it if need be; nil if there are too many, or for no name.
func (m *Machine) row(l *line, by SpendBy, name string) *spendRow {
	rows, made, most := l.rows.agents, &m.agentRows, MaxAgentRows
	switch by {
	case ByQueue:
		return &l.rows.total
	case ByFairnessKey:
		rows, made, most = l.rows.keys, &m.fairnessRows, MaxFairnessRows
	}
	r := rows[name]
	if r == nil && name != "" && *made < most {
		r = &spendRow{key: SpendKey{l.name, by, name}}
		rows[name] = r
		*made++
	}
	return r
}

// countSpend adds to the rows of a queue, an agent and a fairness key.
func (m *Machine) countSpend(l *line, fairness, agent string, cost Micros, attempts int64) {
	m.addSpend(&l.rows.total, cost, attempts)
	m.addSpend(m.row(l, ByAgent, agent), cost, attempts)
	m.addSpend(m.row(l, ByFairnessKey, fairness), cost, attempts)
}

func (m *Machine) addSpend(r *spendRow, cost Micros, attempts int64) {
	if r == nil {
		return
	}
	r.spent += cost
	r.attempts += attempts
	if !r.dirty {
		r.dirty = true
		m.dirtyRows = append(m.dirtyRows, r)
	}
}

func (r *spendRow) record() SpendRecord {
	return SpendRecord{Queue: r.key.Queue, By: r.key.By, Name: r.key.Name, Spent: r.spent, Attempts: r.attempts}
}

// RestoreSpend takes one stored row of spend, after the queues; one of a queue that is not there
// is ErrInconsistent.
func (m *Machine) RestoreSpend(r SpendRecord) error {
	l, ok := m.lineByName[r.Queue]
	if !ok || r.By < ByQueue || r.By > ByFairnessKey {
		return fmt.Errorf("%w: spend of %q in queue %q, group %d", ErrInconsistent, r.Name, r.Queue, r.By)
	}
	row := m.row(l, r.By, r.Name)
	if row == nil {
		return fmt.Errorf("%w: spend of %q in queue %q is one row too many", ErrInconsistent, r.Name, r.Queue)
	}
	row.spent, row.attempts = r.Spent, r.Attempts
	return nil
}

// Spend gives up to limit rows of one group after the given one, of one queue, or of all for an
// empty name. A row of ByAgent or ByFairnessKey without a name is what no other row of its queue
// counts.
func (m *Machine) Spend(queue string, by SpendBy, after SpendKey, limit int) []SpendRecord {
	lines := slices.Clone(m.lines[1:])
	slices.SortFunc(lines, func(a, b *line) int { return strings.Compare(a.name, b.name) })
	var rows []SpendRecord
	for _, l := range lines {
		if queue != "" && l.name != queue || l.name < after.Queue {
			continue
		}
		for _, r := range l.spendRows(by) {
			if len(rows) == limit {
				return rows
			}
			if l.name > after.Queue || r.Name > after.Name {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// spendRows gives all rows of a group, by name.
func (l *line) spendRows(by SpendBy) []SpendRecord {
	rest := l.rows.total.record()
	if rest.Attempts == 0 {
		return nil
	}
	named := l.rows.agents
	switch by {
	case ByQueue:
		return []SpendRecord{rest}
	case ByFairnessKey:
		named = l.rows.keys
	}
	rest.By = by
	rows := make([]SpendRecord, 0, len(named)+1)
	for _, r := range named {
		rows = append(rows, r.record())
		rest.Spent -= r.spent
		rest.Attempts -= r.attempts
	}
	if rest.Attempts != 0 || rest.Spent != 0 {
		rows = append(rows, rest)
	}
	slices.SortFunc(rows, func(a, b SpendRecord) int { return cmp.Compare(a.Name, b.Name) })
	return rows
}
