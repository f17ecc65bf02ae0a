package keyed

import (
	"slices"
	"strings"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// sum is what some attempts have cost.
type sum struct {
	spent    queue.Micros
	attempts int64
}

// sums are those of a queue: in all, of all its agents, and of all its fairness keys.
type sums [queue.ByFairnessKey + 1]sum

func (c *checker) spend(key, value []byte) error {
	var p queue.SpendRecord
	if err := record.DecodeSpend(key, value, c.names, &p); err != nil {
		return err
	}
	c.Spends++
	s := c.spent[p.Queue]
	if s == nil {
		s = new(sums)
		c.spent[p.Queue] = s
	}
	s[p.By].spent += p.Spent
	s[p.By].attempts += p.Attempts
	return nil
}

// spends holds what was spent against the queues and against itself: what agents or fairness
// keys have cost is part of what their queue has.
func (c *checker) spends() {
	for name, s := range c.spent {
		if _, ok := slices.BinarySearchFunc(c.stored, name, func(q queue.QueueRecord, name string) int {
			return strings.Compare(q.Name, name)
		}); !ok {
			c.fault(wrong("spend of queue %q, which is not there", name))
			continue
		}
		all := s[queue.ByQueue]
		for by, what := range map[queue.SpendBy]string{queue.ByAgent: "agents", queue.ByFairnessKey: "fairness keys"} {
			if part := s[by]; part.spent > all.spent || part.attempts > all.attempts {
				c.fault(wrong("queue %q has spent %d in %d attempts, but its %s %d in %d",
					name, all.spent, all.attempts, what, part.spent, part.attempts))
			}
		}
	}
}
