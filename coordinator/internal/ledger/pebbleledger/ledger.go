package pebbleledger

import (
	"cmp"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/keyed"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Ledger is a ledger.Ledger in a folder. Lead, Commit and Close are for one goroutine; reads
// and the waits of Commit for any.
type Ledger struct {
	o       Options
	failure *failure
	lock    *pebble.Lock
	db      *pebble.DB // nil before Lead and after Close
	writer  keyed.Writer
	absent  *absent
	index   *index
	settle  *settle
	ids     []indexed // new in the batch that is being encoded
	pruned  []indexed // and those that go with it
	refused error     // why a batch could not be written at all; final like a failure
}

var _ ledger.Ledger = (*Ledger)(nil)

// New only takes the settings; Lead opens the folder.
func New(o Options) *Ledger {
	o.CacheBytes = cmp.Or(o.CacheBytes, DefaultCache)
	o.Logger = cmp.Or(o.Logger, slog.Default())
	return &Ledger{o: o, failure: newFailure(&o), absent: newAbsent(o.Logger), index: newIndex(), settle: newSettle()}
}

// Commit is ledger.Ledger's. The wait must be called.
func (l *Ledger) Commit(b *queue.Batch) (func() error, error) {
	if l.db == nil {
		return nil, fmt.Errorf("pebbleledger: commit: %w", ledger.ErrClosed)
	}
	if l.refused != nil {
		return nil, l.refused
	}
	if err := l.failure.get(); err != nil {
		return nil, err
	}
	w, err := l.commit(b)
	if err != nil {
		return nil, err
	}
	if l.index.full(w.size) {
		db := l.db
		l.index.work.Go(func() {
			if err := l.index.write(db); err != nil {
				_ = l.failure.set(err)
			}
		})
	}
	return w.wait, nil
}

func (l *Ledger) commit(b *queue.Batch) (*waiter, error) {
	l.index.turn.Lock()
	defer l.index.turn.Unlock()
	p, err := l.encode(b)
	if err != nil {
		l.refused = fmt.Errorf("pebbleledger: batch %d: %w", b.Head.Batch, explain(err))
		return nil, l.refused
	}
	l.absent.addAll(l.ids)
	l.index.addAll(l.ids)
	w, err := l.apply(p, b.Head.Batch)
	if err != nil {
		err = l.failure.set(fmt.Errorf("pebbleledger: commit of batch %d: %w", b.Head.Batch, explain(err)))
		return nil, l.index.fail(err) // it has ids that the database has not
	}
	l.index.dropAll(l.pruned)
	if l.absent.dropped(len(l.pruned)) {
		l.absent.refill(l.db, l.index.unwritten())
	}
	return w, nil
}

// encode turns b into a batch of Pebble's.
func (l *Ledger) encode(b *queue.Batch) (*pebble.Batch, error) {
	p := l.db.NewBatch()
	l.ids, l.pruned = l.ids[:0], l.pruned[:0]
	err := l.writer.Write(b, sink{p, l}, func() (keyed.View, func() error, error) {
		return view{r: l.db}, func() error { return nil }, nil
	})
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// apply writes batch n into the log and the memtable, and starts its sync.
func (l *Ledger) apply(p *pebble.Batch, n uint64) (_ *waiter, err error) {
	// Pebble panics when the log cannot be written.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("write of the log: %v", r)
		}
	}()
	size := p.Len()
	if err := l.db.ApplyNoSyncWait(p, pebble.Sync); err != nil {
		return nil, err
	}
	return &waiter{f: l.failure, p: p, n: n, size: size}, nil
}

// waiter waits for the sync of one batch.
type waiter struct {
	f    *failure
	p    *pebble.Batch
	n    uint64
	size int // bytes
	once sync.Once
	err  error
}

func (w *waiter) wait() error {
	w.once.Do(func() {
		err := w.p.SyncWait()
		if err != nil {
			w.err = w.f.set(fmt.Errorf("pebbleledger: sync of batch %d: %w", w.n, explain(err)))
			return
		}
		// A failure elsewhere is one of this batch too: nothing is acknowledged after it.
		w.err = w.f.get()
		_ = w.p.Close() // gives the buffer back; it has no other effect
	})
	return w.err
}

// sink is a keyed.Sink over a batch of Pebble's. The index keeps ids for later.
type sink struct {
	p *pebble.Batch
	l *Ledger
}

func (s sink) Index(id string, n queue.Serial) error {
	s.l.ids = append(s.l.ids, indexed{id: id, s: n})
	return nil
}

func (s sink) Unindex(id string, n queue.Serial) error {
	s.l.pruned = append(s.l.pruned, indexed{id: id, s: n})
	s.l.settle.pruned(n)
	return nil
}

func (s sink) Set(key, value []byte) error       { return s.p.Set(key, value, nil) }
func (s sink) Delete(key []byte) error           { return s.p.Delete(key, nil) }
func (s sink) DeleteRange(from, to []byte) error { return s.p.DeleteRange(from, to, nil) }

// Close is ledger.Ledger's. After a failure it returns that and leaves all as it is: closing
// would sync once more.
func (l *Ledger) Close() error {
	if l.db == nil {
		return fmt.Errorf("pebbleledger: close: %w", ledger.ErrClosed)
	}
	l.absent.end()
	l.settle.stop()
	db := l.db
	l.db = nil
	if err := l.failure.get(); err != nil {
		return err
	}
	l.settle.work.Wait()
	l.index.work.Wait()
	if l.refused == nil {
		// A start needs not read the newest specs then. A ledger with a batch that could not be written is left as it is.
		if err := l.index.write(db); err != nil {
			return l.failure.set(err)
		}
	}
	if err := l.failure.get(); err != nil {
		return err
	}
	err := db.Close()
	if cerr := l.lock.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("pebbleledger: close folder %q: %w", l.o.Dir, explain(err))
	}
	return nil
}
