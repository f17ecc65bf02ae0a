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
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
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

// TestDisagreementsAreFound writes records that do not fit the others.
func TestDisagreementsAreFound(t *testing.T) {
	dead := queue.Terminal{Serial: 1, ID: "stranger", Queue: "default", Status: queue.Status{State: queue.Failed}}
	for name, c := range map[string]struct {
		spoil func(b *pebble.Batch, m *ledgertest.Model) error
		want  string
	}{
		"a record without spec": {func(b *pebble.Batch, _ *ledgertest.Model) error {
			return b.Set(record.AppendSerialKey(nil, record.KindTerminal, 1), record.AppendTerminal(nil, &dead), nil)
		}, "no spec"},
		"a spec without record": {func(b *pebble.Batch, m *ledgertest.Model) error {
			s := m.Specs[anyLive(m)]
			return b.Delete(record.AppendSerialKey(nil, record.KindLive, s.Serial), nil)
		}, "no record"},
		"live and terminal": {func(b *pebble.Batch, m *ledgertest.Model) error {
			d := dead
			d.Serial = anyLive(m)
			d.ID = m.Specs[d.Serial].ID
			return b.Set(record.AppendSerialKey(nil, record.KindTerminal, d.Serial), record.AppendTerminal(nil, &d), nil)
		}, "both live and terminal"},
		"a wrong count": {func(b *pebble.Batch, m *ledgertest.Model) error {
			q := m.Queues["default"]
			q.Counts.States[queue.Ready]++
			return b.Set(record.AppendQueueKey(nil, q.Name), record.AppendQueue(nil, &q), nil)
		}, "counts"},
		"spend of no queue": {func(b *pebble.Batch, _ *ledgertest.Model) error {
			p := queue.SpendRecord{Queue: "nowhere", By: queue.ByAgent, Name: "w", Spent: 1}
			return b.Set(record.AppendSpendKey(nil, &p), record.AppendSpend(nil, &p), nil)
		}, `spend of queue "nowhere"`},
		"more spent than in all": {func(b *pebble.Batch, m *ledgertest.Model) error {
			p := m.Spends[queue.SpendKey{Queue: "default", By: queue.ByQueue}]
			p.Spent--
			return b.Set(record.AppendSpendKey(nil, &p), record.AppendSpend(nil, &p), nil)
		}, "but its agents"},
		"spend that cannot be read": {func(b *pebble.Batch, _ *ledgertest.Model) error {
			p := queue.SpendRecord{Queue: "default", By: queue.ByFairnessKey + 1}
			return b.Set(record.AppendSpendKey(nil, &p), record.AppendSpend(nil, &p), nil)
		}, "not the key of what was spent"},
		"an id of another's serial": {func(b *pebble.Batch, m *ledgertest.Model) error {
			s := anyLive(m)
			return b.Set(keyOf("stranger", s), record.AppendIndex(nil, s), nil)
		}, "has serial"},
		"an id that the index lacks": {func(b *pebble.Batch, m *ledgertest.Model) error {
			s := m.Specs[anyLive(m)]
			err := b.Delete(keyOf(s.ID, s.Serial), nil)
			return errors.Join(err, b.Set(record.AppendKind(nil, record.KindIndexed), record.AppendIndexed(nil, m.Head.NextSerial), nil))
		}, "not in the index"},
		"no end of the index": {func(b *pebble.Batch, _ *ledgertest.Model) error {
			return b.Delete(record.AppendKind(nil, record.KindIndexed), nil)
		}, "how far the index goes"},
		"two specs of an id": {func(b *pebble.Batch, m *ledgertest.Model) error {
			s := m.Specs[anyLive(m)]
			err := b.Set(record.AppendSerialKey(nil, record.KindSpec, m.Head.NextSerial), record.AppendSpec(nil, &s), nil)
			l := m.Live[s.Serial]
			l.Serial = m.Head.NextSerial
			return errors.Join(err, b.Set(record.AppendSerialKey(nil, record.KindLive, l.Serial), record.AppendLive(nil, &l), nil))
		}, "two specs"},
		"two specs of an id that the index has not yet": {func(b *pebble.Batch, m *ledgertest.Model) error {
			return errors.Join(again(b, m, "twin", m.Head.NextSerial), again(b, m, "twin", m.Head.NextSerial+1))
		}, "two specs"},
		"two specs of an id behind what a crash left": {func(b *pebble.Batch, m *ledgertest.Model) error {
			const later = 99 << 20
			id := m.Specs[anyLive(m)].ID
			return errors.Join(again(b, m, id, later+2), setEntry(b, id, later+1))
		}, "two specs"},
		"two specs of an id in two generations": {func(b *pebble.Batch, m *ledgertest.Model) error {
			s, h := m.Specs[anyLive(m)], m.Head
			again := h.NextSerial + 1<<20
			h.NextSerial = again + 1
			l := m.Live[s.Serial]
			l.Serial = again
			return errors.Join(
				b.Set(record.AppendSerialKey(nil, record.KindSpec, again), record.AppendSpec(nil, &s), nil),
				b.Set(record.AppendSerialKey(nil, record.KindLive, again), record.AppendLive(nil, &l), nil),
				b.Set(keyOf(s.ID, again), record.AppendIndex(nil, again), nil),
				b.Set(record.AppendKind(nil, record.KindIndexed), record.AppendIndexed(nil, h.NextSerial), nil),
				b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &h), nil))
		}, "two specs"},
		"an entry of another generation": {func(b *pebble.Batch, _ *ledgertest.Model) error {
			return b.Set(keyOf("astray", 1<<30), record.AppendIndex(nil, 1), nil)
		}, "another generation"},
		"an index from the future": {func(b *pebble.Batch, m *ledgertest.Model) error {
			return b.Set(record.AppendKind(nil, record.KindIndexed), record.AppendIndexed(nil, m.Head.NextSerial+1), nil)
		}, "the index goes to serial"},
		"a serial from the future": {func(b *pebble.Batch, m *ledgertest.Model) error {
			h := m.Head
			h.NextSerial = 2
			return b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &h), nil)
		}, "the next is 2"},
		"a task from the future": {func(b *pebble.Batch, m *ledgertest.Model) error {
			h := m.Head
			h.NextSerial = 2
			return b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &h), nil)
		}, `" has serial `},
		"a gap in the events": {func(b *pebble.Batch, m *ledgertest.Model) error {
			h := m.Head
			h.Newest++
			return b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &h), nil)
		}, "events end at"},
		"an attempt of no task": {func(b *pebble.Batch, m *ledgertest.Model) error {
			return setAttempt(b, m.Head.NextSerial)
		}, "which is not there"},
		"an attempt that its task knows nothing of": {func(b *pebble.Batch, m *ledgertest.Model) error {
			l := m.Live[anyLive(m)]
			l.Status.Spilled = false
			return errors.Join(setLive(b, &l), setAttempt(b, l.Serial))
		}, "none stored"},
		"an attempt of serial 0": {func(b *pebble.Batch, _ *ledgertest.Model) error { return setAttempt(b, 0) }, "serial 0"},
		"a deferral of what has not ended": {func(b *pebble.Batch, m *ledgertest.Model) error {
			return b.Set(record.AppendSerialKey(nil, record.KindDeferred, anyLive(m)), record.AppendDeferred(nil), nil)
		}, "deferred but not terminal"},
		"a record of another task": {func(b *pebble.Batch, m *ledgertest.Model) error {
			l := m.Live[anyLive(m)]
			l.ID = "stranger"
			return setLive(b, &l)
		}, "its spec says"},
		"a record of another queue": {func(b *pebble.Batch, m *ledgertest.Model) error {
			l := m.Live[anyLive(m)]
			l.Queue = "elsewhere"
			return setLive(b, &l)
		}, "its spec says"},
		"tasks of no queue": {func(b *pebble.Batch, m *ledgertest.Model) error {
			return b.Delete(record.AppendQueueKey(nil, m.Live[anyLive(m)].Queue), nil)
		}, "has tasks but no record"},
		"a key that is cut off": {func(b *pebble.Batch, _ *ledgertest.Model) error {
			return b.Set(record.AppendKind(nil, record.KindTerminal), nil, nil)
		}, "9 bytes"},
		"an unknown key": {func(b *pebble.Batch, _ *ledgertest.Model) error {
			return b.Set([]byte("zzz"), []byte{1}, nil)
		}, "no known kind"},
		"rubbish": {func(b *pebble.Batch, m *ledgertest.Model) error {
			return b.Set(keyOf("rubbish", 1), []byte{1, 200}, nil)
		}, "rubbish"},
		"no head": {func(b *pebble.Batch, _ *ledgertest.Model) error {
			return b.Delete(record.AppendKind(nil, record.KindHead), nil)
		}, "no head"},
		"no identity": {func(b *pebble.Batch, _ *ledgertest.Model) error {
			return b.Delete(record.AppendKind(nil, record.KindMeta), nil)
		}, "no identity"},
	} {
		path, m := aged(t)
		raw(t, path, func(b *pebble.Batch) error { return c.spoil(b, m.Model) })
		r, err := verify(t, path)
		found := false
		for _, f := range r.Faults {
			found = found || strings.Contains(f.Error(), c.want)
		}
		if !errors.Is(err, ledger.ErrCorrupt) || !found {
			t.Errorf("%s: error %v, faults %v, want one with %q", name, err, r.Faults, c.want)
		}
	}
}

// keyOf is the key of the index under which an id has a serial.
func keyOf(id string, s queue.Serial) []byte {
	return record.AppendIndexKey(nil, record.GenerationOf(s), id)
}

func setLive(b *pebble.Batch, l *queue.Live) error {
	return b.Set(record.AppendSerialKey(nil, record.KindLive, l.Serial), record.AppendLive(nil, l), nil)
}

func setAttempt(b *pebble.Batch, s queue.Serial) error {
	a := queue.Attempt{Number: 1, Agent: "a"}
	return b.Set(record.AppendAttemptKey(nil, s, a.Number), record.AppendAttempt(nil, &a), nil)
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

// later writes tasks into three generations, from a serial on: 20, 15 and 10.
func later(b *pebble.Batch, m *ledgertest.Model, from queue.Serial) error {
	l := m.Live[anyLive(m)]
	q, h, spec := m.Queues[l.Queue], m.Head, m.Specs[l.Serial]
	l.Status.Spilled = false
	for g := range queue.Serial(3) {
		for i := range 20 - 5*g {
			l.Serial, l.ID = from+g<<20+i, fmt.Sprintf("late%d%06d", g, i)
			spec.ID = l.ID
			q.Counts.Submitted++
			q.Counts.States[l.Status.State]++
			if err := errors.Join(setLive(b, &l), setEntry(b, l.ID, l.Serial),
				b.Set(record.AppendSerialKey(nil, record.KindSpec, l.Serial), record.AppendSpec(nil, &spec), nil)); err != nil {
				return err
			}
		}
	}
	h.NextSerial = from + 5<<20
	return errors.Join(
		b.Set(record.AppendQueueKey(nil, q.Name), record.AppendQueue(nil, &q), nil),
		b.Set(record.AppendKind(nil, record.KindIndexed), record.AppendIndexed(nil, h.NextSerial), nil),
		b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &h), nil))
}

// again writes a spec and a record of an id, and the head behind it.
func again(b *pebble.Batch, m *ledgertest.Model, id string, s queue.Serial) error {
	some := anyLive(m)
	spec, l, h := m.Specs[some], m.Live[some], m.Head
	spec.ID, l.ID, l.Serial, h.NextSerial = id, id, s, s+1
	return errors.Join(setLive(b, &l),
		b.Set(record.AppendSerialKey(nil, record.KindSpec, s), record.AppendSpec(nil, &spec), nil),
		b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &h), nil))
}

func setEntry(b *pebble.Batch, id string, s queue.Serial) error {
	return b.Set(keyOf(id, s), record.AppendIndex(nil, s), nil)
}

func anyLive(m *ledgertest.Model) (s queue.Serial) {
	for s = range m.Live {
		break
	}
	return s
}

// raw writes behind the ledger's back.
func raw(t *testing.T, path string, f func(*pebble.Batch) error) {
	t.Helper()
	db, err := pebble.Open(path, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	if err := f(b); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) { panic("fatal") }
