package pebbleledger

import (
	"bytes"
	"cmp"
	"context"
	"hash/maphash"
	"log/slog"
	"maps"
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
// It is not stored: after a start it says nothing until a walk over the index has filled it. Pruned
// ids stay in it, where they cost memory and a look now and then; once they are the most it is filled
// anew, so that it is bounded by what the ledger holds and not by what it ever held. The same goes for the
// generations of the index, which it knows from the start.
type absent struct {
	log     *slog.Logger
	seed    maphash.Seed
	asked   atomic.Pointer[filters]             // nil until the first walk is over
	gens    atomic.Pointer[[]record.Generation] // of the index that may hold ids, the newest first
	walk    sync.WaitGroup
	ctx     context.Context // of walks
	stop    context.CancelFunc
	adding  sync.Mutex
	filling *filters // under adding, as what follows: takes what asked takes, and what a walk finds; nil: none goes on
	stale   int      // at most so many of asked have been pruned
	atLeast int      // are noted before it is filled anew
	again   time.Duration
}

const (
	// walkKeys are read at a time, and then nothing for restShare times as long, so that
	// the walk takes a fifth of a core at most. The first does not rest: as long as it lasts, each submit
	// costs more than the walk saves others by resting.
	walkKeys  = 4096
	restShare = 4
	// refillAt is how many ids are noted before it matters how many of them have been pruned: some
	// megabytes.
	refillAt = 1 << 20
	// walkAgain is the time after which a walk that could not read goes on.
	walkAgain = 10 * time.Second
)

func newAbsent(log *slog.Logger) *absent {
	a := &absent{log: log, seed: maphash.MakeSeed(), filling: newFilters(), atLeast: refillAt, again: walkAgain}
	a.gens.Store(new([]record.Generation))
	a.ctx, a.stop = context.WithCancel(context.Background())
	return a
}

// addAll notes the ids of a batch; before it is visible.
func (a *absent) addAll(ids []indexed) {
	a.adding.Lock()
	defer a.adding.Unlock()
	asked := a.asked.Load()
	for i := range ids {
		h := maphash.String(a.seed, ids[i].id)
		if asked != nil {
			asked.note(h)
		}
		if a.filling != nil {
			a.filling.note(h)
		}
		a.in(record.GenerationOf(ids[i].s))
	}
}

// in says that a generation holds ids. adding is held.
func (a *absent) in(g record.Generation) {
	if a.filling != nil {
		a.filling.gens[g] = true
	}
	gens := *a.gens.Load()
	if len(gens) > 0 && gens[0] == g || slices.Contains(gens, g) {
		return
	}
	a.setGens(slices.Concat(gens, []record.Generation{g}))
}

func (a *absent) setGens(gens []record.Generation) {
	slices.SortFunc(gens, func(a, b record.Generation) int { return cmp.Compare(b, a) })
	a.gens.Store(&gens)
}

// generations are those of the index that may hold ids, the newest first. Taken after a snapshot, it names
// all that have any which are still there.
func (a *absent) generations() []record.Generation { return *a.gens.Load() }

// sure tells that no spec of this id is in the ledger.
func (a *absent) sure(id string) bool {
	asked := a.asked.Load()
	return asked != nil && !asked.has(maphash.String(a.seed, id))
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

// dropped hears how many ids a batch has pruned, and tells whether it is time to begin anew. If it is,
// filling takes all that is added from here on: refill has to follow.
func (a *absent) dropped(n int) bool {
	a.adding.Lock()
	defer a.adding.Unlock()
	a.stale += n
	asked := a.asked.Load()
	if asked == nil || a.filling != nil || asked.noted < a.atLeast || a.stale*2 < asked.noted {
		return false
	}
	a.filling, a.stale = newFilters(), 0
	return true
}

// refill begins anew with the ids that the index keeps out of the database, and a walk over those in it.
func (a *absent) refill(db *pebble.DB, unwritten []indexed) {
	a.adding.Lock()
	for i := range unwritten {
		a.filling.note(maphash.String(a.seed, unwritten[i].id))
		a.filling.gens[record.GenerationOf(unwritten[i].s)] = true
	}
	a.adding.Unlock()
	a.fill(db)
}

// fill begins the walk over what the database holds already. Where it can't read, it tries again until it can.
func (a *absent) fill(db *pebble.DB) {
	share := time.Duration(restShare)
	if a.asked.Load() == nil {
		share = 0
	}
	a.walk.Go(func() {
		from := record.AppendKind(nil, record.KindIndex)
		for a.ctx.Err() == nil {
			began := time.Now()
			next, err := a.some(db, from)
			switch {
			case err != nil:
				a.log.Warn("ids not read, each submit looks for its own until they are", "again_in", a.again, "error", explain(err))
				rest(a.ctx, a.again)
				continue
			case next == nil:
				a.filled()
				return
			}
			from = next
			rest(a.ctx, share*time.Since(began))
		}
	})
}

// filled ends a walk: what it has filled is asked from now on.
func (a *absent) filled() {
	a.adding.Lock()
	defer a.adding.Unlock()
	a.asked.Store(a.filling)
	a.setGens(slices.Collect(maps.Keys(a.filling.gens)))
	a.filling.gens, a.filling = nil, nil
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// some notes the ids of the next entries and says where to go on; nil: that was all.
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
	hashes := make([]uint64, 0, walkKeys)
	gens := make(map[record.Generation]bool)
	for ok := it.First(); ok; ok = it.Next() {
		if len(hashes) == walkKeys {
			next = bytes.Clone(it.Key())
			break
		}
		g, id, err := record.IndexOf(it.Key())
		if err != nil {
			return nil, err
		}
		hashes, gens[g] = append(hashes, maphash.Bytes(a.seed, id)), true
	}
	a.adding.Lock()
	defer a.adding.Unlock()
	maps.Copy(a.filling.gens, gens)
	for _, h := range hashes {
		a.filling.note(h)
	}
	return next, it.Error()
}

// end stops the walk.
func (a *absent) end() {
	a.stop()
	a.walk.Wait()
}
