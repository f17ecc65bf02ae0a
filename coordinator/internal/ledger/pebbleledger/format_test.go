package pebbleledger_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

// noIndex deletes the entries of the index, but for those that lead to no spec.
func noIndex(b *pebble.Batch, m *ledgertest.Model) (err error) {
	for _, s := range m.Specs {
		err = errors.Join(err, b.Delete(keyOf(s.ID, s.Serial), nil))
	}
	return err
}

// older makes of a ledger's folder what format 2 would have left: specs under their ids, no index.
func older(t *testing.T, path string, m *ledgertest.Model) (meta []byte) {
	t.Helper()
	key := record.AppendKind(nil, record.KindMeta)
	now, err := record.DecodeMeta(key, metaOf(t, path))
	if err != nil {
		t.Fatal(err)
	}
	meta = record.AppendMeta(nil, &now)
	meta[1] = 2 // behind the version of the record
	raw(t, path, func(b *pebble.Batch) error {
		err := errors.Join(b.Set(key, meta, nil), noIndex(b, m))
		for _, k := range []record.Kind{record.KindSpec, record.KindIndexed} {
			err = errors.Join(err, b.DeleteRange(record.AppendKind(nil, k), record.AppendKindEnd(nil, k), nil))
		}
		for _, s := range m.Specs {
			value := record.AppendSpec(nil, &s)
			rest := value[1+1+len(s.ID):] // behind the version and the id, which is short
			value = append(binary.AppendUvarint(bytes.Clone(value[:1]), uint64(s.Serial)), rest...)
			err = errors.Join(err, b.Set(append([]byte{byte(record.KindOldSpec)}, s.ID...), value, nil))
		}
		return err
	})
	return meta
}

// format3 makes of a ledger's folder what format 3 would have left: an index without generations, complete.
func format3(t *testing.T, path string, m *ledgertest.Model) (meta []byte) {
	t.Helper()
	meta = metaOf(t, path)
	meta[1] = 3
	raw(t, path, func(b *pebble.Batch) error {
		err := errors.Join(
			b.Set(record.AppendKind(nil, record.KindMeta), meta, nil),
			noIndex(b, m),
			b.Set(record.AppendKind(nil, record.KindIndexed), record.AppendIndexed(nil, m.Head.NextSerial), nil))
		for _, s := range m.Specs {
			err = errors.Join(err, b.Set(append([]byte{byte(record.KindOldIndex)}, s.ID...), record.AppendIndex(nil, s.Serial), nil))
		}
		return err
	})
	return meta
}

// TestALedgerOfFormat3IsConverted shows the same as TestAnOlderLedgerIsConverted: its index is made anew.
func TestALedgerOfFormat3IsConverted(t *testing.T) {
	path, m := aged(t)
	id, old := metaOf(t, path), format3(t, path, m.Model)
	if _, err := verify(t, path); !errors.Is(err, ledger.ErrFormat) || !strings.Contains(err.Error(), "start a coordinator") {
		t.Fatalf("verify: error %v, want ErrFormat with the remedy", err)
	}
	if got := metaOf(t, path); !bytes.Equal(got, old) {
		t.Errorf("verify left %x, want %x as it was", got, old)
	}
	closeHolding(t, disk(t, path), m.Model)
	if got := metaOf(t, path); !bytes.Equal(got, id) {
		t.Errorf("marked %x, want %x", got, id)
	}
	if r, err := verify(t, path); err != nil || int(r.Census.Specs) != len(m.Model.Specs) {
		t.Errorf("verify: %d specs, faults %v, error %v", r.Census.Specs, r.Faults, err)
	}
}

// TestAnOlderLedgerIsConverted shows that a ledger of the format before becomes one of this, with
// all that it held, by the first to lead it; and that verify tells so and changes nothing.
func TestAnOlderLedgerIsConverted(t *testing.T) {
	path, m := aged(t)
	id := metaOf(t, path)
	old := older(t, path, m.Model)
	if _, err := verify(t, path); !errors.Is(err, ledger.ErrFormat) || !strings.Contains(err.Error(), "start a coordinator") {
		t.Fatalf("verify: error %v, want ErrFormat with the remedy", err)
	}
	if got := metaOf(t, path); !bytes.Equal(got, old) {
		t.Errorf("verify left %x, want %x as it was", got, old)
	}
	l := disk(t, path)
	closeHolding(t, l, m.Model)
	if got := metaOf(t, path); !bytes.Equal(got, id) {
		t.Errorf("marked %x, want %x", got, id)
	}
	if r, err := verify(t, path); err != nil || int(r.Census.Specs) != len(m.Model.Specs) {
		t.Errorf("verify: %d specs, faults %v, error %v", r.Census.Specs, r.Faults, err)
	}
}

// TestAConversionGoesOn shows that one that was broken off, in the middle of the specs or of the index, is taken
// up at the next start.
func TestAConversionGoesOn(t *testing.T) {
	for name, age := range map[string]func(*testing.T, string, *ledgertest.Model) []byte{"format 2": older, "format 3": format3} {
		t.Run(name, func(t *testing.T) { goesOn(t, age) })
	}
}

func goesOn(t *testing.T, age func(*testing.T, string, *ledgertest.Model) []byte) {
	path := filepath.Join(t.TempDir(), "ledger")
	l, m := disk(t, path), ledgertest.NewMaker(2)
	for range 60 {
		if err := commit(l, m.Random(60)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(m.Model.Specs); n < 300 {
		t.Fatalf("%d tasks are one batch of the conversion", n)
	}
	age(t, path, m.Model)
	// A context that ends between two of the conversion's batches.
	broken := pebbleledger.New(pebbleledger.Options{Dir: path, Logger: quiet})
	broken.IndexAt(100)
	if _, err := broken.Lead(&patient{Context: t.Context(), looks: 1}); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want that it was broken off", err)
	}
	l = disk(t, path)
	closeHolding(t, l, m.Model)
}

// closeHolding closes a ledger that must hold what the model does.
func closeHolding(t *testing.T, l *pebbleledger.Ledger, m *ledgertest.Model) {
	t.Helper()
	got, err := ledgertest.Dump(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	if d := got.Diff(m); d != "" {
		t.Errorf("read otherwise: %s", d)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// patient is a context that is cancelled after some looks.
type patient struct {
	context.Context
	looks int
}

func (p *patient) Err() error {
	if p.looks--; p.looks < 0 {
		return context.Canceled
	}
	return nil
}

// metaOf reads the record that says whose ledger it is, behind the ledger's back.
func metaOf(t *testing.T, path string) (value []byte) {
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
