package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Q2: a child is granted after the last of its parents has completed, durably; not before, and
// not while that success is only applied.
func TestChildWaitsForAllParents(t *testing.T) {
	bubble(t, func(t *testing.T, l *life) {
		child := spec("child", func(s *queue.Spec) { s.DependsOn = []string{"one", "two"} })
		l.submit(spec("one"), spec("two"), child)
		leases := l.acquire("agent", 5)
		if len(leases) != 2 {
			t.Fatalf("%d leases, want those of the parents", len(leases))
		}
		l.report(success(leases[0].ID, "done"))
		if early := l.acquire("agent", 5); len(early) != 0 {
			t.Errorf("Q2: granted after one of two parents: %+v", early)
		}
		open := l.gate.hold(applied)
		last := begin(t, func() (string, error) { return ack(l, success(leases[1].ID, "done")) })
		last.waits("report")
		grant := begin(t, func() ([]engine.Lease, error) {
			return l.Acquire(t.Context(), engine.Acquire{Agent: "agent", Max: 5, Length: unaryLength})
		})
		grant.waits("grant")
		open()
		last.ends("report")
		if got := grant.ends("grant"); len(got) != 1 || got[0].TaskID != "child" {
			t.Errorf("granted %+v", got)
		}
	})
}

// W1, W2: a watcher that reads nothing while more happens than memory keeps for it is told of
// all of it later, and one that resumes anywhere begins there.
func TestSlowWatcherMissesNothing(t *testing.T) {
	bubble(t, func(t *testing.T, l *life) {
		w, err := l.Watch(t.Context(), new(int64), engine.EventFilter{})
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		const batches, size = 20, 1000
		for i := range batches {
			some := make([]queue.Spec, size)
			for j := range some {
				some[j] = spec(fmt.Sprint("t", i, "-", j))
			}
			l.submit(some...)
		}
		for at := int64(0); at < batches*size; {
			events, _, err := w.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				if at++; e.Sequence != at {
					t.Fatalf("W1: event %d where %d is due", e.Sequence, at)
				}
			}
		}
	})
}

// L9: a lease that two heartbeats in a row leave out returns, at no cost; one may miss it.
func TestLeaseMissingFromHeartbeats(t *testing.T) {
	bubble(t, func(t *testing.T, l *life) {
		l.submit(spec("a"))
		s := l.connect("agent", "i1", engine.Message{Credit: 1})
		lease := s.granted()
		s.beat(2)
		s.beat(3, lease.ID)
		time.Sleep(ttl / 3)
		s.beat(4)
		if got := l.task("a"); got.Status.State != queue.Running {
			t.Errorf("after one heartbeat without it: %+v", got.Status)
		}
		s.beat(5)
		if got := l.task("a"); got.Status.State != queue.Ready || got.Status.Lost != 0 || got.Status.Counted != 0 {
			t.Errorf("L9: after two: %+v", got.Status)
		}
		s.Close()
	})
}
