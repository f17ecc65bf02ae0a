package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

func tomorrow() queue.Instant { return queue.Instant(time.Now().Add(24 * time.Hour).UnixMicro()) }

// New tasks and runs are refused while the disk is nearly full; repeats and reports are taken. It is looked at once a
// second, and a disk that cannot be asked refuses nothing.
func TestDiskFull(t *testing.T) {
	var free uint64
	var asked int
	var fault error
	bubble(t, func(t *testing.T, r *rig) {
		free = 100
		r.submit("a")
		l := r.acquire(1)[0]
		r.submit("ended")
		if _, err := r.Cancel(t.Context(), []queue.Choice{{ID: "ended"}}, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		free = 99
		_, err := r.Submit(t.Context(), specs("b"), nil)
		wantReason(t, err, DiskFull)
		var refusal *queue.Error
		if errors.As(err, &refusal) && refusal.RetryAfter == 0 {
			t.Error("the refusal does not say when to repeat")
		}
		if n, err := r.Retry(t.Context(), []queue.Choice{{ID: "ended"}}, 0); n != 0 {
			t.Errorf("a retry changed %d tasks", n)
		} else {
			wantReason(t, err, DiskFull)
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
