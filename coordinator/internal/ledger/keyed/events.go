package keyed

import (
	"context"
	"fmt"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Events is ledger.Ledger's.
func Events(ctx context.Context, v View, after int64, limit int) (page ledger.EventPage, err error) {
	r := reader{v: v, names: new(record.Names)}
	head, err := r.head()
	if err != nil {
		return page, err
	}
	page.Oldest, page.Newest = head.Oldest, head.Newest
	next := max(after+1, head.Oldest)
	if next > head.Newest {
		return page, nil
	}
	it, err := r.iter(record.KindEvents)
	if err != nil {
		return page, err
	}
	defer func() { err = firstOf(err, it.Close()) }()
	for ok := it.SeekLT(record.AppendEventsKey(nil, next+1)); ok; ok = it.Next() {
		if err := ctx.Err(); err != nil {
			return page, err
		}
		if page.Events, err = r.pack(it, next, page.Events); err != nil {
			return page, err
		}
		if n := len(page.Events); n > 0 {
			next = page.Events[n-1].Sequence + 1
		}
		if len(page.Events) >= limit || next > head.Newest {
			return page, nil
		}
	}
	if err := it.Error(); err != nil {
		return page, err
	}
	return page, missing(next)
}

// pack appends the events from next on of the pack that it stands on, which must hold next.
func (r *reader) pack(it Iterator, next int64, to []queue.Event) ([]queue.Event, error) {
	first, err := record.FirstEvent(it.Key())
	if err != nil {
		return to, err
	}
	val, err := it.ValueAndErr()
	if err != nil {
		return to, err
	}
	start := len(to)
	to, err = record.DecodeEvents(it.Key(), val, r.names, to)
	if err != nil {
		return to, err
	}
	if first > next || int64(len(to)-start) <= next-first {
		return to, missing(next)
	}
	if skip := int(next - first); skip > 0 {
		to = append(to[:start], to[start+skip:]...)
	}
	return to, nil
}

func missing(sequence int64) error {
	return fmt.Errorf("keyed: event %d is missing: %w", sequence, ledger.ErrCorrupt)
}
