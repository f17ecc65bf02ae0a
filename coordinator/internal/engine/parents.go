package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// dependent is a lease whose task depends on others.
type dependent struct {
	at    int // in the leases
	lease queue.LeaseRef
	needs
}

// withParents puts into each lease what became of the tasks that it depends on. A lease of which
// that is more than parentsBytes is taken out; withheld is the report that it is to end with. What
// has completed stays so, and was released before the grant; but a parent that counted as done
// without that may have been retried since, and then it must be durable first (D3).
func (e *Engine) withParents(ctx context.Context, leases []Lease, dependents []dependent) (_ []Lease, withheld []queue.Report, err error) {
	moving := false
	for i := range dependents {
		d := &dependents[i]
		parents, fit, err := e.parentsOf(ctx, d)
		if err != nil {
			return nil, nil, err
		}
		moving = moving || d.policy == queue.PolicyRun
		if !fit {
			withheld = append(withheld, parentsTooLarge(d.lease))
			leases[d.at].ID = ""
			continue
		}
		leases[d.at].Parents = parents
	}
	if moving {
		if err := e.hold(ctx); err != nil {
			return nil, nil, err
		}
	}
	if len(withheld) > 0 {
		leases = slices.DeleteFunc(leases, func(l Lease) bool { return l.ID == "" })
	}
	return leases, withheld, nil
}

// parentsOf reads the tasks that one depends on, some at a time: it stops, and fit is false, when
// they are more than parentsBytes together.
func (e *Engine) parentsOf(ctx context.Context, d *dependent) (parents []Parent, fit bool, err error) {
	size := 0
	for rest := d.by; len(rest) > 0; {
		var some []queue.Serial
		some, rest = split(rest, parentsPerGet)
		found, err := e.ledger.Get(ctx, ledger.Keys{Serials: some, Result: true})
		if err != nil {
			return nil, false, err
		}
		for _, t := range found.Serials {
			p := parentOf(d.on[len(parents)], t)
			if size += len(p.Result) + len(p.Failure.Message); size > parentsBytes {
				return nil, false, nil
			}
			parents = append(parents, p)
		}
	}
	return parents, true, nil
}

func parentOf(id string, t *ledger.Task) Parent {
	switch {
	case t == nil:
		return Parent{ID: id}
	case t.Terminal == nil:
		return Parent{ID: id, State: t.Live.Status.State}
	}
	return Parent{ID: id, State: t.Terminal.Status.State, Result: t.Terminal.Result, Failure: t.Terminal.Failure}
}

// parentsTooLarge is the failure of an attempt that was never handed out, so it has cost nothing.
func parentsTooLarge(l queue.LeaseRef) queue.Report {
	return queue.Report{Lease: l, Failure: queue.Failure{
		Class: queue.ClassResultTooLarge, HasCost: true,
		Message: fmt.Sprintf("the results of the tasks that it depends on have over %d bytes together; "+
			"have those tasks give shorter ones, or depend on fewer", parentsBytes),
	}}
}
