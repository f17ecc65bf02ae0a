package pebbleledger

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// TestRetentionGivesSpaceBack: over hundreds of small flushes, what the tables hold of specs stays
// what is retained and what may wait, and level 0 stays small.
func TestRetentionGivesSpaceBack(t *testing.T) {
	t.Run("one by one", func(t *testing.T) {
		givesBack(t, func(b *pebble.Batch, k record.Kind, from, to queue.Serial) {
			for n := from; n < to; n++ {
				_ = b.Delete(record.AppendSerialKey(nil, k, n), nil)
			}
		})
	})
	t.Run("in ranges", func(t *testing.T) {
		givesBack(t, func(b *pebble.Batch, k record.Kind, from, to queue.Serial) {
			_ = b.DeleteRange(record.AppendSerialKey(nil, k, from), record.AppendSerialKey(nil, k, to-1), nil)
			_ = b.Delete(record.AppendSerialKey(nil, k, to-1), nil) // no range reaches to the next
		})
	})
}

func givesBack(t *testing.T, drop func(b *pebble.Batch, k record.Kind, from, to queue.Serial)) {
	const (
		rounds, each, keep = 300, 20, 5
		size               = 1000
	)
	db, s, _ := settled(t, vfs.NewMem())
	defer end(t, db)
	r := rand.New(rand.NewSource(1)) // what cannot be made smaller
	value := make([]byte, size)
	for round := range queue.Serial(rounds) {
		b := db.NewBatch()
		for n := round*each + 1; n <= (round+1)*each; n++ {
			_, _ = r.Read(value)
			_ = b.Set(record.AppendSerialKey(nil, record.KindSpec, n), value, nil)
			_ = b.Set(record.AppendSerialKey(nil, record.KindTerminal, n), value[:size/10], nil)
			_ = b.Set(record.AppendEventsKey(nil, int64(n)), value[:size/10], nil)
			_ = b.Set(record.AppendSerialKey(nil, record.KindLive, n), value[:size/10], nil)
			_ = b.Delete(record.AppendSerialKey(nil, record.KindLive, n-each), nil)
		}
		if round >= keep {
			from, to := (round-keep)*each+1, (round-keep+1)*each+1
			s.pruned(to - 1)
			for _, k := range []record.Kind{record.KindSpec, record.KindTerminal, record.KindDeferred} {
				drop(b, k, from, to)
			}
			_ = b.DeleteRange(record.AppendKind(nil, record.KindEvents), record.AppendEventsKey(nil, int64(to)), nil)
		}
		tidied(t, db, s, b)
		const most = (keep + gathered + 2) * each * size * 5 / 4 // a table is more than its values
		if n := bytesOf(t, db, record.KindSpec); n > most {
			t.Fatalf("%d bytes of specs after %d flushes, want at most %d", n, round, most)
		}
		// Each of six spans waits until its tables have gathered, those of terminal records twice.
		if m := db.Metrics(); m.Levels[0].TablesCount > 7*gathered || m.Levels[0].Sublevels > gathered {
			t.Fatalf("%d tables in level 0, %d sublevels, after %d flushes", m.Levels[0].TablesCount, m.Levels[0].Sublevels, round)
		}
	}
}

// tidied makes tables of a batch, and tidies.
func tidied(t *testing.T, db *pebble.DB, s *settle, b *pebble.Batch) {
	t.Helper()
	if err := errors.Join(apply(b, pebble.Sync), db.Flush(), s.tidy(t.Context(), db)); err != nil {
		t.Fatal(err)
	}
}

// TestIndexIsMergedRarely: what each batch writes again is merged by itself, often, and never the index
// of ids along with it, each merge of which rewrites most of it.
func TestIndexIsMergedRarely(t *testing.T) {
	const rounds, every = 2 * l0Compact, 5
	db, s, _ := settled(t, vfs.NewMem())
	defer end(t, db)
	r := rand.New(rand.NewSource(1))
	for round := range rounds {
		b := db.NewBatch()
		_ = b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &queue.Head{Batch: uint64(round + 1), NextSerial: 1}), nil)
		p := queue.SpendRecord{Queue: "default", By: queue.ByQueue}
		_ = b.Set(record.AppendSpendKey(nil, &p), record.AppendSpend(nil, &p), nil)
		if round%every == 0 {
			for n := queue.Serial(1); n < 10; n++ {
				_ = b.Set(record.AppendIndexKey(nil, 0, fmt.Sprint(r.Uint64())), record.AppendIndex(nil, n), nil)
			}
		}
		tidied(t, db, s, b)
		levels, err := db.SSTables()
		if err != nil {
			t.Fatal(err)
		}
		of := make(map[record.Kind]int)
		for i := range levels[0] {
			of[record.KindOf(levels[0][i].Smallest.UserKey)]++
		}
		if of[record.KindIndex] != round/every+1 || of[record.KindHead] >= gathered || of[record.KindSpend] >= gathered {
			t.Fatalf("tables in level 0 after %d flushes, %d of them with ids: %v", round+1, round/every+1, of)
		}
	}
}

func bytesOf(t *testing.T, db *pebble.DB, k record.Kind) (n uint64) {
	t.Helper()
	levels, err := db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, level := range levels {
		for i := range level {
			if record.KindOf(level[i].Smallest.UserKey) == k {
				n += level[i].Size
			}
		}
	}
	return n
}

// spec is a table of specs from one serial to another.
func spec(from, to queue.Serial, size, frees uint64) (t pebble.SSTableInfo) {
	t.Smallest.UserKey = record.AppendSerialKey(nil, record.KindSpec, from)
	t.Largest.UserKey = record.AppendSerialKey(nil, record.KindSpec, to)
	t.Size, t.TableStats.PointDeletionsBytesEstimate = size, frees
	return t
}

// TestGather: what is merged together, and what is not worth it. Below lie a hundred tables, each
// of a hundred serials.
func TestGather(t *testing.T) {
	var below []pebble.SSTableInfo
	for n := range queue.Serial(100) {
		below = append(below, spec(100*n, 100*n+99, tableBytes, 0))
	}
	beside := func(from queue.Serial, n int, size, deletions uint64) (row []pebble.SSTableInfo) {
		for i := range queue.Serial(n) {
			t := spec(from+50*i, from+50*i+40, size, 0)
			t.TableStats.NumDeletions = deletions
			row = append(row, t)
		}
		return row
	}
	// row is n tables with deletions side by side, each over half a table.
	row := func(from queue.Serial, n int) []pebble.SSTableInfo { return beside(from, n, fewBytes, 1) }
	// fresh is the same without.
	fresh := func(from queue.Serial, n int, size uint64) []pebble.SSTableInfo { return beside(from, n, size, 0) }
	wide := spec(1, 5010, 1000, 0)
	wide.TableStats.NumDeletions = 1
	overlaps := spec(1020, 1120, 1000, 0)
	overlaps.TableStats.NumDeletions = 1
	gives := spec(1, 5010, 1000, 20*tableBytes)
	gives.TableStats.NumDeletions = 1
	ranges := spec(1, 5010, 1000, 0)
	ranges.TableStats.NumDeletions, ranges.TableStats.RangeDeletionsBytesEstimate = 1, 20*tableBytes
	var above []pebble.SSTableInfo
	for range gathered {
		above = append(above, fresh(6000, 1, fewBytes)...)
	}
	for _, c := range []struct {
		name     string
		top      []pebble.SSTableInfo
		from, to queue.Serial // 0: none
	}{
		{"too few", row(1000, gathered-1), 0, 0},
		{"side by side", row(1000, gathered), 1000, 1000 + 50*gathered - 10},
		{"no more at once than must be", row(1000, 2*gathered), 1000, 1000 + 50*gathered - 10},
		{"an old one that reaches far stays", append(row(5020, gathered), wide), 5020, 5020 + 50*gathered - 10},
		{"and so do those below it", append(row(1000, gathered), wide), 0, 0},
		{"what overlaps is one", append(row(1000, gathered-1), overlaps), 1000, 1000 + 50*gathered - 60},
		{"not across what lies between", append(row(1000, gathered/2), row(1700, gathered/2)...), 0, 0},
		{"much is read where much is given back",
			append(row(1000, gathered-1), gives), 1, 5010},
		{"by ranges too", append(row(1000, gathered-1), ranges), 1, 5010},
		{"records alone wait", fresh(6000, heaped-1, fewBytes), 0, 0},
		{"until there are many", fresh(6000, heaped, fewBytes), 6000, 6000 + 50*heaped - 10},
		{"unless they lie above each other", above, 6000, 6040},
		{"or are small", fresh(6000, gathered, fewBytes/gathered), 6000, 6000 + 50*gathered - 10},
	} {
		levels := [][]pebble.SSTableInfo{c.top, below}
		g, ok := gather(levels, c.top)
		if ok != (c.to != 0) {
			t.Errorf("%s: %v", c.name, ok)
			continue
		}
		want := spec(c.from, c.to, 0, 0)
		if ok && (!bytes.Equal(g.from, want.Smallest.UserKey) || !bytes.Equal(g.to, want.Largest.UserKey)) {
			t.Errorf("%s: from %x to %x, want %x to %x", c.name, g.from, g.to, want.Smallest.UserKey, want.Largest.UserKey)
		}
	}
}

// TestAGenerationIsMergedOnce: the index of ids is merged when a generation is complete, which no later one has
// rewritten, and again when much of it was deleted.
func TestAGenerationIsMergedOnce(t *testing.T) {
	const gens, flushes, each = 4, gathered + 2, 10
	db, s, _ := settled(t, vfs.NewMem())
	defer end(t, db)
	below := make(map[record.Generation]map[uint64]bool) // numbers of tables that were ever below level 0
	look := func() {
		t.Helper()
		levels, err := db.SSTables()
		if err != nil {
			t.Fatal(err)
		}
		for n, level := range levels {
			for i := range level {
				from, to := level[i].Smallest.UserKey, level[i].Largest.UserKey
				if record.KindOf(from) != record.KindIndex {
					continue
				}
				g, _, err := record.IndexOf(from)
				if last, _, lerr := record.IndexOf(to); err != nil || lerr != nil || g != last {
					t.Fatalf("a table from %q to %q, errors %v and %v", from, to, err, lerr)
				}
				if below[g] == nil {
					below[g] = make(map[uint64]bool)
				}
				if n > 0 {
					below[g][uint64(level[i].FileNum)] = true
				}
			}
		}
	}
	r, ids := rand.New(rand.NewSource(1)), [gens][]string{}
	add := func(b *pebble.Batch, g record.Generation) {
		for range each {
			id := fmt.Sprint(r.Uint64())
			ids[g] = append(ids[g], id)
			_ = b.Set(record.AppendIndexKey(nil, g, id), record.AppendIndex(nil, 1), nil)
		}
	}
	for g := range record.Generation(gens) {
		for round := range flushes {
			b := db.NewBatch()
			add(b, g)
			if round == 0 && g > 0 {
				add(b, g-1)
			}
			tidied(t, db, s, b)
			look()
		}
	}
	for g := range record.Generation(gens) {
		if want := min(1, gens-1-int(g)); len(below[g]) != want {
			t.Errorf("generation %d was %d tables below level 0, want %d", g, len(below[g]), want)
		}
	}
	for len(ids[0]) > 0 {
		b := db.NewBatch()
		add(b, gens-1)
		for range min(each, len(ids[0])) {
			_ = b.Delete(record.AppendIndexKey(nil, 0, ids[0][0]), nil)
			ids[0] = ids[0][1:]
		}
		tidied(t, db, s, b)
		look()
	}
	if n := len(below[0]); n != 2 {
		t.Errorf("a generation that was deleted bit by bit was %d tables, want 2", n)
	}
	for round := 0; indexTables(t, db, 0) > 0; round++ { // Pebble counts deletions in the background
		if round > 1000 {
			t.Fatalf("of a generation that was deleted %d tables are left", indexTables(t, db, 0))
		}
		b := db.NewBatch()
		add(b, gens-1)
		tidied(t, db, s, b)
	}
}

// indexTables counts the tables of a generation.
func indexTables(t *testing.T, db *pebble.DB, g record.Generation) (n int) {
	t.Helper()
	levels, err := db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	for _, level := range levels {
		for i := range level {
			if of, _, err := record.IndexOf(level[i].Smallest.UserKey); err == nil && of == g {
				n++
			}
		}
	}
	return n
}
