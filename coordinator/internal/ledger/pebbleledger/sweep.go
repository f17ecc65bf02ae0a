package pebbleledger

import (
	"bytes"
	"context"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

const (
	// gathered tables beside each other in level 0 are merged down if they have deletions: what those
	// of so many flushes give back stays on disk until then, some hundred megabytes at full load.
	gathered = 16
	// fewBytes: or if they hold no more than that, or lie above each other, as those of what each batch
	// writes again do. Pebble would merge all else along with them once they lie high enough.
	fewBytes = 1 << 20
	// heaped are merged down whatever they hold. Few large merges cost less than many small ones, since
	// each rewrites the neighbours that it reaches into.
	heaped = 128
	// sweepBytes are read at most for each of them: about two tables, which is as far as the
	// deletions of one flush reach.
	sweepBytes = 2 * tableBytes
	// sweepGain: or so many times the bytes that their deletions give back.
	sweepGain = 4
)

// sweep merges the highest group of tables that has gathered in level 0, and tells whether there was one.
// Pebble counts only those that lie above each other. Deletions lie side by side, each over the
// next old records, and those of live and terminal records like stairs: without a sweep they stay,
// and what they delete with them, and each is one more that a read looks at.
func sweep(ctx context.Context, db database) (bool, error) {
	levels, err := db.SSTables()
	if err != nil {
		return false, err
	}
	top := make(map[record.Kind][]pebble.SSTableInfo)
	for i := range levels[0] {
		k := spanOf(levels[0][i].Smallest.UserKey)
		top[k] = append(top[k], levels[0][i])
	}
	most, err := ripe(levels)
	if err != nil {
		return false, err
	}
	delete(top, record.KindIndex)
	for _, k := range spans {
		if g, ok := gather(levels, top[k[0]]); ok && g.deep > most.deep {
			most = g
		}
	}
	if most.deep == 0 {
		return false, nil
	}
	return true, compact(ctx, db, most.from, most.to)
}

// group is of tables of level 0 beside each other.
type group struct {
	from, to []byte // its keys
	tables   int
	deep     int    // tables above each other
	deleting int    // tables with deletions
	bytes    uint64 // in its tables
	frees    uint64 // bytes that its deletions give back
}

// gather finds a group that is worth its merge: one old deletion must not have all that was written
// since rewritten. What overlaps cannot be merged apart; what lies side by side is taken together as
// long as it is worth it.
func gather(levels [][]pebble.SSTableInfo, top []pebble.SSTableInfo) (g group, ok bool) {
	if len(top) < gathered {
		return g, false
	}
	for _, next := range overlapping(top) {
		if both := g.with(next); g.tables > 0 && g.beside(next, levels) && both.worth(levels) {
			next = both
		}
		if g = next; g.enough() && g.worth(levels) {
			return g, true
		}
	}
	return g, false
}

func groupOf(t *pebble.SSTableInfo) group {
	g := group{
		from: t.Smallest.UserKey, to: t.Largest.UserKey, tables: 1, deep: 1,
		bytes: t.Size, frees: t.TableStats.PointDeletionsBytesEstimate + t.TableStats.RangeDeletionsBytesEstimate,
	}
	if t.TableStats.NumDeletions > 0 {
		g.deleting = 1
	}
	return g
}

// overlapping makes groups of what overlaps, in the order of their keys.
func overlapping(top []pebble.SSTableInfo) (groups []group) {
	slices.SortFunc(top, func(a, b pebble.SSTableInfo) int {
		return bytes.Compare(a.Smallest.UserKey, b.Smallest.UserKey)
	})
	var open [][]byte // where those end that are above each other
	for i := range top {
		next := groupOf(&top[i])
		open = slices.DeleteFunc(open, func(end []byte) bool { return bytes.Compare(end, next.from) < 0 })
		open = append(open, next.to)
		next.deep = len(open)
		if n := len(groups); n > 0 && bytes.Compare(next.from, groups[n-1].to) <= 0 {
			groups[n-1] = groups[n-1].with(next)
		} else {
			groups = append(groups, next)
		}
	}
	return groups
}

// with is g and one that doesn't begin before it.
func (g group) with(next group) group {
	if bytes.Compare(next.to, g.to) < 0 {
		next.to = g.to
	}
	return group{
		g.from, next.to, g.tables + next.tables, max(g.deep, next.deep),
		g.deleting + next.deleting, g.bytes + next.bytes, g.frees + next.frees,
	}
}

// enough tells that so much has gathered in g that it is time to merge it.
func (g group) enough() bool {
	return max(g.deleting, g.deep) >= gathered || g.tables >= gathered && g.bytes <= fewBytes || g.tables >= heaped
}

// beside tells that no table lies between g and the next, which a merge of both would rewrite for
// nothing.
func (g group) beside(next group, levels [][]pebble.SSTableInfo) bool {
	for _, level := range levels {
		for i := range level {
			if t := &level[i]; bytes.Compare(t.Smallest.UserKey, g.to) > 0 && bytes.Compare(t.Largest.UserKey, next.from) < 0 {
				return false
			}
		}
	}
	return true
}

// worth tells that merging g reads little for what it gives.
func (g group) worth(levels [][]pebble.SSTableInfo) bool {
	var read uint64
	for _, level := range levels {
		for i := range level {
			if t := &level[i]; bytes.Compare(t.Smallest.UserKey, g.to) <= 0 && bytes.Compare(t.Largest.UserKey, g.from) >= 0 {
				read += t.Size
			}
		}
	}
	return read <= uint64(g.tables)*sweepBytes+sweepGain*g.frees
}
