package pebbleledger

import (
	"cmp"
	"context"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// dropLeftovers deletes the ids of pruned tasks that crashes have left in the index, from all generations below
// that of the oldest spec. No task will ever be in those, so that nothing live can go with them. It gives the
// generations that stay.
func (l *Ledger) dropLeftovers(ctx context.Context, db *pebble.DB, gens []record.Generation) (kept []record.Generation, err error) {
	oldest, err := oldestSpec(db, l.index.below)
	if err != nil {
		return nil, err
	}
	n := 0
	for _, g := range gens {
		if g >= record.GenerationOf(oldest) {
			kept = append(kept, g)
			continue
		}
		dropped, err := dropGeneration(ctx, db, g)
		if n += dropped; err != nil {
			return nil, err
		}
	}
	if n > 0 {
		l.o.Logger.Info("ids of forgotten tasks dropped, which a crash had left", "ids", n)
	}
	return kept, nil
}

// oldestSpec is the lowest serial that has a spec; if none has, that from which on all are still to come.
func oldestSpec(db *pebble.DB, none queue.Serial) (s queue.Serial, err error) {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: record.AppendKind(nil, record.KindSpec), UpperBound: record.AppendKindEnd(nil, record.KindSpec),
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	if !it.First() {
		return none, it.Error()
	}
	return record.SerialOf(it.Key())
}

// dropGeneration deletes what there is of a generation, one by one: a range would be cut at each generation that there
// can be.
func dropGeneration(ctx context.Context, db *pebble.DB, g record.Generation) (n int, err error) {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: record.AppendGeneration(nil, g), UpperBound: record.AppendGenerationEnd(nil, g),
	})
	if err != nil {
		return 0, err
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	for ok := it.First(); ok; {
		if ctx.Err() != nil {
			return n, ctx.Err()
		}
		b := db.NewBatch()
		for range indexChunk {
			if !ok {
				break
			}
			if err := b.Delete(it.Key(), nil); err != nil {
				return n, err
			}
			n++
			ok = it.Next()
		}
		if err := apply(b, pebble.NoSync); err != nil {
			return n, err
		}
	}
	return n, it.Error()
}
