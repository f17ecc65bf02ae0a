package transfer

import (
	"context"
	"fmt"
	"slices"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
)

// Check holds a plan against a ledger that somebody leads: which tasks it has already, whether
// its queues have budgets for the others, and whether it has the dependencies that the files lack. A
// nil ledger has nothing. It changes nothing; faults are told by Err, the error is that of a look-up.
func (p *Plan) Check(ctx context.Context, l ledger.Ledger) error {
	own := make([]string, len(p.tasks))
	for i := range p.tasks {
		own[i] = p.tasks[i].Spec.ID
	}
	if err := lookUp(ctx, l, own, func(i int, t *ledger.Task) { p.meet(&p.tasks[i], t) }); err != nil {
		return err
	}
	if err := p.afford(ctx, l); err != nil {
		return err
	}
	others := make([]string, 0, len(p.missing))
	for id := range p.missing {
		others = append(others, id)
	}
	slices.Sort(others)
	return lookUp(ctx, l, others, func(i int, t *ledger.Task) {
		// A file that could not be read to its end may have it.
		if t == nil && !p.reading.broken && !p.reading.faulty[others[i]] {
			p.absent(others[i], p.missing[others[i]])
		}
	})
}

// meet compares a planned task with the one in the ledger, if there is one.
func (p *Plan) meet(t *planned, stored *ledger.Task) {
	switch {
	case stored == nil:
	case stored.Spec.Digest == t.Spec.Digest:
		p.existed[t.Spec.ID] = true
	default:
		p.reading.faults.add(t.at, "%s is %s, and the ledger has a task of this id with other content: give it another id", idPath(t.path), quoted(t.Spec.ID))
	}
}

// lookUp gives each id its task, nil where there is none.
func lookUp(ctx context.Context, l ledger.Ledger, ids []string, found func(i int, t *ledger.Task)) error {
	for from := 0; from < len(ids); from += lookUps {
		some := ids[from:min(from+lookUps, len(ids))]
		tasks := make([]*ledger.Task, len(some))
		if l != nil {
			f, err := l.Get(ctx, ledger.Keys{IDs: some})
			if err != nil {
				return fmt.Errorf("transfer: look up tasks: %w", err)
			}
			tasks = f.IDs
		}
		for i, t := range tasks {
			found(from+i, t)
		}
	}
	return nil
}
