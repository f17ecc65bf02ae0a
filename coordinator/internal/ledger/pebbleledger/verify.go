package pebbleledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/keyed"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

// maxFaults bounds what a report lists; all are counted.
const maxFaults = 100

// Report is what Verify found.
type Report struct {
	Dir     string // absolute
	ID      string // of the ledger
	Head    uint64 // number of the newest batch
	Tables  int    // files read block by block
	Bytes   int64  // in them
	Records int64  // in them, older versions included
	Census  keyed.Census
	Faults  []error // the first ones
	Faulty  int     // how many there are
}

func (r *Report) fault(err error) {
	r.Faulty++
	if len(r.Faults) < maxFaults {
		r.Faults = append(r.Faults, explain(err))
	}
}

// Progress is told how much of what is done, and how much there is in all.
type Progress func(what string, done, total int64)

// of gives what tells the progress of one thing.
func (p Progress) of(what string) func(done, total int64) {
	return func(done, total int64) {
		if p != nil {
			p(what, done, total)
		}
	}
}

// Verify reads all of the ledger in a folder: each block of each table and of the logs, with
// its checksum, and each record, which it decodes and holds against the others. It changes
// nothing. progress, if not nil, is told what is done and how much there is in all: first bytes of tables,
// then tasks. ErrLocked: a coordinator runs on it. ErrCorrupt, ErrFormat: faults were found;
// the report has them, and as much of the rest as could be read.
func Verify(ctx context.Context, dir string, log *slog.Logger, progress Progress) (Report, error) {
	return verify(ctx, Options{Dir: dir, Logger: log}, progress)
}

func verify(ctx context.Context, o Options, progress Progress) (r Report, err error) {
	l := New(o)
	at, dir, err := l.o.place()
	if err != nil {
		return r, fmt.Errorf("pebbleledger: folder %q: %w", o.Dir, err)
	}
	r.Dir = dir
	if _, err := at.Stat(dir); err != nil {
		return r, fmt.Errorf("pebbleledger: folder %q: %w", dir, err)
	}
	lock, err := takeLock(at, dir)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := checkFolder(at, dir); err != nil {
		return r, err
	}
	if err := checkTail(at, dir); err != nil {
		return r, err
	}
	// A fault in the background is found by reading too; it must not end the process.
	p := l.o.pebbleOptions(l.failure, lock)
	p.ReadOnly = true
	p.DisableTableStats = true // nothing is merged
	p.EventListener = &pebble.EventListener{
		BackgroundError: func(err error) { l.o.Logger.Error("ledger trouble", "error", err) },
		DataCorruption:  func(i pebble.DataCorruptionInfo) { l.o.Logger.Error("ledger data corrupt", "file", i.Path) },
	}
	p.EnsureDefaults()
	db, err := pebble.Open(dir, p)
	if err != nil {
		return r, fmt.Errorf("pebbleledger: open folder %q: %w", dir, explain(err))
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	t := tables{ctx: ctx, at: at, dir: dir, o: p, r: &r, progress: progress.of("bytes")}
	if err := t.all(db); err != nil {
		return r, err
	}
	if err := r.records(ctx, db, progress.of("tasks")); err != nil {
		return r, err
	}
	if r.Faulty > 0 {
		return r, fmt.Errorf("pebbleledger: folder %q: %d faults, the first: %w", dir, r.Faulty, r.Faults[0])
	}
	return r, nil
}

var errOlder = fmt.Errorf("pebbleledger: %w: of an older version, and not converted yet; start a coordinator of this version on the folder once, then verify it", ledger.ErrFormat)

// unconverted tells of a ledger that its first start has to convert before it can be read.
func (r *Report) unconverted(db *pebble.DB, v view) bool {
	switch old, err := hasOld(db); {
	case err != nil:
		r.fault(err)
	case old:
		r.fault(errOlder) // the conversion was broken off
		return true
	}
	_, ok, err := v.Get(record.AppendKind(nil, record.KindIndexed), nil)
	if err == nil && !ok {
		err = fmt.Errorf("pebbleledger: nothing says how far the index goes: %w", ledger.ErrCorrupt)
	}
	if err != nil {
		r.fault(err)
	}
	return false
}

// records checks the ledger as its readers see it.
func (r *Report) records(ctx context.Context, db *pebble.DB, progress func(done, total int64)) error {
	s := db.NewSnapshot()
	defer func() { _ = s.Close() }() // of a read-only database
	v := view{r: s}
	key := record.AppendKind(nil, record.KindMeta)
	switch value, ok, err := v.Get(key, nil); {
	case err != nil:
		r.fault(err)
	case !ok:
		r.fault(fmt.Errorf("pebbleledger: no identity: %w", ledger.ErrCorrupt))
	default:
		id, err := record.DecodeMeta(key, value)
		if err != nil {
			r.fault(err)
		}
		r.ID = id.ID
		if err == nil && !bytes.Equal(record.AppendMeta(nil, &id), value) {
			r.fault(errOlder)
			return nil
		}
	}
	if r.unconverted(db, v) {
		return nil
	}
	var err error
	r.Census, err = keyed.Check(ctx, v, r.fault, progress)
	r.Head = r.Census.Head.Batch
	return err
}
