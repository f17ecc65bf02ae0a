package pebbleledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// settle takes tables out of level 0 that nothing is to be merged with: those of specs and events,
// whose keys come in their order. On its own Pebble takes them along when their neighbours are
// merged and writes each record anew, which costs a task more than to step it. It moves one that
// it is asked for by itself without reading it. What stays behind is merged by sweep.
type settle struct {
	stop context.CancelFunc
	work sync.WaitGroup
	wake chan struct{} // of one: there is something to do

	mu   sync.Mutex
	top  map[record.Kind][]byte // the highest key in a table
	todo map[uint64]bool        // tables that may be moved, by number
	kept queue.Serial           // none from here on has been pruned
}

// database is what settle needs of one.
type database interface {
	SSTables(...pebble.SSTablesOption) ([][]pebble.SSTableInfo, error)
	Compact(ctx context.Context, from, to []byte, parallel bool) error
}

// inOrder tells whether records of a kind are written in the order of their keys.
func inOrder(k record.Kind) bool { return k == record.KindEvents || k == record.KindSpec }

func newSettle() *settle {
	return &settle{
		stop: func() {}, wake: make(chan struct{}, 1),
		top: make(map[record.Kind][]byte), todo: make(map[uint64]bool),
	}
}

// flushed hears of tables that are new in level 0. Pebble's locks are held.
func (s *settle) flushed(tables []pebble.TableInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range tables {
		if inOrder(record.KindOf(tables[i].Smallest.UserKey)) {
			s.raise(&tables[i])
			s.todo[uint64(tables[i].FileNum)] = true
		}
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *settle) raise(t *pebble.TableInfo) {
	k := record.KindOf(t.Largest.UserKey)
	if bytes.Compare(t.Largest.UserKey, s.top[k]) > 0 {
		s.top[k] = t.Largest.UserKey
	}
}

// pruned hears of a serial whose records are about to be deleted.
func (s *settle) pruned(n queue.Serial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = max(s.kept, n+1)
}

// above is where a table of a kind ends that deletes old records: new ones get their own. Terminal
// records come only nearly in order: those above all that was pruned are new.
func (s *settle) above(k record.Kind) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k == record.KindTerminal {
		return record.AppendSerialKey(nil, k, s.kept)
	}
	if len(s.top[k]) == 0 || !inOrder(k) {
		return nil
	}
	return append(bytes.Clone(s.top[k]), 0)
}

// start moves tables until stop is called, and tells fail if it cannot.
func (s *settle) start(db database, fail func(error)) error {
	levels, err := db.SSTables()
	if err != nil {
		return err
	}
	s.mu.Lock()
	for _, level := range levels {
		for i := range level {
			s.raise(&level[i].TableInfo)
		}
	}
	s.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.work.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			}
			if err := s.tidy(ctx, db); err != nil {
				if !errors.Is(err, context.Canceled) {
					fail(fmt.Errorf("pebbleledger: move of tables: %w", explain(err)))
				}
				return
			}
		}
	})
	return nil
}

// tidy moves what there is to be moved, before each merge too, and merges what has gathered.
func (s *settle) tidy(ctx context.Context, db database) (err error) {
	// Pebble panics when the log cannot be written.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("write of the log: %v", r)
		}
	}()
	for more := true; more; {
		if err := s.move(ctx, db); err != nil {
			return err
		}
		if more, err = sweep(ctx, db); err != nil {
			return err
		}
	}
	return nil
}

func (s *settle) move(ctx context.Context, db database) error {
	todo := s.take() // first: what is flushed from here on stays for the next time
	levels, err := db.SSTables()
	if err != nil {
		return err
	}
	for i := range levels[0] {
		t := &levels[0][i].TableInfo
		if !todo[uint64(t.FileNum)] || !alone(levels, t) {
			continue
		}
		if err := compact(ctx, db, t.Smallest.UserKey, t.Largest.UserKey); err != nil {
			return err
		}
	}
	return nil
}

// compact merges tables down that hold any of from to to. Pebble takes no range of a single key.
func compact(ctx context.Context, db database, from, to []byte) error {
	return db.Compact(ctx, from, append(bytes.Clone(to), 0), false)
}

func (s *settle) take() map[uint64]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	todo := s.todo
	s.todo = make(map[uint64]bool)
	return todo
}

// alone tells that no other table reaches into t: moving it merges nothing.
func alone(levels [][]pebble.SSTableInfo, t *pebble.TableInfo) bool {
	for _, level := range levels {
		for i := range level {
			o := &level[i]
			if o.FileNum != t.FileNum && bytes.Compare(o.Smallest.UserKey, t.Largest.UserKey) <= 0 &&
				bytes.Compare(o.Largest.UserKey, t.Smallest.UserKey) >= 0 {
				return false
			}
		}
	}
	return true
}
