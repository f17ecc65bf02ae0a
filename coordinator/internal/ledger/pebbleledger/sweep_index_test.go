package pebbleledger

import (
	"bytes"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

// ids is a table of a generation of the index with entries and deletions.
func ids(g record.Generation, from, to string, written, deleted uint64) (t pebble.SSTableInfo) {
	t.Smallest.UserKey = record.AppendIndexKey(nil, g, from)
	t.Largest.UserKey = record.AppendIndexKey(nil, g, to)
	t.TableStats.NumEntries, t.TableStats.NumDeletions = written+deleted, deleted
	return t
}

// TestRipe: which generation of the index is merged, of which keys.
func TestRipe(t *testing.T) {
	type tables = []pebble.SSTableInfo
	high := func(g record.Generation, n int) (ts tables) {
		for range n {
			ts = append(ts, ids(g, "b", "y", 100, 0))
		}
		return ts
	}
	beside := func(g record.Generation, n int) (ts tables) {
		for i := range byte(n) {
			ts = append(ts, ids(g, string([]byte{'a' + i, 'a'}), string([]byte{'a' + i, 'b'}), 100, 0))
		}
		return ts
	}
	cut := ids(2, "b", "y", 0, 50) // its merge was cut short
	newer := ids(9, "b", "y", 100, 0)
	for _, c := range []struct {
		name       string
		top, below tables
		g          record.Generation
		from, to   string // empty: none
	}{
		{"one that is complete and high", append(high(3, gathered), newer), nil, 3, "b", "y"},
		{"not yet high", append(high(3, gathered-1), newer), high(3, 2), 0, "", ""},
		{"many side by side", append(beside(3, gathered), newer), nil, 0, "", ""},
		{"more ids may come", high(3, gathered), nil, 0, "", ""},
		{"the highest", append(append(high(3, gathered), high(4, gathered+1)...), newer), nil, 4, "b", "y"},
		{"all deleted", tables{ids(3, "c", "d", 0, 100), newer}, tables{ids(3, "b", "k", 50, 0), ids(3, "l", "z", 50, 0)}, 3, "b", "z"},
		{"nearly all deleted", tables{ids(3, "c", "d", 0, 63), newer}, tables{ids(3, "b", "y", 64, 0)}, 3, "b", "y"},
		{"most deleted", tables{ids(3, "c", "d", 0, 62), newer}, tables{ids(3, "b", "y", 64, 0)}, 0, "", ""},
		{"the newest all deleted", tables{ids(9, "b", "y", 0, 100)}, tables{ids(9, "b", "y", 100, 0)}, 9, "b", "y"},
		{"all deleted before any merge", tables{ids(9, "b", "y", 100, 0), ids(9, "b", "y", 0, 100)}, nil, 9, "b", "y"},
		{"deleted by what lies low", tables{newer}, tables{ids(3, "b", "y", 0, 100)}, 0, "", ""},
		{"a merge was cut short", tables{newer}, tables{ids(2, "b", "y", 50, 0)}, 2, "b", "y"},
		{"not counted yet", tables{ids(3, "c", "d", 0, 100), newer}, tables{ids(3, "b", "y", 0, 0), ids(3, "b", "y", 50, 0)}, 0, "", ""},
	} {
		g, err := ripe([][]pebble.SSTableInfo{c.top, {cut}, c.below})
		if err != nil || (g.deep > 0) != (c.to != "") {
			t.Errorf("%s: depth %d, error %v", c.name, g.deep, err)
			continue
		}
		from, to := record.AppendIndexKey(nil, c.g, c.from), record.AppendIndexKey(nil, c.g, c.to)
		if c.to != "" && (!bytes.Equal(g.from, from) || !bytes.Equal(g.to, to)) {
			t.Errorf("%s: from %q to %q, want %q to %q", c.name, g.from, g.to, from, to)
		}
	}
}
