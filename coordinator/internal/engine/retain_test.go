package engine

import (
	"errors"
	"fmt"
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
		time.Sleep(29 * time.Minute)
		if r.gone("old-0") {
			t.Error("a task went before its time")
		}
		time.Sleep(3 * time.Minute)
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
// nothing does any more.
func TestDeferredTasksAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := memledger.New()
		r := start(t, mem, retaining)
		child := func(id string) queue.Spec {
			return spec(id, func(s *queue.Spec) { s.DependsOn, s.NotBefore = []string{"parent"}, tomorrow() })
		}
		r.submit("parent")
		r.complete(1)
		if _, err := r.Submit(t.Context(), []queue.Spec{child("child")}, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		if r.gone("parent") {
			t.Fatal("a task went that a live one depends on")
		}
		r.stop()

		r = start(t, mem, retaining)
		time.Sleep(2 * time.Hour)
		if r.gone("parent") {
			t.Fatal("after the restart a task went that a live one depends on")
		}
		if _, err := r.Cancel(t.Context(), []queue.Choice{{ID: "child"}}, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if !r.gone("parent") {
			t.Error("the parent is still there")
		}
		r.stop()
	})
}

// Events go only after all tasks that they end have gone: a crash in between loses none of them.
func TestRetentionCutShort(t *testing.T) {
	const tasks = prunePerCall + 100
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken disk")
		mem := memledger.New()
		r := start(t, mem, retaining, func(e *Engine) { e.ledger = &brokenAt{Ledger: mem, batch: 5, err: broken} })
		var many []queue.Spec
		var all []queue.Choice
		for i := range tasks {
			id := fmt.Sprint("task-", i)
			many, all = append(many, spec(id)), append(all, queue.Choice{ID: id})
		}
		if _, err := r.Submit(t.Context(), many, nil); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Cancel(t.Context(), all, ""); n != tasks || err != nil {
			t.Fatal(n, err)
		}
		// Batch 3 drops the events of the submit, 4 prunes the first of the tasks, 5 the rest.
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
