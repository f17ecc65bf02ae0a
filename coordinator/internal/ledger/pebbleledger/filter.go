package pebbleledger

import (
	"slices"
	"sync/atomic"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

const (
	// firstIDs is the size of the first filter, in ids: 192 KiB.
	firstIDs = 1 << 16
	// growth from filter to filter, while they are small, and growthMany once one has room for manyIDs: each
	// that is asked costs a cache miss, and what a large one has no use for yet is held all the same. Ten
	// million ids are in five.
	growth     = 4
	growthMany = 2
	manyIDs    = 4 << 20
	// idBits is the room for an id: with ten million one in 4,000 is looked for in vain, which
	// costs as much as all else in the submit of 20 tasks.
	idBits = 24
)

// filters are a row of Bloom filters, each some times as large as the one before, so that it grows
// with the ledger. Any number may ask while one notes.
type filters struct {
	row   atomic.Pointer[[]*filter]
	noted int
	gens  map[record.Generation]bool // of what was noted
}

// filter is a blocked Bloom filter: all bits of an id lie in one cache line.
type filter struct {
	words []atomic.Uint64
	room  int
}

const (
	blockWords = 8 // 64 bytes
	idProbes   = 11
)

func newFilters() *filters {
	f := &filters{gens: make(map[record.Generation]bool)}
	f.row.Store(&[]*filter{newFilter(firstIDs)})
	return f
}

func newFilter(ids int) *filter {
	return &filter{words: make([]atomic.Uint64, ids*idBits/64), room: ids}
}

// next gives the filter that follows a full one in the row.
func (b *filter) next() *filter {
	ids := len(b.words) * 64 / idBits
	if ids < manyIDs {
		return newFilter(growth * ids)
	}
	return newFilter(growthMany * ids)
}

// block gives the words in which the bits of a hash lie.
func (b *filter) block(h uint64) []atomic.Uint64 {
	blocks := uint64(len(b.words) / blockWords)
	at := h % blocks * blockWords
	return b.words[at : at+blockWords]
}

// probe mixes a hash anew; its nine highest bits are a place in a block. What has chosen the block says
// nothing more about what is in it.
func probe(h uint64) uint64 { return h * 0x9e3779b97f4a7c15 }

func (b *filter) add(h uint64) {
	words := b.block(h)
	for range idProbes {
		h = probe(h)
		words[h>>61].Or(1 << (h >> 55 & 63))
	}
}

func (b *filter) has(h uint64) bool {
	words := b.block(h)
	for range idProbes {
		h = probe(h)
		if words[h>>61].Load()&(1<<(h>>55&63)) == 0 {
			return false
		}
	}
	return true
}

// note takes the hash of an id.
func (f *filters) note(h uint64) {
	row := *f.row.Load()
	last := row[len(row)-1]
	if last.room == 0 {
		last = last.next()
		grown := slices.Concat(row, []*filter{last})
		f.row.Store(&grown)
	}
	last.room--
	last.add(h)
	f.noted++
}

func (f *filters) has(h uint64) bool {
	for _, f := range *f.row.Load() {
		if f.has(h) {
			return true
		}
	}
	return false
}
