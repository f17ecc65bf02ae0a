package pebbleledger

import (
	"context"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// convertKeys are converted in one batch.
const convertKeys = 256

// convert moves the specs of a ledger up to format 2, which lie under their ids, to where they
// lie since. It was marked with the new format before. Broken off, it goes on at the next start:
// each batch moves some whole.
func convert(ctx context.Context, db *pebble.DB, log *slog.Logger) error {
	switch _, ok, err := (view{r: db}).Get(record.AppendKind(nil, record.KindIndexed), nil); {
	case err != nil:
		return err
	case ok:
		return nil
	}
	var h queue.Head
	key := record.AppendKind(nil, record.KindHead)
	switch value, ok, err := (view{r: db}).Get(key, nil); {
	case err != nil:
		return err
	case ok:
		if err := record.DecodeHead(key, value, &h); err != nil {
			return err
		}
	default:
		return nil // Load says that it is corrupt
	}
	all := 0
	for {
		n, err := convertSome(db)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if all += n; all/convertTell != (all-n)/convertTell {
			log.Info("ledger of an older format is being converted", "tasks", all)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	b := db.NewBatch()
	if err := setIndexed(b, h.NextSerial); err != nil {
		return err
	}
	return apply(b, pebble.Sync)
}

// convertTell is how many tasks are converted between two lines of the log.
const convertTell = 100_000

// convertSome moves the first specs that are still under their ids, and says how many.
func convertSome(db *pebble.DB) (n int, err error) {
	from := record.AppendKind(nil, record.KindOldSpec)
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: record.AppendKindEnd(nil, record.KindOldSpec)})
	if err != nil {
		return 0, err
	}
	b := db.NewBatch()
	ok := it.First()
	for ; ok && n < convertKeys && err == nil; ok = it.Next() {
		n++
		err = convertOne(b, it)
	}
	if err == nil && n > 0 {
		end := record.AppendKindEnd(nil, record.KindOldSpec)
		if ok {
			end = append([]byte(nil), it.Key()...)
		}
		err = b.DeleteRange(from, end, nil)
	}
	if err == nil {
		err = it.Error()
	}
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil || n == 0 {
		_ = b.Close()
		return 0, err
	}
	return n, apply(b, pebble.NoSync)
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
	if err := b.Set(record.AppendSerialKey(nil, record.KindSpec, s.Serial), record.AppendSpec(nil, &s), nil); err != nil {
		return err
	}
	return b.Set(record.AppendIndexKey(nil, s.ID), record.AppendIndex(nil, s.Serial), nil)
}
