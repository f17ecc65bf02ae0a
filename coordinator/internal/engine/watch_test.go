package engine

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func (r *rig) watch(after int64, f EventFilter) *Watcher {
	r.t.Helper()
	w, err := r.Watch(r.t.Context(), &after, f)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, at, err := w.Next(r.t.Context()); err != nil || after > 0 && at != after {
		r.t.Fatalf("first bookmark %d, %v", at, err)
	}
	return w
}

// drain reads until the newest event, checking that nothing is missing or twice (W1).
func (r *rig) drain(w *Watcher, from, to int64) {
	r.t.Helper()
	for from < to {
		events, at, err := w.Next(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		for _, e := range events {
			if e.Sequence != from+1 {
				r.t.Fatalf("event %d follows %d", e.Sequence, from)
			}
			from = e.Sequence
		}
		if at != from {
			r.t.Fatalf("bookmark %d after event %d", at, from)
		}
	}
}

// W1: wherever a watcher begins, it is told all that follows, in order, once.
func TestWatchFromAnywhere(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		for i := range 20 {
			r.submit(fmt.Sprint("old-", i))
		}
		early := r.watch(0, EventFilter{})
		defer early.Close()
		middle := r.watch(7, EventFilter{})
		defer middle.Close()
		last := r.watch(20, EventFilter{})
		defer last.Close()
		for i := range 20 {
			r.submit(fmt.Sprint("new-", i))
		}
		r.drain(early, 0, 40)
		r.drain(middle, 7, 40)
		r.drain(last, 20, 40)
	})
}

// All events of one change arrive together, also those of the ledger.
func TestWatchGivesWholeChanges(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.submit("a", "b", "c")
		w := r.watch(0, EventFilter{})
		defer w.Close()
		if events, _, _ := w.Next(t.Context()); len(events) != 3 {
			t.Errorf("%d events of the ledger", len(events))
		}
		r.submit("d", "e")
		if events, _, _ := w.Next(t.Context()); len(events) != 2 {
			t.Errorf("%d live events", len(events))
		}
	})
}

func TestWatchFilters(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		other := spec("c", func(s *queue.Spec) { s.Queue = "other" })
		r.submit("a", "b")
		if _, err := r.Submit(ctx, []queue.Spec{other}, nil); err != nil {
			t.Fatal(err)
		}
		r.complete(3)
		for name, row := range map[string]struct {
			filter EventFilter
			want   int
		}{
			"all":           {EventFilter{}, 10},
			"queue":         {EventFilter{Queue: "other"}, 4},
			"tasks":         {EventFilter{Tasks: []string{"a", "b"}}, 6},
			"kinds":         {EventFilter{Kinds: []queue.EventKind{queue.EventGranted, queue.EventCompleted}}, 6},
			"all of it":     {EventFilter{Queue: "default", Tasks: []string{"a", "c"}, Kinds: []queue.EventKind{queue.EventGranted}}, 1},
			"nothing there": {EventFilter{Queue: "none"}, 0},
		} {
			w := r.watch(0, row.filter)
			got, at := 0, int64(0)
			for at < 10 {
				events, mark, err := w.Next(ctx)
				if err != nil {
					t.Fatal(err)
				}
				got, at = got+len(events), mark
			}
			if got != row.want {
				t.Errorf("%s: %d events, want %d", name, got, row.want)
			}
			w.Close()
		}
	})
}

// A watcher that has nothing to hear gets a bookmark every 15 s, which moves on with what did
// not match.
func TestBookmarks(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		w, err := r.Watch(t.Context(), nil, EventFilter{Queue: "none"})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		began := time.Now()
		for i, want := range []struct {
			at    int64
			after time.Duration
		}{{0, 0}, {0, bookmarkEvery}, {1, 2 * bookmarkEvery}} {
			if i == 2 {
				r.submit("a")
			}
			events, at, err := w.Next(t.Context())
			if len(events) != 0 || at != want.at || err != nil || time.Since(began) != want.after {
				t.Errorf("bookmark %d: %d events, %d, %v after %v", i, len(events), at, err, time.Since(began))
			}
		}
	})
}

// W2: what cannot be told without a gap is refused with the bounds of what is kept.
func TestWatchOutOfRange(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.submit("a", "b", "c")
		r.submit("d")
		r.prune(3)
		for after, reason := range map[int64]queue.Reason{1: SequencePruned, 2: SequencePruned, 3: "", 4: "", 5: SequenceAhead, 0: ""} {
			w, err := r.Watch(t.Context(), &after, EventFilter{})
			if reason == "" {
				if err != nil {
					t.Errorf("after %d: %v", after, err)
					continue
				}
				w.Close()
				continue
			}
			var out *SequenceError
			if !errors.As(err, &out) || *out != (SequenceError{reason, 4, 4}) {
				t.Errorf("after %d: %v, want %s", after, err, reason)
			}
		}
		if n := r.history.watchers; n != 0 {
			t.Errorf("%d watchers are counted after all were closed", n)
		}
	})
}

// prune drops events, as retention does.
func (r *rig) prune(to int64) {
	r.t.Helper()
	if err := r.do(r.t.Context(), &queue.Prune{EventsTo: to}); err != nil {
		r.t.Fatal(err)
	}
}

// W2: a watcher that fell behind is served from the ledger, and cut with its resume point when
// what it wants next was pruned; one that asked for the oldest gets the oldest.
func TestSlowWatcher(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		r.submit("a")
		slow := r.watch(1, EventFilter{})
		defer slow.Close()
		every := r.watch(0, EventFilter{})
		defer every.Close()
		kept := r.watch(0, EventFilter{})
		defer kept.Close()
		r.submit("b")
		r.drain(kept, 0, 2)
		r.submit("c")
		r.emptyRing()
		r.drain(kept, 2, 3)

		r.submit("d")
		r.prune(3)
		r.emptyRing()
		_, _, err := slow.Next(t.Context())
		var cut *TooSlowError
		if !errors.As(err, &cut) || *cut != (TooSlowError{ResumeAfter: 1, Oldest: 4}) {
			t.Errorf("the slow one: %v", err)
		}
		if events, _, err := every.Next(t.Context()); err != nil || len(events) != 1 || events[0].Sequence != 4 {
			t.Errorf("the one that takes the oldest: %v, %v", events, err)
		}
		r.drain(kept, 3, 4)
	})
}

// emptyRing is as if many more events had come.
func (r *rig) emptyRing() {
	r.history.mu.Lock()
	defer r.history.mu.Unlock()
	r.history.commits, r.history.events = nil, 0
}

// The ring is bounded, goes on without a gap, and is empty when nobody watches.
func TestRing(t *testing.T) {
	var h history
	next := int64(1)
	publish := func(n int) {
		events := make([]queue.Event, n)
		for i := range events {
			events[i].Sequence = next
			next++
		}
		h.publish(events, 1, next-1)
	}
	publish(10)
	if h.events != 0 {
		t.Errorf("%d events are kept for nobody", h.events)
	}
	h.join()
	for range 40 {
		publish(ringEvents / 10)
	}
	if h.events > ringEvents {
		t.Errorf("%d events are kept", h.events)
	}
	if commits, behind, _ := h.after(10); !behind || commits != nil {
		t.Error("what has left the ring is given from it")
	}
	first := h.commits[0][0].Sequence
	if commits, behind, _ := h.after(first - 1); behind || commits[0][0].Sequence != first {
		t.Error("the oldest of the ring is not given")
	}
	if _, _, more := h.after(next - 1); more == nil {
		t.Error("nothing to wait for at the end")
	}
	h.leave()
	if h.events != 0 || len(h.commits) != 0 {
		t.Errorf("%d events are kept after the last has left", h.events)
	}
}

func TestWatcherEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, memledger.New())
		w := r.watch(0, EventFilter{})
		ctx, hangUp := context.WithCancel(t.Context())
		hangUp()
		if _, _, err := w.Next(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("of one that has gone: %v", err)
		}
		next := begin(t, func() (int64, error) { _, at, err := w.Next(t.Context()); return at, err })
		next.waits("next")
		r.stop()
		if err := next.failed(); !errors.Is(err, ErrStopping) {
			t.Errorf("at the stop: %v", err)
		}
		w.Close()
		w.Close()
	})
}
