package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func retaining(e *Engine) { e.config.Retain = time.Hour }

func (r *rig) gone(id string) bool {
	r.t.Helper()
	_, err := r.Task(r.t.Context(), id)
	var refusal *queue.Error
	if err != nil && (!errors.As(err, &refusal) || refusal.Reason != queue.TaskNotFound) {
		r.t.Errorf("task %s: %v", id, err)
	}
	return err != nil
}

// Terminal tasks and events go when their time is up, and not before; live ones stay.
func TestRetention(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		for i := range 30 {
			r.submit(fmt.Sprint("old-", i))
		}
		r.complete(30)
		r.submit("live")
		time.Sleep(30 * time.Minute)
		r.submit("young")
		if n, err := r.Cancel(t.Context(), []queue.Choice{{ID: "young"}}, ""); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		time.Sleep(30*time.Minute - time.Second)
		if r.gone("old-0") {
			t.Error("a task went before its time")
		}
		time.Sleep(3 * time.Second)
		for i := range 30 {
			if id := fmt.Sprint("old-", i); !r.gone(id) {
				t.Errorf("%s is still there", id)
			}
		}
		if r.gone("live") || r.gone("young") {
			t.Error("a task went that is live or young")
		}
		s, err := r.Status(t.Context())
		if err != nil || s.Counts.Pruned != 30 || s.Oldest != 92 {
			t.Errorf("status %+v, %v", s, err)
		}
		time.Sleep(time.Hour + time.Minute)
		if s, _ = r.Status(t.Context()); s.Counts.Pruned != 31 || s.Oldest != 124 { // PRUNED events go too
			t.Errorf("an hour later: %+v", s)
		}
	}, retaining)
}

// A terminal task that something live depends on is deferred, over a restart too, and goes when
// nothing does any more. A look-up that fails forgets none.
func TestDeferredTasksAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memledger.New()
		r := start(t, mem, retaining)
		parent(r)
		time.Sleep(2 * time.Hour)
		if r.gone("parent") {
			t.Fatal("a task went that a live one depends on")
		}
		r.stop()

		w := &watched{Ledger: mem, fault: errors.New("broken disk")}
		r = start(t, mem, retaining, func(e *Engine) { e.ledger = w })
		time.Sleep(time.Second)
		w.sound.Store(1000)
		time.Sleep(2 * time.Hour)
		r.orphaned()
		r.stop()
	})
}

// What was deferred is kept if a restart makes the retention longer.
func TestDeferredThroughLongerRetention(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memledger.New()
		r := start(t, mem, retaining)
		parent(r)
		time.Sleep(2 * time.Hour)
		r.stop()
		r = start(t, mem, func(e *Engine) { e.config.Retain = 3 * time.Hour })
		time.Sleep(3 * time.Hour)
		r.orphaned()
		r.stop()
	})
}

// A deferred task costs no writes while nothing changes.
func TestDeferredIsWrittenOnce(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		parent(r)
		time.Sleep(2 * time.Hour)
		before := r.committing.Load()
		time.Sleep(10 * time.Hour)
		if n := r.committing.Load() - before; n != 0 {
			t.Errorf("%d batches in ten idle hours, want none", n)
		}
		r.orphaned()
	}, retaining)
}

// The wall clock steps forward while a page is read: the page has taken no longer for it.
func TestRetentionThroughAClockStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := aged(t, 6)
		var ahead atomic.Int64
		w := &watched{Ledger: mem, each: 10 * time.Millisecond}
		w.during = func(page int64) {
			if page == 0 {
				ahead.Store(int64(8 * time.Hour))
			}
		}
		r := start(t, mem, retaining, func(e *Engine) {
			e.ledger = w
			e.config.Wall = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		})
		r.pruned(6000)
		r.stop()
	})
}

// A task that another program's clock has end in the future goes when its event does.
func TestRetentionOfTheFuture(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ahead := queue.Instant(time.Now().Add(2 * time.Hour).UnixMicro())
		if _, err := r.Import(t.Context(), []queue.Imported{{Spec: spec("ahead"), State: queue.Completed, Finish: ahead, Agent: "a"}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour + time.Minute)
		if !r.gone("ahead") {
			t.Error("the task is still there")
		}
	}, retaining)
}

// A task whose end a look-up under way has not seen is not forgotten before that is over, and then it is.
func TestRetentionBesideALookup(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		var slow sync.WaitGroup
		slow.Go(func() {
			if _, err := r.Submit(t.Context(), specs("slow"), nil); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		r.submit("quick")
		r.complete(1)
		time.Sleep(2*time.Hour - time.Minute)
		if r.gone("quick") {
			t.Error("the task went beside a look-up")
		}
		time.Sleep(3 * time.Minute)
		if !r.gone("quick") {
			t.Error("the task is still there")
		}
		slow.Wait()
	}, retaining, func(e *Engine) {
		e.hooks.afterLookup = func(c queue.Command) {
			if s, ok := c.(*queue.Submit); ok && s.Tasks[0].ID == "slow" {
				time.Sleep(2 * time.Hour)
			}
		}
	})
}

// Events go only after all tasks that they end have gone: a crash in between loses none of them.
func TestRetentionCutShort(t *testing.T) {
	const tasks = prunePerCall + 100
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken disk")
		mem := memledger.New()
		r := start(t, mem, retaining, func(e *Engine) { e.ledger = &brokenAt{Ledger: mem, batch: 4, err: broken} })
		r.ends("task", tasks)
		// Batch 3 prunes the first of the tasks, 4 the rest and the events.
		if err := <-r.ended; !errors.Is(err, broken) {
			t.Fatalf("Run: %v", err)
		}
		r = start(t, mem.Crash(), retaining)
		time.Sleep(time.Minute)
		if s, err := r.Status(t.Context()); err != nil || s.Counts.Pruned != tasks || s.Oldest <= 2*tasks {
			t.Errorf("status %+v, %v", s, err)
		}
		r.stop()
	})
}

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

// parent ends, and a live task depends on it.
func parent(r *rig) {
	r.submit("parent")
	r.complete(1)
	child := spec("child", func(s *queue.Spec) { s.DependsOn, s.NotBefore = []string{"parent"}, tomorrow() })
	if _, err := r.Submit(r.t.Context(), []queue.Spec{child}, nil); err != nil {
		r.t.Fatal(err)
	}
}

// orphaned shows that the parent goes with the child, and not before.
func (r *rig) orphaned() {
	r.t.Helper()
	if r.gone("parent") {
		r.t.Fatal("a task went that a live one depends on")
	}
	if _, err := r.Cancel(r.t.Context(), []queue.Choice{{ID: "child"}}, ""); err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(2 * time.Minute)
	if !r.gone("parent") {
		r.t.Error("the parent is still there")
	}
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

func tomorrow() queue.Instant { return queue.Instant(time.Now().Add(24 * time.Hour).UnixMicro()) }

// New tasks are refused while the disk is nearly full; repeats and reports are taken. It is looked at once a
// second, and a disk that cannot be asked refuses nothing.
func TestDiskFull(t *testing.T) {
	var free uint64
	var asked int
	var fault error
	bubble(t, func(t *testing.T, r *rig) {
		free = 100
		r.submit("a")
		l := r.acquire(1)[0]
		time.Sleep(time.Second)
		free = 99
		_, err := r.Submit(t.Context(), specs("b"), nil)
		wantReason(t, err, DiskFull)
		var refusal *queue.Error
		if errors.As(err, &refusal) && refusal.RetryAfter == 0 {
			t.Error("the refusal does not say when to repeat")
		}
		if existed, err := r.Submit(t.Context(), specs("a"), nil); err != nil || !existed[0] {
			t.Errorf("a repeat is answered %v, %v", existed, err) // C3
		}
		if a := r.report(success(l)); a[0].Ack != queue.AckRecorded {
			t.Errorf("report: %+v", a)
		}
		before := asked
		for range 10 {
			_, _ = r.Submit(t.Context(), specs("b"), nil)
		}
		if asked != before {
			t.Errorf("the disk was looked at %d times at once", asked-before)
		}
		time.Sleep(time.Second)
		fault = errors.New("no such device")
		r.submit("b")
	}, func(e *Engine) {
		e.config.MinFree = 100
		e.config.FreeBytes = func() (uint64, error) { asked++; return free, fault }
	})
}

// Import is all or none, looks up as Submit does, and keeps what has ended.
func TestImport(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		tasks := []queue.Imported{
			{Spec: spec("done"), State: queue.Completed, Result: []byte("old result"), Agent: "worker"},
			{Spec: spec("next", func(s *queue.Spec) { s.DependsOn = []string{"done"} }), State: queue.Ready},
		}
		for i, want := range []bool{false, true} {
			existed, err := r.Import(t.Context(), tasks)
			if err != nil || existed[0] != want || existed[1] != want {
				t.Fatalf("import %d: %v, %v", i, existed, err)
			}
			r.settle()
		}
		if got := r.task("done"); string(got.Result) != "old result" {
			t.Errorf("done: %+v", got)
		}
		if got := r.task("next"); got.Status.State != queue.Ready {
			t.Errorf("next: %+v", got.Status)
		}
	})
}
