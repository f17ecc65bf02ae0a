package pebbleledger

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// index holds the ids of the newest specs until it writes them into the database: many at a
// time and sorted, so that each lands beside the one before. One by one, each at a random
// place, they cost a commit more than all else in it. Nothing is lost with it: after a start it
// reads the specs behind those that are in the database.
type index struct {
	// turn is held from a batch's first id until the batch is in the database, and while it is
	// decided what to write: ids that are written ahead of their specs, or deleted ahead of their
	// prune, could be all that a crash leaves.
	turn    sync.Mutex
	writing sync.Mutex // one write at a time
	work    sync.WaitGroup

	mu    sync.RWMutex
	fresh map[string]queue.Serial
	stale []indexed               // to be deleted with the next write: their tasks have been pruned
	at    int                     // how many of either are written at once
	taken map[string]queue.Serial // under way into the database
	gone  []indexed               // of them, those that were dropped meanwhile
	spare map[string]queue.Serial // empty, to be fresh next
	below queue.Serial            // all specs below are in fresh, in taken or in the database
	bytes int                     // written by the batches of what is fresh
	due   bool                    // a write has been begun in the background
	err   error                   // none is written after it
}

const (
	// indexAt is the usual at: a second of full load. Each write makes a table of level 0 for each generation
	// that it reaches into.
	indexAt = 64 << 10
	// indexFill is what is written with them at most: a start reads the specs again that the
	// index lacks.
	indexFill = 64 << 20
	// indexChunk is how many of them are in one batch, so that a commit waits little behind it.
	indexChunk = 256
	// indexTell is how many specs a start reads between two lines of the log.
	indexTell = 1 << 20
)

func newIndex() *index {
	return &index{at: indexAt, fresh: make(map[string]queue.Serial), spare: make(map[string]queue.Serial)}
}

// addAll takes the ids of a batch; before it is visible.
func (x *index) addAll(ids []indexed) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range ids {
		x.fresh[ids[i].id] = ids[i].s
		x.below = max(x.below, ids[i].s+1)
	}
}

// unwritten gives the ids that the database may not have.
func (x *index) unwritten() (ids []indexed) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for id, s := range x.fresh {
		ids = append(ids, indexed{id: id, s: s})
	}
	for id, s := range x.taken {
		ids = append(ids, indexed{id: id, s: s})
	}
	return ids
}

// dropAll forgets the ids of serials that a batch has pruned; after it is in the database. What the
// database has of them goes with the next write, so that a flush has ids only if there was one; an entry
// that is under way goes at its end. If a crash comes first, they lead to no spec.
func (x *index) dropAll(ids []indexed) {
	if len(ids) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range ids {
		switch ids[i].s {
		case x.fresh[ids[i].id]:
			delete(x.fresh, ids[i].id)
		case x.taken[ids[i].id]:
			x.gone = append(x.gone, ids[i])
		default:
			x.stale = append(x.stale, ids[i])
		}
	}
}

// full tells, once, that it is time to write; n are the bytes of another batch.
func (x *index) full(n int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.bytes += n
	if x.due || x.bytes < indexFill && max(len(x.fresh), len(x.stale)) < x.at {
		return false
	}
	x.due = true
	return true
}

// snapshot gives the database as it is, and those of the ids that it may not have in its index.
func (x *index) snapshot(db *pebble.DB, ids []string) (*pebble.Snapshot, map[string]queue.Serial) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	// In this order: an id leaves taken only when the database has it.
	s := db.NewSnapshot()
	var found map[string]queue.Serial
	for _, id := range ids {
		n, ok := x.fresh[id]
		if !ok {
			n, ok = x.taken[id]
		}
		if ok {
			if found == nil {
				found = make(map[string]queue.Serial)
			}
			found[id] = n
		}
	}
	return s, found
}

// take moves what is fresh to taken.
func (x *index) take() (changes, error) {
	x.turn.Lock()
	defer x.turn.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.err != nil {
		return changes{}, x.err
	}
	c := changes{x.fresh, x.stale, x.below}
	x.taken, x.fresh, x.spare = x.fresh, x.spare, nil
	x.stale, x.bytes, x.due = nil, 0, false
	return c, nil
}

// write brings the database up to date. It is as durable as what comes after it.
func (x *index) write(db *pebble.DB) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	c, err := x.take()
	if err != nil {
		return err
	}
	err = c.write(db)
	for err == nil {
		gone := x.done()
		if len(gone) == 0 {
			return nil
		}
		err = deleteIndex(db, gone)
	}
	return x.fail(fmt.Errorf("pebbleledger: index of ids: %w", explain(err)))
}

// fail lets no write follow. What is fresh or was taken stays so, for readers.
func (x *index) fail(err error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.err = cmp.Or(x.err, err)
	return x.err
}

// done ends a write, unless some of what it wrote was dropped meanwhile: then it gives these.
func (x *index) done() (gone []indexed) {
	x.turn.Lock()
	defer x.turn.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if gone, x.gone = x.gone, nil; len(gone) > 0 {
		return gone
	}
	clear(x.taken)
	x.taken, x.spare = nil, x.taken
	return nil
}

func deleteIndex(db *pebble.DB, gone []indexed) error {
	b := db.NewBatch()
	for i := range gone {
		if err := b.Delete(gone[i].key(nil), nil); err != nil {
			return err
		}
	}
	return apply(b, pebble.NoSync)
}

// setIndexed says that all specs below a serial are in the index.
func setIndexed(b *pebble.Batch, below queue.Serial) error {
	return b.Set(record.AppendKind(nil, record.KindIndexed), record.AppendIndexed(nil, below), nil)
}

// apply commits b. Pebble panics when the log cannot be written.
func apply(b *pebble.Batch, o *pebble.WriteOptions) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("write of the log: %v", r)
		}
	}()
	if err := b.Commit(o); err != nil {
		return err
	}
	return b.Close()
}

// load reads the ids of the specs that the index in the database has not. If they are many, as of a ledger
// of an older format, it writes them.
func (x *index) load(ctx context.Context, db *pebble.DB, log *slog.Logger) (err error) {
	key := record.AppendKind(nil, record.KindIndexed)
	value, ok, err := view{r: db}.Get(key, nil)
	if err != nil || !ok {
		return cmp.Or(err, fmt.Errorf("nothing says how far the index goes: %w", ledger.ErrCorrupt))
	}
	if x.below, err = record.DecodeIndexed(key, value); err != nil {
		return err
	}
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: record.AppendSerialKey(nil, record.KindSpec, x.below),
		UpperBound: record.AppendKindEnd(nil, record.KindSpec),
	})
	if err != nil {
		return err
	}
	defer func() { err = cmp.Or(err, it.Close()) }()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n%indexChunk == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if n%indexTell == 0 {
			log.Info("reading the ids of tasks that are not in the index", "tasks", n)
		}
		if err := x.loadOne(db, it); err != nil {
			return err
		}
	}
	return it.Error()
}

// loadOne takes the id of the spec that it stands on.
func (x *index) loadOne(db *pebble.DB, it *pebble.Iterator) error {
	s, err := record.SerialOf(it.Key())
	if err != nil {
		return err
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return err
	}
	id, err := record.SpecID(it.Key(), value)
	if err != nil {
		return err
	}
	x.addAll([]indexed{{id: id, s: s}})
	if x.full(0) {
		return x.write(db)
	}
	return nil
}
