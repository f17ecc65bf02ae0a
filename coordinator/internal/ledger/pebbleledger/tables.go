package pebbleledger

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/ledger/keyed"
)

// tables reads the tables of a database one by one, each as a file of its own.
type tables struct {
	ctx      context.Context
	at       vfs.FS
	dir      string
	o        *pebble.Options
	r        *Report
	progress func(done, total int64)
}

// all reads all tables; what is wrong goes into the report.
func (t *tables) all(db *pebble.DB) error {
	levels, err := db.SSTables()
	if err != nil {
		return fmt.Errorf("pebbleledger: list tables: %w", explain(err))
	}
	paths, total := []string{}, int64(0)
	seen := make(map[string]bool)
	for _, level := range levels {
		for _, i := range level {
			path := t.at.PathJoin(t.dir, fmt.Sprintf("%s.sst", i.BackingSSTNum))
			if seen[path] {
				continue
			}
			seen[path] = true
			paths = append(paths, path)
			if info, err := t.at.Stat(path); err == nil {
				total += info.Size()
			}
		}
	}
	t.progress(0, total)
	for _, path := range paths {
		if err := t.ctx.Err(); err != nil {
			return err
		}
		size, err := t.one(path)
		if err != nil {
			t.r.fault(fmt.Errorf("pebbleledger: table %q: %w", path, explain(err)))
		}
		t.r.Tables++
		t.r.Bytes += size
		t.progress(t.r.Bytes, total)
	}
	return nil
}

// one reads every block of a table, and every record, whether newer ones hide it or not.
func (t *tables) one(path string) (size int64, err error) {
	f, err := t.at.Open(path)
	if err != nil {
		return 0, err
	}
	if info, err := f.Stat(); err == nil {
		size = info.Size()
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		_ = f.Close()
		return size, err
	}
	r, err := sstable.NewReader(t.ctx, readable, t.o.MakeReaderOptions())
	if err != nil {
		_ = readable.Close()
		return size, err
	}
	defer func() {
		if cerr := r.Close(); err == nil {
			err = cerr
		}
	}()
	if err := r.ValidateBlockChecksums(); err != nil {
		return size, err
	}
	return size, t.records(path, r)
}

func (t *tables) records(path string, r *sstable.Reader) (err error) {
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = cerr
		}
	}()
	for kv := it.First(); kv != nil; kv = it.Next() {
		switch kv.Kind() {
		case pebble.InternalKeyKindSet, pebble.InternalKeyKindSetWithDelete:
			value, _, err := kv.Value(nil)
			if err != nil {
				return err
			}
			t.r.Records++
			if err := keyed.Decode(kv.K.UserKey, value); err != nil {
				t.r.fault(fmt.Errorf("pebbleledger: table %q: %w", path, err))
			}
		}
	}
	return it.Error()
}
