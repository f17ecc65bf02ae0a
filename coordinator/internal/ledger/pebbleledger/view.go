package pebbleledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/keyed"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// view is a keyed.View of a database or of a snapshot of one.
type view struct {
	r     pebble.Reader
	fresh map[string]queue.Serial // ids that the index of the database may not have
	gens  []record.Generation     // of the index, the newest first; nil: not known
}

// Generations is keyed.View's.
func (v view) Generations() ([]record.Generation, error) {
	if v.gens == nil {
		return keyed.Generations(v)
	}
	return v.gens, nil
}

func (v view) Get(key, to []byte) ([]byte, bool, error) {
	value, done, err := v.r.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return to, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	to = append(to, value...)
	return to, true, done.Close()
}

// Serial is keyed.View's. It asks the filters of the lowest level too, which Get does not: an id that is
// not there has to be told from each generation.
func (v view) Serial(id string) (s queue.Serial, ok bool, err error) {
	if s, ok := v.fresh[id]; ok {
		// Fresh may be ahead of the view, which then has no such spec.
		if ok, err := v.has(record.AppendSerialKey(nil, record.KindSpec, s)); ok || err != nil {
			return s, ok, err
		}
	}
	gens, err := v.Generations()
	if err != nil {
		return 0, false, err
	}
	it, err := v.r.NewIter(&pebble.IterOptions{
		LowerBound: record.AppendKind(nil, record.KindIndex), UpperBound: record.AppendKindEnd(nil, record.KindIndex),
		UseL6Filters: true,
	})
	if err != nil {
		return 0, false, err
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	var key []byte
	for _, g := range gens {
		key = record.AppendIndexKey(key[:0], g, id)
		if !it.SeekPrefixGE(key) {
			if err := it.Error(); err != nil {
				return 0, false, err
			}
			continue
		}
		value, err := it.ValueAndErr()
		if err != nil {
			return 0, false, err
		}
		s, err := record.DecodeIndex(key, value)
		return s, err == nil, err
	}
	return 0, false, nil
}

func (v view) has(key []byte) (bool, error) {
	_, done, err := v.r.Get(key)
	if err != nil {
		if errors.Is(err, pebble.ErrNotFound) {
			err = nil
		}
		return false, err
	}
	return true, done.Close()
}

func (v view) Iter(lower, upper []byte) (keyed.Iterator, error) {
	it, err := v.r.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, err
	}
	return it, nil
}

// read runs f on a snapshot, in which these ids are found.
func (l *Ledger) read(what string, ids []string, f func(keyed.View) error) (err error) {
	if l.db == nil {
		return fmt.Errorf("pebbleledger: %s: %w", what, ledger.ErrClosed)
	}
	s, fresh := l.index.snapshot(l.db, ids)
	defer func() {
		if cerr := s.Close(); err == nil {
			err = cerr
		}
	}()
	if err := f(view{s, fresh, l.absent.generations()}); err != nil {
		return fmt.Errorf("pebbleledger: %s of folder %q: %w", what, l.o.Dir, explain(err))
	}
	return nil
}

// Load is ledger.Ledger's.
func (l *Ledger) Load(ctx context.Context, to ledger.Receiver) error {
	return l.read("load", nil, func(v keyed.View) error { return keyed.Load(ctx, v, to) })
}

// Get is ledger.Ledger's.
func (l *Ledger) Get(ctx context.Context, k ledger.Keys) (f ledger.Found, err error) {
	if len(k.IDs) > 0 && l.db != nil {
		var none bool
		if k, none = l.absent.prune(k); none {
			return ledger.Found{IDs: make([]*ledger.Task, len(k.IDs))}, ctx.Err()
		}
	}
	err = l.read("get", k.IDs, func(v keyed.View) error {
		f, err = keyed.Get(ctx, v, k)
		return err
	})
	return f, err
}

// List is ledger.Ledger's.
func (l *Ledger) List(ctx context.Context, q ledger.Query) (p ledger.Page, err error) {
	if q.IDPrefix != "" && l.db != nil {
		if err := l.failure.get(); err != nil {
			return p, err
		}
		if err := l.index.write(l.db); err != nil { // its walk needs all ids
			return p, l.failure.set(err)
		}
	}
	err = l.read("list", nil, func(v keyed.View) error {
		p, err = keyed.List(ctx, v, q)
		return err
	})
	return p, err
}

// Events is ledger.Ledger's.
func (l *Ledger) Events(ctx context.Context, after int64, limit int) (p ledger.EventPage, err error) {
	err = l.read("events", nil, func(v keyed.View) error {
		p, err = keyed.Events(ctx, v, after, limit)
		return err
	})
	return p, err
}
