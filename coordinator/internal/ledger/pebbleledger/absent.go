package pebbleledger

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

// absent tells at the cost of a few cache misses that an id is surely not in the ledger, which
// is what nearly every submit asks. Pebble's own filters are in its tables; its memtable, where
// the newest ids are, has none, and a search there costs more than all the rest of a submit.
//
// It is a row of Bloom filters, each four times as large as the one before, so that it grows
// with the ledger. Pruned ids stay in it: they cost a look, no more. It is not stored: after a
// start it says nothing until a walk over the index has filled it.
type absent struct {
	seed     maphash.Seed
	adding   sync.Mutex
	filters  atomic.Pointer[[]*filter] // grows under adding
	complete atomic.Bool
	walk     sync.WaitGroup
	stop     context.CancelFunc
}

const (
	// firstIDs is the size of the first filter, in ids: 160 KiB.
	firstIDs = 1 << 16
	// growth from filter to filter: ten million ids are in five.
	growth = 4
	// idBits is the room for an id: with four million one in 1,000 is looked for in vain, which
	// costs as much as all else in the submit of 20 tasks.
	idBits = 20
	// walkKeys are read at a time, and then nothing for restShare times as long, so that
	// the walk takes a fifth of a core at most.
	walkKeys  = 4096
	restShare = 4
)

// filter is a blocked Bloom filter: all bits of an id lie in one cache line.
type filter struct {
	words []atomic.Uint64
	room  int
}

const (
	blockWords = 8 // 64 bytes
	idProbes   = 7
)

func newAbsent() *absent {
	a := &absent{seed: maphash.MakeSeed(), stop: func() {}}
	a.filters.Store(&[]*filter{newFilter(firstIDs)})
	return a
}

func newFilter(ids int) *filter {
	return &filter{words: make([]atomic.Uint64, ids*idBits/64), room: ids}
}

// block gives the words of a hash and the bits to look at, nine for each probe. The hash is mixed
// between the two: bits that have chosen the block say nothing more about what is in it.
func (b *filter) block(h uint64) (words []atomic.Uint64, probes uint64) {
	blocks := uint64(len(b.words) / blockWords)
	at := h % blocks * blockWords
	h *= 0x9e3779b97f4a7c15
	return b.words[at : at+blockWords], h ^ h>>32
}

func (b *filter) add(h uint64) {
	words, bits := b.block(h)
	for range idProbes {
		words[bits>>6&(blockWords-1)].Or(1 << (bits & 63))
		bits >>= 9
	}
}

func (b *filter) has(h uint64) bool {
	words, bits := b.block(h)
	for range idProbes {
		if words[bits>>6&(blockWords-1)].Load()&(1<<(bits&63)) == 0 {
			return false
		}
		bits >>= 9
	}
	return true
}

// add notes an id; before the batch that holds it is visible.
func (a *absent) add(id string) {
	a.adding.Lock()
	defer a.adding.Unlock()
	a.note(id)
}

// addAll notes the ids of a batch.
func (a *absent) addAll(ids []indexed) {
	a.adding.Lock()
	defer a.adding.Unlock()
	for i := range ids {
		a.note(ids[i].id)
	}
}

func (a *absent) note(id string) {
	filters := *a.filters.Load()
	last := filters[len(filters)-1]
	if last.room == 0 {
		last = newFilter(firstIDs * pow(growth, len(filters)))
		grown := slices.Concat(filters, []*filter{last})
		a.filters.Store(&grown)
	}
	last.room--
	last.add(maphash.String(a.seed, id))
}

func pow(base, n int) int {
	p := 1
	for range n {
		p *= base
	}
	return p
}

// sure tells that no spec of this id is in the ledger.
func (a *absent) sure(id string) bool {
	if !a.complete.Load() {
		return false
	}
	h := maphash.String(a.seed, id)
	for _, f := range *a.filters.Load() {
		if f.has(h) {
			return false
		}
	}
	return true
}

// prune takes the ids out of k that are surely absent. The keys of the caller stay as they are.
func (a *absent) prune(k ledger.Keys) (_ ledger.Keys, none bool) {
	ids := make([]string, len(k.IDs))
	none = true
	for i, id := range k.IDs {
		if !a.sure(id) {
			ids[i], none = id, false
		}
	}
	k.IDs = ids
	return k, none && len(k.Serials) == 0 && len(k.Attempts) == 0
}

// fill begins the walk over what the ledger holds already.
func (a *absent) fill(db *pebble.DB) {
	ctx, cancel := context.WithCancel(context.Background())
	a.stop = cancel
	a.walk.Go(func() {
		defer cancel()
		from := record.AppendKind(nil, record.KindIndex)
		for from != nil && ctx.Err() == nil {
			began := time.Now()
			next, err := a.some(db, from)
			if err != nil {
				return // reads will say so; until then each id is looked up
			}
			from = next
			rest(ctx, restShare*time.Since(began), from != nil)
		}
		a.complete.Store(from == nil)
	})
}

func rest(ctx context.Context, d time.Duration, more bool) {
	if !more {
		return
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// some adds the ids of the next specs and says where to go on; nil: that was all.
func (a *absent) some(db *pebble.DB, from []byte) (next []byte, err error) {
	it, err := db.NewIter(&pebble.IterOptions{
		LowerBound: from, UpperBound: record.AppendKindEnd(nil, record.KindIndex),
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := it.Close(); err == nil {
			err = cerr
		}
	}()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n++; n > walkKeys {
			return append([]byte(nil), it.Key()...), nil
		}
		a.add(string(it.Key()[1:]))
	}
	return nil, it.Error()
}

// end stops the walk.
func (a *absent) end() {
	a.stop()
	a.walk.Wait()
}
