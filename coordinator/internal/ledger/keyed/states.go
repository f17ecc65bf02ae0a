package keyed

import (
	"cmp"
	"context"
	"slices"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// states reads the live or terminal records of serials. Those of tasks that ended together, or were
// submitted together, lie beside each other, and are read like specs.
func (r *reader) states(ctx context.Context, serials []queue.Serial, result bool) (found []*ledger.Task, err error) {
	found = make([]*ledger.Task, len(serials))
	order := make([]int, len(serials))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(serials[a], serials[b]) })
	least, most := serials[order[0]], serials[order[len(order)-1]]
	if len(serials) < manyKeys || uint64(most-least) > nearby*uint64(len(serials)) {
		for i, s := range serials {
			if found[i], err = r.stateAlone(ctx, s, result); err != nil {
				return nil, err
			}
		}
		return found, nil
	}
	live, err := r.across(record.KindLive, least, most)
	if err != nil {
		return nil, err
	}
	defer func() { err = firstOf(err, live.close()) }()
	ended, err := r.across(record.KindTerminal, least, most)
	if err != nil {
		return nil, err
	}
	defer func() { err = firstOf(err, ended.close()) }()
	for _, i := range order {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if found[i], err = r.stateAt(live, ended, serials[i], result); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (r *reader) stateAlone(ctx context.Context, s queue.Serial, result bool) (*ledger.Task, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t := new(ledger.Task)
	if ok, err := r.state(s, result, t); err != nil || !ok {
		return nil, err
	}
	return t, nil
}

// stateAt reads the record of a serial that either of two walks comes to; neither: nil.
func (r *reader) stateAt(live, ended *walk, s queue.Serial, result bool) (*ledger.Task, error) {
	for _, w := range []*walk{live, ended} {
		if err := w.ahead(s); err != nil {
			return nil, err
		}
		if s == 0 || w.serial != s {
			continue
		}
		val, err := w.it.ValueAndErr()
		if err != nil {
			return nil, err
		}
		t := new(ledger.Task)
		if w == live {
			t.Live = new(queue.Live)
			return t, record.DecodeLive(w.it.Key(), val, r.names, t.Live)
		}
		t.Terminal = new(queue.Terminal)
		return t, record.DecodeTerminal(w.it.Key(), val, result, r.names, t.Terminal)
	}
	return nil, nil
}

// across is a walk upwards from one serial to another; it stands nowhere at first.
func (r *reader) across(k record.Kind, least, most queue.Serial) (*walk, error) {
	it, err := r.v.Iter(record.AppendSerialKey(nil, k, least), record.AppendSerialKey(nil, k, most+1))
	if err != nil {
		return nil, err
	}
	return &walk{kind: k, it: it}, nil
}
