package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// afford notes the tasks to run that reserve more than the whole budget of their queue: they could never
// be granted, and the engine refuses them.
func (p *Plan) afford(ctx context.Context, l ledger.Ledger) error {
	if l == nil {
		return nil
	}
	budgets, err := budgetsOf(ctx, l)
	if err != nil {
		return err
	}
	for i := range p.tasks {
		t := &p.tasks[i]
		s := &t.Spec
		if b, ok := budgets[s.Queue]; ok && b.Below(s.MaxCost) && !t.State.Terminal() && !p.existed[s.ID] {
			p.reading.faults.add(t.at, "%s is %s, and the whole budget of queue %s is %s: lower it, or raise the queue's limit",
				strings.TrimPrefix(t.path+".max_budget", "."), s.MaxCost.USD(), quoted(s.Queue), b.Limit.USD())
		}
	}
	return nil
}

// budgetsOf gives the budgets of the queues that have one.
func budgetsOf(ctx context.Context, l ledger.Ledger) (budgets, error) {
	b := budgets{}
	if err := l.Load(ctx, b); err != nil && !errors.Is(err, errEnough) {
		return nil, fmt.Errorf("transfer: read queues: %w", err)
	}
	return b, nil
}

// budgets are gathered by queue. What a ledger hands over after its queues is not read.
type budgets map[string]queue.Budget

var errEnough = errors.New("transfer: all queues are read")

// Head is part of ledger.Receiver.
func (budgets) Head(queue.Head) error { return nil }

// Queue is part of ledger.Receiver.
func (b budgets) Queue(q *queue.QueueRecord) error {
	if q.Settings.Budget.Set {
		b[strings.Clone(q.Name)] = q.Settings.Budget
	}
	return nil
}

// Spend is part of ledger.Receiver.
func (budgets) Spend(*queue.SpendRecord) error { return errEnough }

// Live is part of ledger.Receiver.
func (budgets) Live(*queue.Live) error { return errEnough }

// Deferred is part of ledger.Receiver.
func (budgets) Deferred(queue.Serial) error { return errEnough }
