package pebbleledger_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

const rival = "STINT_TEST_RIVAL"

// TestSecondProcessIsRefused leads a ledger here and tries to in another process.
func TestSecondProcessIsRefused(t *testing.T) {
	if path := os.Getenv(rival); path != "" {
		_, err := pebbleledger.New(pebbleledger.Options{Dir: path, Logger: quiet}).Lead(t.Context())
		_, verr := verify(t, path)
		if !errors.Is(err, ledger.ErrLocked) || !errors.Is(verr, ledger.ErrLocked) {
			t.Fatalf("lead: %v, verify: %v, want ErrLocked", err, verr)
		}
		if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "stop the coordinator") {
			t.Fatalf("no folder and remedy in %q", err)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "data")
	l := disk(t, path)
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSecondProcessIsRefused$")
	c.Env = append(os.Environ(), rival+"="+path)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	// Neither a relative name nor another Ledger of this process gets around the lock.
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if rel, err := filepath.Rel(wd, path); err == nil {
		_, err := pebbleledger.New(pebbleledger.Options{Dir: rel, Logger: quiet}).Lead(t.Context())
		if !errors.Is(err, ledger.ErrLocked) {
			t.Errorf("lead by a relative name: %v, want ErrLocked", err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	path, _ := aged(t)
	raw(t, path, func(b *pebble.Batch) error {
		meta := record.AppendMeta(nil, &ledger.Identity{ID: "x"})
		meta[1] = record.Format + 1
		return b.Set(record.AppendKind(nil, record.KindMeta), meta, nil)
	})
	_, err := pebbleledger.New(pebbleledger.Options{Dir: path, Logger: quiet}).Lead(t.Context())
	if !errors.Is(err, ledger.ErrFormat) {
		t.Errorf("lead: error %v, want ErrFormat", err)
	}
	_, err = verify(t, path)
	if !errors.Is(err, ledger.ErrFormat) {
		t.Errorf("verify: error %v, want ErrFormat", err)
	}
	markers, _ := filepath.Glob(filepath.Join(path, "marker.format-version.*"))
	for _, m := range markers {
		if err := os.Rename(m, filepath.Join(path, "marker.format-version.000099.999")); err != nil {
			t.Fatal(err)
		}
	}
	_, err = pebbleledger.New(pebbleledger.Options{Dir: path, Logger: quiet}).Lead(t.Context())
	if !errors.Is(err, ledger.ErrFormat) {
		t.Errorf("lead with a newer Pebble's files: error %v, want ErrFormat", err)
	}
}

func TestRecordsWithoutIdentityAreRefused(t *testing.T) {
	path, _ := aged(t)
	raw(t, path, func(b *pebble.Batch) error { return b.Delete(record.AppendKind(nil, record.KindMeta), nil) })
	_, err := pebbleledger.New(pebbleledger.Options{Dir: path, Logger: quiet}).Lead(t.Context())
	if !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("error %v, want ErrCorrupt", err)
	}
}

func TestFolderThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "below")} {
		_, err := pebbleledger.New(pebbleledger.Options{Dir: path, Logger: quiet}).Lead(t.Context())
		if err == nil || !strings.Contains(err.Error(), "file") || errors.Is(err, ledger.ErrLocked) {
			t.Errorf("%s: error %v, want one that names it", path, err)
		}
	}
	if _, err := verify(t, filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("verify of nothing: error %v", err)
	}
}

func TestFolderIsPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no file modes")
	}
	path, _ := aged(t)
	i, err := os.Stat(path)
	if err != nil || i.Mode().Perm()&0o077 != 0 {
		t.Errorf("mode %v, error %v, want none for others", i.Mode(), err)
	}
}

// TestTornLogIsTold shows that the end of the log that was read is logged after a crash.
func TestTornLogIsTold(t *testing.T) {
	path, m := aged(t)
	logs, _ := filepath.Glob(filepath.Join(path, "*.log"))
	newest := logs[len(logs)-1]
	data, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	// What follows the last whole record is rubbish, as after a crash in mid-write.
	if err := os.WriteFile(newest, data[:len(data)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	l := pebbleledger.New(pebbleledger.Options{Dir: path, Logger: slog.New(slog.NewTextHandler(&out, nil))})
	if _, err := l.Lead(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, err := ledgertest.Dump(t.Context(), l)
	if err != nil || got.Head.Batch == 0 || got.Head.Batch > m.Model.Head.Batch {
		t.Errorf("%d batches, error %v", got.Head.Batch, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "ledger log read") || !strings.Contains(out.String(), "stopped reading at offset") {
		t.Errorf("log says nothing of the tail:\n%s", out.String())
	}
}
