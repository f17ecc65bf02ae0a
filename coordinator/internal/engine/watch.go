package engine

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Watcher reads the history in order. It is for one goroutine, and must be closed. It has no
// buffer of its own: a slow reader falls behind, is served from the ledger, and is cut only when
// what it wants next has been pruned.
type Watcher struct {
	engine *Engine
	filter EventFilter
	tasks  map[string]bool // of the filter
	at     int64           // all up to here was told, or did not match
	begun  bool            // the first bookmark was given
	anchor bool            // asked for the oldest, and nothing was told yet
	close  sync.Once
}

// Watch starts a reader behind a sequence. nil: new events only; 0: from the oldest kept; more:
// *SequenceError if the event after it is no longer kept, or it does not exist yet.
func (e *Engine) Watch(ctx context.Context, after *int64, f EventFilter) (*Watcher, error) {
	if err := e.serving(); err != nil {
		return nil, err
	}
	oldest, newest := e.history.join()
	w := &Watcher{engine: e, filter: f, at: newest}
	if len(f.Tasks) > 0 {
		w.tasks = make(map[string]bool, len(f.Tasks))
		for _, id := range f.Tasks {
			w.tasks[id] = true
		}
	}
	switch {
	case after == nil:
	case *after == 0:
		w.at, w.anchor = oldest-1, true
	case *after < oldest-1:
		w.Close()
		return nil, &SequenceError{Reason: SequencePruned, Oldest: oldest, Newest: newest}
	case *after > newest:
		w.Close()
		return nil, &SequenceError{Reason: SequenceAhead, Oldest: oldest, Newest: newest}
	default:
		w.at = *after
	}
	return w, nil
}

// Close ends the watch. It may be called more than once.
func (w *Watcher) Close() { w.close.Do(w.engine.history.leave) }

// Next gives the next events, of whole changes, and the sequence to resume after. The first call
// gives a bookmark alone, at once; later ones wait, and give a bookmark alone every 15 s.
// Errors: *TooSlowError, ErrStopping, that of the context or of a read.
func (w *Watcher) Next(ctx context.Context) ([]queue.Event, int64, error) {
	if !w.begun {
		w.begun = true
		return nil, w.at, nil
	}
	timer := time.NewTimer(bookmarkEvery)
	defer timer.Stop()
	for {
		events, more, err := w.advance(ctx)
		if err != nil || len(events) > 0 {
			return events, w.at, err
		}
		select {
		case <-timer.C:
			return nil, w.at, nil
		case <-ctx.Done():
			return nil, w.at, w.engine.cut(ctx)
		case <-w.engine.halted:
			return nil, w.at, w.engine.gone(ctx)
		case <-more:
		}
	}
}

// always is a channel that is ready.
var always = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// advance takes one step through the history: what matches, and when to take the next step.
func (w *Watcher) advance(ctx context.Context) ([]queue.Event, <-chan struct{}, error) {
	commits, behind, more := w.engine.history.after(w.at)
	if more != nil {
		return nil, more, nil
	}
	var events []queue.Event
	if behind {
		page, err := w.stored(ctx)
		if err != nil {
			return nil, nil, err
		}
		commits = [][]queue.Event{page}
	}
	for _, c := range commits {
		for i := range c {
			if w.matches(&c[i]) {
				events = append(events, c[i])
			}
		}
		if len(c) > 0 {
			w.at, w.anchor = c[len(c)-1].Sequence, false
		}
	}
	return events, always, nil
}

// stored reads behind the ring, up to what has been released: the ledger may show more.
func (w *Watcher) stored(ctx context.Context) ([]queue.Event, error) {
	_, newest := w.engine.history.bounds()
	page, err := w.engine.ledger.Events(ctx, w.at, pageEvents)
	if err != nil {
		return nil, err
	}
	events := page.Events
	for len(events) > 0 && events[len(events)-1].Sequence > newest {
		events = events[:len(events)-1]
	}
	if len(events) > 0 && events[0].Sequence == w.at+1 {
		return events, nil
	}
	oldest, _ := w.engine.history.bounds()
	oldest = max(oldest, page.Oldest)
	if !w.anchor {
		return nil, &TooSlowError{ResumeAfter: w.at, Oldest: oldest}
	}
	w.at = oldest - 1 // it asked for whatever is the oldest
	return nil, nil
}

func (w *Watcher) matches(e *queue.Event) bool {
	f := &w.filter
	return (f.Queue == "" || e.Queue == f.Queue) &&
		(w.tasks == nil || w.tasks[e.Task]) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, e.Kind))
}
