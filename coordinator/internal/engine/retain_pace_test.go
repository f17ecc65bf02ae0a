package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// watched is a ledger whose history takes its time. It counts what is read.
type watched struct {
	ledger.Ledger
	each           time.Duration
	during         func(page int64)
	pages          atomic.Int64
	events, states atomic.Int64
	sound          atomic.Int64 // look-ups work, then they fail
	fault          error
}

func (w *watched) Events(ctx context.Context, after int64, limit int) (ledger.EventPage, error) {
	if w.during != nil {
		w.during(w.pages.Load())
	}
	time.Sleep(w.each)
	page, err := w.Ledger.Events(ctx, after, limit)
	w.events.Add(int64(len(page.Events)))
	w.pages.Add(1)
	return page, err
}

func (w *watched) Get(ctx context.Context, keys ledger.Keys) (ledger.Found, error) {
	w.states.Add(int64(len(keys.Serials)))
	if w.fault != nil && w.sound.Add(-1) < 0 {
		return ledger.Found{}, w.fault
	}
	return w.Ledger.Get(ctx, keys)
}

// aged is a ledger in which thousands of tasks ended two hours ago.
func aged(t *testing.T, thousands int, before ...func(*rig)) *memledger.Ledger {
	mem := memledger.New()
	r := start(t, mem)
	for _, f := range before {
		f(r)
	}
	for i := range thousands {
		r.ends(fmt.Sprint("task-", i), 1000)
	}
	time.Sleep(2 * time.Hour)
	r.stop()
	return mem
}

// ends submits tasks and cancels them.
func (r *rig) ends(name string, tasks int) {
	r.t.Helper()
	var many []queue.Spec
	var all []queue.Choice
	for i := range tasks {
		many = append(many, spec(fmt.Sprint(name, "-", i)))
		all = append(all, queue.Choice{ID: many[i].ID})
	}
	if tasks == 0 {
		return
	}
	if _, err := r.Submit(r.t.Context(), many, nil); err != nil {
		r.t.Error(err)
	}
	if n, err := r.Cancel(r.t.Context(), all, ""); n != tasks || err != nil {
		r.t.Error(n, err)
	}
}

// pruned waits until so many tasks have gone, and gives the time that it took.
func (r *rig) pruned(tasks int64) time.Duration {
	r.t.Helper()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		s, err := r.Status(r.t.Context())
		if err != nil || time.Since(began) > time.Minute {
			r.t.Fatalf("status %+v, %v", s, err)
		}
		if s.Counts.Pruned == tasks {
			return time.Since(began)
		}
	}
}

// What is due leaves half the time to others, unless they make more than is forgotten.
func TestRetentionHasAPace(t *testing.T) {
	const each = 10 * time.Millisecond
	for name, test := range map[string]struct {
		made int // tasks that others submit and cancel while a page is read
		want time.Duration
	}{
		"nobody waits": {0, 3*each + 2*each}, // 3 pages, 2 rests
		"some wait":    {600, 3*each + 2*each},
		"many wait":    {2500, 3 * each},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mem := aged(t, 6)
				w := &watched{Ledger: mem, each: each}
				r := start(t, mem, retaining, func(e *Engine) {
					others := &rig{Engine: e, t: t}
					e.ledger, w.during = w, func(page int64) { others.ends(fmt.Sprint("other-", page), test.made) }
				})
				if got := r.pruned(6000).Round(each); got != test.want {
					t.Errorf("all was forgotten after %v, want %v", got, test.want)
				}
				r.stop()
			})
		})
	}
}

// Retention doesn't wait for the disk before it goes on, and reads nothing twice for that.
func TestRetentionReadsAhead(t *testing.T) {
	const tasks, write, read = 6000, 100 * time.Millisecond, 50 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		mem := aged(t, tasks/1000)
		w := &watched{each: read}
		r := start(t, mem, retaining, func(e *Engine) {
			w.Ledger, e.ledger = e.ledger, w
			e.hooks.beforeCommit = func(uint64) { time.Sleep(write) }
		})
		if got := r.pruned(tasks); got > tasks/prunePerCall*write+2*read { // the first read, and the answer's way
			t.Errorf("all was forgotten after %v: reading and writing in turn", got)
		}
		if n := w.events.Load(); n > 3*tasks { // submitted, cancelled and perhaps pruned
			t.Errorf("%d events were read", n)
		}
		r.stop()
	})
}

// With nothing due the history is read once a minute, and what was deferred is looked up no more often.
func TestRetentionIsIdle(t *testing.T) {
	w := new(watched)
	bubble(t, func(t *testing.T, r *rig) {
		time.Sleep(59 * time.Minute)
		if n := w.pages.Swap(0); n > 60 {
			t.Errorf("%d reads in an hour with nothing at all", n)
		}
		parent(r)
		time.Sleep(30 * time.Minute)
		for i := range 60 {
			r.submit(fmt.Sprint("task-", i))
			r.complete(1)
			time.Sleep(time.Second)
		}
		time.Sleep(28 * time.Minute)
		if n := w.pages.Load(); n > 60 {
			t.Errorf("%d reads in an hour", n)
		}
		time.Sleep(31 * time.Minute)
		before := w.states.Load()
		time.Sleep(2 * time.Minute)
		if n := w.states.Load() - before; n > 60+2 {
			t.Errorf("%d states were read for 60 tasks that were due", n)
		}
		if !r.gone("task-59") {
			t.Error("what was due is still there")
		}
		r.orphaned()
	}, retaining, func(e *Engine) {
		w.Ledger, e.ledger = e.ledger, w
		e.hooks.beforeCommit = func(uint64) { time.Sleep(time.Millisecond) }
	})
}

// A look-up that fails leaves nothing out, not even of what was on its way: all is tried again a
// minute later.
func TestRetentionGoesOnAfterAFault(t *testing.T) {
	for _, sound := range []int64{1, 3} { // within the first page, and at the second
		t.Run(fmt.Sprint(sound, " look-ups"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &watched{Ledger: aged(t, 6, parent), fault: errors.New("broken disk")}
				w.sound.Store(sound)
				r := start(t, w.Ledger.(*memledger.Ledger), retaining, func(e *Engine) {
					e.ledger = w
					e.hooks.beforeCommit = func(uint64) { time.Sleep(time.Millisecond) }
				})
				time.Sleep(30 * time.Second)
				if s, err := r.Status(t.Context()); err != nil || s.Counts.Pruned == 6000 {
					t.Fatalf("status %+v, %v", s, err)
				}
				w.sound.Store(1000)
				r.pruned(6000)
				r.orphaned()
				r.stop()
			})
		})
	}
}
