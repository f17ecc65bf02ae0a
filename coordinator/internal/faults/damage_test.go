package faults

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
)

// places is how many random places are damaged, one at a time.
const places = 200

// image is a ledger as a crash left it: tables, a manifest, a log with batches that stand nowhere
// else.
type image struct {
	files    map[string][]byte
	names    []string
	log      string              // the newest, the only one that may have a torn end
	prefixes []*ledgertest.Model // what the first n batches fold to
}

func newImage(t *testing.T, rng *rand.Rand) *image {
	t.Helper()
	disk := vfs.NewCrashableMem()
	m := ledgertest.NewMaker(rng.Uint64())
	x := &image{files: map[string][]byte{}, prefixes: []*ledgertest.Model{m.Model.Clone()}}
	for life := range 4 {
		l := open(disk)
		if _, err := l.Lead(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 25 {
			wait, err := l.Commit(m.Random(6))
			if err := errors.Join(err, wait()); err != nil {
				t.Fatal(err)
			}
			x.prefixes = append(x.prefixes, m.Model.Clone())
		}
		if life == 3 {
			x.read(t, disk.CrashClone(vfs.CrashCloneCfg{}))
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func (x *image) read(t *testing.T, disk *vfs.MemFS) {
	t.Helper()
	list, err := disk.List(folder)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	for _, name := range list {
		f, err := disk.Open(disk.PathJoin(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		x.files[name] = data
		if strings.HasSuffix(name, ".log") {
			x.log = max(x.log, name)
		}
	}
	inUse := tables(t, disk)
	for _, name := range list {
		if len(x.files[name]) > 0 && (!strings.HasSuffix(name, ".sst") || inUse[name]) {
			x.names = append(x.names, name)
		}
	}
}

// tables are the files that hold the state. There may be others: of a compaction that the crash cut off, or
// whose inputs were not deleted yet. Nobody reads those.
func tables(t *testing.T, disk vfs.FS) map[string]bool {
	t.Helper()
	db, err := pebble.Open(folder, &pebble.Options{FS: disk, ReadOnly: true, FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	levels, err := db.SSTables()
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	inUse := map[string]bool{}
	for _, level := range levels {
		for _, f := range level {
			inUse[fmt.Sprintf("%06d.sst", f.BackingSSTNum)] = true
		}
	}
	return inUse
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) { panic("fatal") }

// damage is one flipped bit, or a file cut off.
type damage struct {
	file string
	at   int
	bit  int // −1: cut off at this place
}

func (d damage) String() string {
	if d.bit < 0 {
		return fmt.Sprintf("%s cut at %d", d.file, d.at)
	}
	return fmt.Sprintf("%s bit %d of byte %d flipped", d.file, d.bit, d.at)
}

// number is what Pebble calls a file by, be it a table or a log.
func (d damage) number() string {
	return strings.TrimSuffix(strings.TrimSuffix(d.file, ".sst"), ".log")
}

func (x *image) random(rng *rand.Rand) damage {
	kind := [...]string{".sst", ".log", "MANIFEST", ""}[rng.IntN(4)]
	var of []string
	for _, n := range x.names {
		if strings.Contains(n, kind) {
			of = append(of, n)
		}
	}
	d := damage{file: of[rng.IntN(len(of))], bit: rng.IntN(12)}
	d.at = rng.IntN(len(x.files[d.file]))
	if d.bit > 7 {
		d.bit = -1
	}
	return d
}

// write puts a damaged copy into a folder.
func (x *image) write(t *testing.T, dir string, d damage) {
	t.Helper()
	for name, data := range x.files {
		if name == d.file && d.bit < 0 {
			data = data[:d.at]
		} else if name == d.file {
			data = bytes.Clone(data)
			data[d.at] ^= 1 << d.bit
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// D6, D4: whatever rots, the state is the same, or a prefix if it was the end of the newest log,
// or the ledger is refused and nothing of it deleted; and Verify finds what changes the state.
func TestDamageNeverPassesUnseen(t *testing.T) {
	s := seed(t)
	if soak {
		apart(t, s)
		return
	}
	rng := rand.New(rand.NewPCG(s, 10))
	x := newImage(t, rng)
	seen := map[string]int{}
	for i := range places {
		d := x.random(rng)
		seen[x.judge(t, filepath.Join(t.TempDir(), fmt.Sprint(i)), d)]++
	}
	t.Logf("outcomes: %v", seen)
	if seen["refused"] == 0 || seen["prefix"] == 0 || seen["same"] == 0 {
		t.Errorf("outcomes %v: the places are not random enough", seen)
	}
}

// apart is the long size: the short one over and over, with a seed and in a process of its own each, since
// a ledger that failed keeps its files open until its process ends.
func apart(t *testing.T, s uint64) {
	for part := range times(1) {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		c.Env = append(os.Environ(), "STINT_SOAK=", fmt.Sprint("SEED=", s+uint64(part)))
		out, err := c.CombinedOutput()
		if err != nil {
			t.Errorf("SEED=%d: %v\n%s", s+uint64(part), err, out)
		}
	}
}

// mayLag is how many batches may stand behind a flipped bit of the newest log without proving
// that it was synced: what a batch says of that lags one sync behind, and one part of a batch
// more for each block of the log that filled up.
func (x *image) mayLag() int { return 1 + len(x.files[x.log])/(32<<10) }

func (x *image) judge(t *testing.T, dir string, d damage) string {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	x.write(t, dir, d)
	before := contents(t, dir)
	report, verr := pebbleledger.Verify(t.Context(), dir, quiet, nil)
	if got := contents(t, dir); !maps.Equal(before, got) {
		t.Errorf("%s: verify changed the folder", d)
	}
	if strings.HasSuffix(d.file, ".sst") && (!errors.Is(verr, ledger.ErrCorrupt) || !strings.Contains(verr.Error(), d.number())) {
		t.Errorf("%s: verify says %v, %d faults, want the file", d, verr, report.Faulty)
	}
	var log bytes.Buffer
	got, err := load(t, dir, &log)
	last := x.prefixes[len(x.prefixes)-1]
	switch {
	case err != nil:
		if after := contents(t, dir); strings.Contains(err.Error(), "open folder") && !maps.Equal(before, after) {
			t.Errorf("%s: refused with %v, and the folder changed from\n%v to\n%v", d, err, names(before), names(after))
		}
		if verr == nil {
			t.Errorf("%s: refused with %v, and verify found nothing", d, err)
		}
		if !strings.Contains(err.Error(), filepath.Base(dir)) && !strings.Contains(err.Error(), d.number()) {
			t.Errorf("%s: refused with %v, which names no place", d, err)
		}
		return "refused"
	case got.Diff(last) == "":
		return "same"
	}
	n := int(got.Head.Batch)
	if d.file != x.log || n >= len(x.prefixes) || got.Diff(x.prefixes[n]) != "" {
		t.Errorf("%s: opened, and the state is that of no batch (verify: %v)", d, verr)
		return "wrong"
	}
	if whole := len(x.prefixes) - 2 - n; d.bit >= 0 && whole > x.mayLag() {
		t.Errorf("%s: %d whole batches behind it were dropped (verify: %v)", d, whole, verr)
	}
	if !strings.Contains(log.String(), "ledger log read") || !strings.Contains(log.String(), d.file) {
		t.Errorf("%s: the log says nothing of what was dropped:\n%s", d, log.String())
	}
	return "prefix"
}

// load opens a ledger and reads it whole.
func load(t *testing.T, dir string, log *bytes.Buffer) (*ledgertest.Model, error) {
	t.Helper()
	l := pebbleledger.New(pebbleledger.Options{Dir: dir, Logger: slog.New(slog.NewTextHandler(log, nil))})
	if _, err := l.Lead(t.Context()); err != nil {
		return nil, err
	}
	m, err := ledgertest.Dump(t.Context(), l)
	if cerr := l.Close(); err == nil {
		err = cerr
	}
	return m, err
}

// contents are the files of a folder but the lock, which is empty.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, f := range list {
		if f.Name() == "LOCK" {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if errors.Is(err, os.ErrNotExist) {
			return contents(t, dir) // Pebble tidies up behind an open that went well
		}
		if err != nil {
			t.Fatal(err)
		}
		all[f.Name()] = string(data)
	}
	return all
}

func names(files map[string]string) []string { return slices.Sorted(maps.Keys(files)) }
