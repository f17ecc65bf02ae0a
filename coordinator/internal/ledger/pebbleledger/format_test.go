package pebbleledger_test

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

// TestAnOlderLedgerIsMarked shows that a ledger of the format before is read whole, verified
// without a change, and marked with today's format by the first to lead it.
func TestAnOlderLedgerIsMarked(t *testing.T) {
	path, m := aged(t)
	key := record.AppendKind(nil, record.KindMeta)
	now, err := record.DecodeMeta(key, meta(t, path))
	if err != nil {
		t.Fatal(err)
	}
	old := record.AppendMeta(nil, &now)
	old[1] = record.Format - 1 // behind the version of the record
	raw(t, path, func(b *pebble.Batch) error { return b.Set(key, old, nil) })
	if r, err := verify(t, path); err != nil || r.ID != now.ID {
		t.Fatalf("verify: ledger %q, faults %v, error %v", r.ID, r.Faults, err)
	}
	if got := meta(t, path); !bytes.Equal(got, old) {
		t.Errorf("verify left %x, want %x as it was", got, old)
	}
	l := disk(t, path)
	got, err := ledgertest.Dump(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if d := got.Diff(m.Model); d != "" {
		t.Errorf("read otherwise: %s", d)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := meta(t, path); !bytes.Equal(got, record.AppendMeta(nil, &now)) {
		t.Errorf("marked %x", got)
	}
}

// meta reads the record that says whose ledger it is, behind the ledger's back.
func meta(t *testing.T, path string) (value []byte) {
	t.Helper()
	db, err := pebble.Open(path, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: silent{}, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	v, done, err := db.Get(record.AppendKind(nil, record.KindMeta))
	if err != nil {
		t.Fatal(err)
	}
	value = bytes.Clone(v)
	if err := done.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return value
}
