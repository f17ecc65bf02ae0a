package pebbleledger_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

var quiet = slog.New(slog.DiscardHandler)

// aged makes a ledger on disk with tables and a log, closed.
func aged(t *testing.T) (string, *ledgertest.Maker) {
	path := filepath.Join(t.TempDir(), "a", "b")
	m := ledgertest.NewMaker(1)
	for range 3 { // opening writes the log of the time before into a table
		l := disk(t, path)
		for range 8 {
			if err := commit(l, m.Random(5)); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return path, m
}

func verify(t *testing.T, path string) (pebbleledger.Report, error) {
	return pebbleledger.Verify(t.Context(), path, quiet, nil)
}

func TestVerifyOfASoundLedger(t *testing.T) {
	path, m := aged(t)
	before := listing(t, path)
	calls, last, total := map[string]int64{}, map[string]int64{}, map[string]int64{}
	r, err := pebbleledger.Verify(t.Context(), path, quiet, func(what string, d, n int64) {
		calls[what], last[what], total[what] = calls[what]+1, d, n
	})
	if err != nil || r.Faulty != 0 {
		t.Fatalf("faults %v, error %v", r.Faults, err)
	}
	if r.Census.Head != m.Model.Head || int(r.Census.Specs) != len(m.Model.Specs) || int(r.Census.Live) != len(m.Model.Live) ||
		int(r.Census.Attempts) != len(m.Model.Attempts) || int(r.Census.Spends) != len(m.Model.Spends) || r.Head != m.Model.Head.Batch || len(r.ID) != 26 {
		t.Errorf("report %+v, the model's head is %+v", r, m.Model.Head)
	}
	if r.Tables == 0 || r.Records == 0 || calls["bytes"] != int64(r.Tables)+1 || !maps.Equal(last, total) ||
		total["bytes"] != r.Bytes || total["tasks"] != r.Census.Specs || len(total) != 2 {
		t.Errorf("%d tables with %d records, progress told %v times up to %v of %v", r.Tables, r.Records, calls, last, total)
	}
	if after := listing(t, path); after != before {
		t.Errorf("the folder has changed from\n%s to\n%s", before, after)
	}
}

// listing is the names and digests of all files but the lock.
func listing(t *testing.T, path string) string {
	t.Helper()
	files, err := os.ReadDir(path)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range files {
		if f.Name() == "LOCK" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(path, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%s %x\n", f.Name(), sha256.Sum256(data))
	}
	return b.String()
}

// TestDamageIsFound shows D6: a byte flipped anywhere in a table is found, its file named,
// and nothing is deleted or repaired by it.
func TestDamageIsFound(t *testing.T) {
	path, _ := aged(t)
	tables, err := filepath.Glob(filepath.Join(path, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("%d tables, error %v", len(tables), err)
	}
	good, err := os.ReadFile(tables[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := 5; at < len(good); at += len(good)/40 + 1 {
		bad := append([]byte(nil), good...)
		bad[at] ^= 0x10
		if err := os.WriteFile(tables[0], bad, 0o600); err != nil {
			t.Fatal(err)
		}
		before := listing(t, path)
		r, err := verify(t, path)
		if !errors.Is(err, ledger.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(tables[0])) {
			t.Errorf("byte %d of %d flipped: %d faults, error %v, want ErrCorrupt with the file", at, len(good), r.Faulty, err)
		}
		if listing(t, path) != before {
			t.Fatalf("byte %d: the folder has changed", at)
		}
	}
}

// TestWhatCannotBeReadIsNotJudged shows that a table that cannot be read is told as such, and not taken for records
// that were never there.
func TestWhatCannotBeReadIsNotJudged(t *testing.T) {
	path, _ := aged(t)
	tables, err := filepath.Glob(filepath.Join(path, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("%d tables, error %v", len(tables), err)
	}
	for _, table := range tables {
		good, err := os.ReadFile(table)
		if err != nil {
			t.Fatal(err)
		}
		bad := slices.Clone(good)
		bad[10] ^= 0x10
		if err := os.WriteFile(table, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := verify(t, path)
		if !errors.Is(err, ledger.ErrCorrupt) || !strings.Contains(err.Error(), filepath.Base(table)) {
			t.Errorf("%s: %d faults, error %v, want ErrCorrupt with the file", table, r.Faulty, err)
		}
		for _, f := range r.Faults {
			if strings.Contains(f.Error(), " counts ") || strings.Contains(f.Error(), "not in the index") {
				t.Errorf("%s cannot be read, and verify says: %v", table, f)
			}
		}
		if err := os.WriteFile(table, good, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLostFilesAreRefused shows that a folder with a part missing is neither opened as if it
// were new nor cleaned up.
func TestLostFilesAreRefused(t *testing.T) {
	for _, lost := range []string{"marker.manifest.*", "MANIFEST-*", "*.sst"} {
		path, _ := aged(t)
		files, _ := filepath.Glob(filepath.Join(path, lost))
		if len(files) == 0 {
			t.Fatalf("no %s", lost)
		}
		if err := os.Remove(files[len(files)-1]); err != nil {
			t.Fatal(err)
		}
		before := listing(t, path)
		if _, err := pebbleledger.New(pebbleledger.Options{Dir: path, Logger: quiet}).Lead(t.Context()); err == nil {
			t.Errorf("without %s: opened", lost)
		} else {
			t.Logf("without %s: %v", lost, err)
		}
		if _, err := verify(t, path); err == nil {
			t.Errorf("without %s: verified", lost)
		}
		if listing(t, path) != before {
			t.Errorf("without %s: the folder has changed", lost)
		}
	}
}

// TestVerifyOfGenerations shows that the index of ids is held against the specs of its own generation, and that an
// entry of a pruned task is no fault.
func TestVerifyOfGenerations(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(b *pebble.Batch, g queue.Serial) error
		want  string // the only fault
	}{
		"sound": {func(*pebble.Batch, queue.Serial) error { return nil }, ""},
		"entries of pruned tasks": {func(b *pebble.Batch, g queue.Serial) error {
			return errors.Join(setEntry(b, "gone", g+1<<20+17), setEntry(b, "gone", g+3<<20+7), setEntry(b, "gone", g+4<<20+7))
		}, ""},
		"an entry is missing": {func(b *pebble.Batch, g queue.Serial) error {
			return b.Delete(keyOf("late1000009", g+1<<20+9), nil)
		}, `task "late1000009", serial 18874377, is not in the index`},
		"an entry leads astray": {func(b *pebble.Batch, g queue.Serial) error {
			return setEntry(b, "stray", g+2<<20+9)
		}, `the index has serial 19922953 for task "stray"`},
		"an entry is ahead": {func(b *pebble.Batch, g queue.Serial) error {
			return setEntry(b, "ahead", g+5<<20)
		}, `the index has serial 23068672 for task "ahead"`},
	} {
		path, m := aged(t)
		const first = 17 << 20 // is above all that there is
		raw(t, path, func(b *pebble.Batch) error { return errors.Join(later(b, m.Model, first), c.spoil(b, first)) })
		r, err := verify(t, path)
		if c.want == "" && (err != nil || int(r.Census.Specs) != len(m.Model.Specs)+45) {
			t.Errorf("%s: %d specs, error %v", name, r.Census.Specs, err)
		}
		if c.want != "" && (r.Faulty != 1 || !strings.Contains(r.Faults[0].Error(), c.want)) {
			t.Errorf("%s: %d faults %.1000v, want one with %q", name, r.Faulty, r.Faults, c.want)
		}
	}
}
