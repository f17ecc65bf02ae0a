package engine

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

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
