package keyed

import (
	"context"
	"fmt"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// loadCheck is how many records are read between two looks at the context.
const loadCheck = 1024

// Load is ledger.Ledger's.
func Load(ctx context.Context, v View, to ledger.Receiver) error {
	r := reader{v: v, names: new(record.Names)}
	head, err := r.head()
	if err != nil {
		return err
	}
	if err := to.Head(head); err != nil {
		return err
	}
	if err := r.each(ctx, record.KindQueue, func(key, value []byte) error {
		var q queue.QueueRecord
		if err := record.DecodeQueue(key, value, &q); err != nil {
			return err
		}
		return to.Queue(&q)
	}); err != nil {
		return err
	}
	var p queue.SpendRecord
	if err := r.each(ctx, record.KindSpend, func(key, value []byte) error {
		if err := record.DecodeSpend(key, value, r.names, &p); err != nil {
			return err
		}
		return to.Spend(&p)
	}); err != nil {
		return err
	}
	var l queue.Live
	if err := r.each(ctx, record.KindLive, func(key, value []byte) error {
		if err := record.DecodeLive(key, value, r.names, &l); err != nil {
			return err
		}
		if l.Serial >= head.NextSerial {
			return fmt.Errorf("keyed: task %d, but the next is %d: %w", l.Serial, head.NextSerial, ledger.ErrCorrupt)
		}
		return to.Live(&l)
	}); err != nil {
		return err
	}
	return r.each(ctx, record.KindDeferred, func(key, value []byte) error {
		s, err := record.DecodeDeferred(key, value)
		if err != nil {
			return err
		}
		return to.Deferred(s)
	})
}

func (r *reader) head() (queue.Head, error) {
	var h queue.Head
	val, ok, err := r.get(record.AppendKind(r.key[:0], record.KindHead))
	if err != nil {
		return h, err
	}
	if !ok {
		return h, fmt.Errorf("keyed: no head: %w", ledger.ErrCorrupt)
	}
	return h, record.DecodeHead(r.key, val, &h)
}

// each hands over all records of a kind in the order of their keys.
func (r *reader) each(ctx context.Context, k record.Kind, f func(key, value []byte) error) (err error) {
	it, err := r.iter(k)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, it.Close()) }()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n%loadCheck == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		n++
		val, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		if err := f(it.Key(), val); err != nil {
			return err
		}
	}
	return it.Error()
}
