package pebbleledger

import (
	"bytes"
	"context"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

// settle takes tables out of level 0 that nothing is to be merged with: those of specs and events
// whose keys all lie above the ones before. On its own Pebble takes them along when their
// neighbours are merged and writes each record anew, which costs a task more than to step it. It
// moves one that it is asked for by itself without reading it.
type settle struct {
	stop context.CancelFunc
	work sync.WaitGroup
	wake chan struct{} // of one: there is something to do

	mu   sync.Mutex
	top  map[record.Kind][]byte // highest key in tables so far
	todo []pebble.TableInfo
}

func newSettle() *settle {
	return &settle{stop: func() {}, wake: make(chan struct{}, 1), top: make(map[record.Kind][]byte)}
}

// flushed hears of tables that are new in level 0. Pebble's locks are held.
func (s *settle) flushed(tables []pebble.TableInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range tables {
		kind := record.KindOf(t.Smallest.UserKey)
		if kind != record.KindEvents && kind != record.KindSpec {
			continue
		}
		top := s.top[kind]
		if bytes.Compare(t.Smallest.UserKey, top) > 0 && bytes.Compare(t.Smallest.UserKey, t.Largest.UserKey) < 0 {
			s.todo = append(s.todo, t)
		}
		if bytes.Compare(t.Largest.UserKey, top) > 0 {
			s.top[kind] = t.Largest.UserKey
		}
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// start moves tables until end is called.
func (s *settle) start(db *pebble.DB) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	s.work.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-s.wake:
			}
			if s.move(ctx, db) != nil {
				return // Pebble has told its listener what is wrong
			}
		}
	})
}

// move moves what there is to be moved.
func (s *settle) move(ctx context.Context, db *pebble.DB) error {
	for _, t := range s.take() {
		if err := db.Compact(ctx, t.Smallest.UserKey, t.Largest.UserKey, false); err != nil {
			return err
		}
	}
	return nil
}

func (s *settle) take() []pebble.TableInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	todo := s.todo
	s.todo = nil
	return todo
}

// end returns when nothing is moved any more.
func (s *settle) end() {
	s.stop()
	s.work.Wait()
}
