package pebbleledger_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// TestMissingSpecIsTold shows that a look-up of many tasks gives no task the spec of its neighbour
// (D6): one whose spec is gone, or is that of another, is damage.
func TestMissingSpecIsTold(t *testing.T) {
	m := ledgertest.NewMaker(3)
	m.Begin()
	var all []queue.Serial
	for range 40 {
		all = append(all, m.Submit())
	}
	batch := m.End()
	for name, spoil := range map[string]func(b *pebble.Batch) error{
		"its spec is gone": func(b *pebble.Batch) error {
			return b.Delete(record.AppendSerialKey(nil, record.KindSpec, all[20]), nil)
		},
		"the last spec is gone": func(b *pebble.Batch) error {
			return b.Delete(record.AppendSerialKey(nil, record.KindSpec, all[39]), nil)
		},
		"its spec is another's": func(b *pebble.Batch) error {
			s := m.Model.Specs[all[7]]
			return b.Set(record.AppendSerialKey(nil, record.KindSpec, all[20]), record.AppendSpec(nil, &s), nil)
		},
	} {
		path := filepath.Join(t.TempDir(), "ledger")
		l := pebbleledger.New(pebbleledger.Options{Dir: path, Logger: quiet})
		if _, err := l.Lead(t.Context()); err != nil {
			t.Fatal(err)
		}
		wait, err := l.Commit(batch)
		if err == nil {
			err = wait()
		}
		if err = errors.Join(err, l.Close()); err != nil {
			t.Fatal(err)
		}
		raw(t, path, spoil)
		l = pebbleledger.New(pebbleledger.Options{Dir: path, Logger: quiet})
		if _, err := l.Lead(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err = l.Get(t.Context(), ledger.Keys{Serials: all, Spec: true, Payload: true})
		if !errors.Is(err, ledger.ErrCorrupt) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want ErrCorrupt with the folder", name, err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}
