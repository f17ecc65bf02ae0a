package keyed

import (
	"cmp"
	"context"
	"slices"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// nearby is how many specs are stepped over rather than sought anew: a step is far cheaper.
const nearby = 8

// specsOf reads the specs of tasks whose states were read; nil ones are none.
func (r *reader) specsOf(ctx context.Context, tasks []*ledger.Task, payload bool) error {
	if len(tasks) >= manyKeys {
		return r.specs(ctx, tasks, payload)
	}
	for _, t := range tasks {
		if t == nil {
			continue
		}
		if err := r.specOf(t, payload); err != nil {
			return err
		}
	}
	return nil
}

// specs reads the specs of tasks whose states were read; nil ones are none. What is granted off a
// backlog comes in the order of its serials: one walk over those that lie beside each other costs a
// fraction of a look-up for each, which has to look into every table that may hold it.
func (r *reader) specs(ctx context.Context, tasks []*ledger.Task, payload bool) (err error) {
	wanted := make([]*ledger.Task, 0, len(tasks))
	for _, t := range tasks {
		if t != nil {
			wanted = append(wanted, t)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	slices.SortFunc(wanted, func(a, b *ledger.Task) int { return cmp.Compare(serialOf(a), serialOf(b)) })
	least, most := serialOf(wanted[0]), serialOf(wanted[len(wanted)-1])
	w, err := r.across(record.KindSpec, least, most)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, w.close()) }()
	for _, t := range wanted {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.ahead(serialOf(t)); err != nil {
			return err
		}
		if err := r.specAt(w, t, payload); err != nil {
			return err
		}
	}
	return nil
}

// ahead moves up to a serial, or to the first above it.
func (w *walk) ahead(s queue.Serial) error {
	if w.over {
		return nil
	}
	for range nearby {
		if w.serial == 0 || w.serial >= s {
			break
		}
		if err := w.stand(w.it.Next()); err != nil {
			return err
		}
	}
	if w.serial >= s {
		return nil
	}
	err := w.stand(w.it.SeekGE(record.AppendSerialKey(nil, w.kind, s)))
	w.over = w.serial == 0
	return err
}

// specAt reads the spec that w should stand on into t.
func (r *reader) specAt(w *walk, t *ledger.Task, payload bool) error {
	if w.serial != serialOf(t) {
		return unspecified(t)
	}
	val, err := w.it.ValueAndErr()
	if err != nil {
		return err
	}
	if err := record.DecodeSpec(w.it.Key(), val, payload, r.names, &t.Spec); err != nil {
		return err
	}
	return sameTask(t)
}
