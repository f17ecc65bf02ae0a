package pebbleledger_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
)

// D6: a hole in the last block of the newest log, with synced batches behind it, is damage and
// not the torn end of a crash. Nothing is deleted, and Verify finds it too.
func TestHoleInTheLastBlockIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	l := disk(t, path)
	m := ledgertest.NewMaker(1)
	for range 12 {
		if err := commit(l, m.Random(2)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join(path, "*.log"))
	newest := logs[len(logs)-1]
	good, err := os.ReadFile(newest)
	if err != nil || len(good) > 32<<10 {
		t.Fatalf("log of %d bytes, error %v: it must fit into one block", len(good), err)
	}
	for at := 0; at < len(good)/2; at += 37 {
		bad := append([]byte(nil), good...)
		bad[at] ^= 4
		if err := os.WriteFile(newest, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		before := listing(t, path)
		_, err := pebbleledger.New(pebbleledger.Options{Dir: path, Logger: quiet}).Lead(t.Context())
		_, verr := verify(t, path)
		for what, err := range map[string]error{"lead": err, "verify": verr} {
			if !errors.Is(err, ledger.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(newest)) || !strings.Contains(err.Error(), "offset") {
				t.Fatalf("byte %d: %s: error %v, want ErrCorrupt with file and offset", at, what, err)
			}
		}
		if listing(t, path) != before {
			t.Fatalf("byte %d: the folder has changed", at)
		}
	}
}
