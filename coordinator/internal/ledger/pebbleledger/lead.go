package pebbleledger

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/oklog/ulid/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/keyed"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

// explain marks what Pebble reports with the ledger's own errors.
func explain(err error) error {
	switch {
	case err == nil, errors.Is(err, ledger.ErrCorrupt), errors.Is(err, ledger.ErrFormat):
		return err
	case pebble.IsCorruptionError(err), errors.Is(err, pebble.ErrDBNotPristine),
		strings.Contains(err.Error(), "object size mismatch"): // a table that was cut off
		return fmt.Errorf("%w: %w", ledger.ErrCorrupt, err)
	case strings.Contains(err.Error(), "format major version"):
		return fmt.Errorf("%w: %w", ledger.ErrFormat, err)
	}
	return err
}

// Lead is ledger.Ledger's. It may be called once.
func (l *Ledger) Lead(ctx context.Context) (ledger.Identity, error) {
	if err := ctx.Err(); err != nil {
		return ledger.Identity{}, err
	}
	if l.db != nil {
		return ledger.Identity{}, fmt.Errorf("pebbleledger: folder %q: %w", l.o.Dir, ledger.ErrLocked)
	}
	at, dir, err := l.o.place()
	if err != nil {
		return ledger.Identity{}, fmt.Errorf("pebbleledger: folder %q: %w", l.o.Dir, err)
	}
	if err := makeFolder(at, dir); err != nil {
		return ledger.Identity{}, fmt.Errorf("pebbleledger: make folder %q: %w", dir, err)
	}
	lock, err := takeLock(at, dir)
	if err != nil {
		return ledger.Identity{}, err
	}
	id, err := l.open(ctx, at, dir, lock)
	if err != nil {
		_ = lock.Close()
		return ledger.Identity{}, err
	}
	l.lock = lock
	return id, nil
}

// open opens the database under a lock that is held.
func (l *Ledger) open(ctx context.Context, at vfs.FS, dir string, lock *pebble.Lock) (ledger.Identity, error) {
	if err := checkFolder(at, dir); err != nil {
		return ledger.Identity{}, err
	}
	if err := checkTail(at, dir); err != nil {
		return ledger.Identity{}, err
	}
	db, id, created, err := l.openOnce(dir, lock)
	if err == nil && created {
		// The first log of a new database is begun in Pebble's oldest format, which cannot tell
		// a hole from a torn tail: the second is in the newest.
		if err = db.Close(); err == nil {
			db, id, _, err = l.openOnce(dir, lock)
		}
	}
	if err != nil {
		return ledger.Identity{}, err
	}
	if err = l.readIDs(ctx, db); err != nil {
		_ = db.Close()
		return ledger.Identity{}, fmt.Errorf("pebbleledger: index of folder %q: %w", dir, explain(err))
	}
	if err := l.settle.start(db, func(err error) { _ = l.failure.set(err) }); err != nil {
		_ = db.Close()
		return ledger.Identity{}, fmt.Errorf("pebbleledger: tables of folder %q: %w", dir, explain(err))
	}
	l.db = db
	l.absent.fill(db)
	return id, nil
}

// readIDs makes the index and what knows of it ready.
func (l *Ledger) readIDs(ctx context.Context, db *pebble.DB) error {
	if err := convert(ctx, db, l.o.Logger); err != nil {
		return err
	}
	if err := l.index.load(ctx, db, l.o.Logger); err != nil {
		return err
	}
	gens, err := keyed.Generations(view{r: db})
	if err != nil {
		return err
	}
	if gens, err = l.dropLeftovers(ctx, db, gens); err != nil {
		return err
	}
	l.absent.setGens(gens)
	l.absent.addAll(l.index.unwritten())
	return nil
}

func (l *Ledger) openOnce(dir string, lock *pebble.Lock) (db *pebble.DB, id ledger.Identity, created bool, err error) {
	o := l.o.pebbleOptions(l.failure, lock)
	o.Experimental.SpanPolicyFunc = l.settle.apart
	o.EventListener.FlushEnd = func(i pebble.FlushInfo) { l.settle.flushed(i.Output) }
	if db, err = pebble.Open(dir, o); err != nil {
		return nil, id, false, fmt.Errorf("pebbleledger: open folder %q: %w", dir, explain(err))
	}
	if id, created, err = identify(db); err != nil {
		_ = db.Close()
		return nil, id, false, fmt.Errorf("pebbleledger: folder %q: %w", dir, explain(err))
	}
	return db, id, created, nil
}

// identify reads whose ledger it is. An empty database becomes a new ledger; one of an older
// format is marked with this one's; one with records but no identity is corrupt.
func identify(db *pebble.DB) (id ledger.Identity, created bool, err error) {
	v := view{r: db}
	key := record.AppendKind(nil, record.KindMeta)
	value, ok, err := v.Get(key, nil)
	if err != nil {
		return id, false, err
	}
	if ok {
		if id, err = record.DecodeMeta(key, value); err != nil {
			return id, false, err
		}
		return id, false, mark(db, key, value, &id)
	}
	it, err := db.NewIter(nil)
	if err != nil {
		return id, false, err
	}
	some := it.First()
	if err := it.Close(); err != nil {
		return id, false, err
	}
	if some {
		return id, false, fmt.Errorf("records, but no identity: %w", ledger.ErrCorrupt)
	}
	id, err = create(db)
	return id, true, err
}

// mark puts the format of what is written from now on into a ledger of an older one, durably
// and before anything else: an older program then refuses it instead of taking it for damaged.
func mark(db *pebble.DB, key, value []byte, id *ledger.Identity) error {
	now := record.AppendMeta(nil, id)
	if bytes.Equal(now, value) {
		return nil
	}
	b := db.NewBatch()
	if err := b.Set(key, now, nil); err != nil {
		return err
	}
	// A start makes the index anew, from the specs.
	err := b.DeleteRange(record.AppendKind(nil, record.KindOldIndex), record.AppendKindEnd(nil, record.KindOldIndex), nil)
	if err == nil {
		err = setIndexed(b, record.FirstHead().NextSerial)
	}
	if err != nil {
		return err
	}
	return apply(b, pebble.Sync)
}

// create writes the first records, durably.
func create(db *pebble.DB) (ledger.Identity, error) {
	id := ledger.Identity{ID: ulid.Make().String()}
	_, _ = rand.Read(id.Secret[:]) // never fails: crypto/rand ends the program instead
	head := record.FirstHead()
	b := db.NewBatch()
	defer func() { _ = b.Close() }() // gives the buffer back
	if err := b.Set(record.AppendKind(nil, record.KindMeta), record.AppendMeta(nil, &id), nil); err != nil {
		return ledger.Identity{}, err
	}
	if err := b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &head), nil); err != nil {
		return ledger.Identity{}, err
	}
	if err := setIndexed(b, head.NextSerial); err != nil {
		return ledger.Identity{}, err
	}
	return id, b.Commit(pebble.Sync)
}
