package queue

// PeriodSpend is what a queue's attempts cost in its budget's present period.
type PeriodSpend struct {
	Period  Instant // its start; 0 for PeriodTotal
	Settled Micros
	Overrun Micros // what attempts cost beyond what was set aside for them, within Settled
}

// SpendBy says whose spend a row counts.
type SpendBy uint8

// The groups of spend.
const (
	ByQueue SpendBy = iota + 1
	ByAgent
	ByFairnessKey
)

// SpendKey names a row of spend. Rows are in order of By, Queue and Name.
type SpendKey struct {
	Queue string
	By    SpendBy
	Name  string // the agent or fairness key; empty for ByQueue
}

// SpendRecord is a row of spend: totals over all time. Attempts are those that ended and had a
// reservation or stated a cost.
type SpendRecord struct {
	Queue    string
	By       SpendBy
	Name     string
	Spent    Micros
	Attempts int64
}

// Key names the row.
func (r *SpendRecord) Key() SpendKey { return SpendKey{r.Queue, r.By, r.Name} }

// RestoreSpend takes one stored row of spend; after the queues.
func (m *Machine) RestoreSpend(r SpendRecord) {}

// Spend gives up to limit rows of one group after the given one, by queue and name; of all
// queues if queue is empty. The row of ByAgent or ByFairnessKey without a name is what no other
// row of its queue has.
func (m *Machine) Spend(queue string, by SpendBy, after SpendKey, limit int) []SpendRecord {
	return nil
}
