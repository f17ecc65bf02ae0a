package pebbleledger

import (
	"bytes"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

// goneShare: a generation of the index of which no more than one in so many ids is left is merged, so
// that it goes from the disk with its last task. As a share it is merged a few times at most on the
// way there.
const goneShare = 64

// ripe gives that generation of the index which has gathered highest in level 0, of those that it is
// time to merge: there is one newer, so that all its ids have come, or nearly all of them have been
// deleted. Most are merged once when complete, then when many were deleted, and at their end.
func ripe(levels [][]pebble.SSTableInfo) (most group, err error) {
	piles, newest := make(map[record.Generation]*pile), record.Generation(0)
	for n, level := range levels {
		for i := range level {
			t := &level[i]
			if record.KindOf(t.Smallest.UserKey) != record.KindIndex {
				continue
			}
			g, _, err := record.IndexOf(t.Smallest.UserKey)
			if err != nil {
				return group{}, err
			}
			if piles[g] == nil {
				piles[g] = new(pile)
			}
			piles[g].add(t, n)
			newest = max(newest, g)
		}
	}
	for n, p := range piles {
		if g := p.merged(n == newest); g.deep > most.deep {
			most = g
		}
	}
	return most, nil
}

// pile is the tables of a generation.
type pile struct {
	top              []pebble.SSTableInfo // those in level 0
	from, to         []byte
	levels, lowest   int    // how many there are in, and the last
	written, deleted uint64 // entries in all of them, or unknown
}

// add takes the tables level by level.
func (p *pile) add(t *pebble.SSTableInfo, level int) {
	if level == 0 {
		p.top = append(p.top, *t)
	}
	if p.levels == 0 || p.lowest != level {
		p.levels, p.lowest = p.levels+1, level
	}
	if p.from == nil || bytes.Compare(t.Smallest.UserKey, p.from) < 0 {
		p.from = t.Smallest.UserKey
	}
	if bytes.Compare(t.Largest.UserKey, p.to) > 0 {
		p.to = t.Largest.UserKey
	}
	if t.TableStats.NumEntries == 0 { // not counted yet
		p.written = math.MaxInt64
		return
	}
	p.written += t.TableStats.NumEntries - t.TableStats.NumDeletions
	p.deleted += t.TableStats.NumDeletions
}

// merged is the group to be merged, whose depth is 0 if there is none. What was deleted counts as high.
// What lies in the lowest level alone was merged already.
func (p *pile) merged(newest bool) (g group) {
	for _, next := range overlapping(p.top) {
		g.deep = max(g.deep, next.deep)
	}
	g.from, g.to = p.from, p.to
	gone := p.deleted > 0 && p.deleted >= p.written-p.written/goneShare
	switch {
	case gone && (len(p.top) > 0 || p.levels > 1):
		g.deep = max(g.deep, gathered)
	case newest || g.deep < gathered:
		g.deep = 0
	}
	return g
}
