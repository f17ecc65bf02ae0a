package pebbleledger

import (
	"bytes"
	"context"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// convertKeys are converted in one batch at most, and hardly more than convertBytes.
const (
	convertKeys  = 256
	convertBytes = 4 << 20
)

// convert moves the specs of a ledger up to format 2, which lie under their ids, to where they
// lie since. It was marked with the new format before, and says that the index has none of them.
// Broken off, it goes on at the next start: each batch moves some whole.
func convert(ctx context.Context, db *pebble.DB, log *slog.Logger) error {
	for all := 0; ; {
		n, err := convertSome(db)
		if err != nil || n == 0 {
			return err
		}
		if all == 0 || all/convertTell != (all+n)/convertTell {
			log.Warn("ledger of an older format is being converted; older versions cannot read it any more", "tasks", all+n)
		}
		all += n
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// convertTell is how many tasks are converted between two lines of the log.
const convertTell = 100_000

// old gives the bounds of the specs that are still under their ids.
func old() *pebble.IterOptions {
	return &pebble.IterOptions{
		LowerBound: record.AppendKind(nil, record.KindOldSpec), UpperBound: record.AppendKindEnd(nil, record.KindOldSpec),
	}
}

func hasOld(db *pebble.DB) (bool, error) {
	it, err := db.NewIter(old())
	if err != nil {
		return false, err
	}
	return it.First(), it.Close()
}

// convertSome moves the first specs that are still under their ids, and says how many.
func convertSome(db *pebble.DB) (n int, err error) {
	it, err := db.NewIter(old())
	if err != nil {
		return 0, err
	}
	b := db.NewBatch()
	ok := it.First()
	for ; ok && n < convertKeys && b.Len() < convertBytes && err == nil; ok = it.Next() {
		n++
		err = convertOne(b, it)
	}
	if err == nil {
		err = it.Error()
	}
	if err == nil && n > 0 {
		if ok {
			err = b.DeleteRange(old().LowerBound, bytes.Clone(it.Key()), nil)
		} else {
			err = b.DeleteRange(old().LowerBound, old().UpperBound, nil)
		}
	}
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil || n == 0 {
		_ = b.Close()
		return 0, err
	}
	return n, apply(b, pebble.Sync)
}

func convertOne(b *pebble.Batch, it *pebble.Iterator) error {
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	var s queue.Spec
	if err := record.DecodeOldSpec(it.Key(), value, &s); err != nil {
		return err
	}
	return b.Set(record.AppendSerialKey(nil, record.KindSpec, s.Serial), record.AppendSpec(nil, &s), nil)
}
