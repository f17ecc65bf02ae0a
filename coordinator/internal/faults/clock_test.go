package faults

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// L6, Q6: leases are timed by the monotonic clock, so that no jump of the wall clock ends one
// early or keeps one alive; back-offs and not_before still end in time.
func TestWallClockJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{
		"an hour ahead": time.Hour, "an hour back": -time.Hour, "ten years back": -10 * 365 * 24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var off, asked atomic.Int64
				disk := vfs.NewCrashableMem()
				wall := func(c *engine.Config) {
					c.Wall = func() time.Time { asked.Add(1); return time.Now().Add(time.Duration(off.Load())) }
				}
				l := start(t, disk, wall)
				l.submit(spec("long"), spec("short"), spec("back-off", backOff))
				s := l.connect("agent", "i1", engine.Message{Credit: 1})
				long := s.granted()
				short, failing := l.one("unary"), l.one("unary")
				l.report(failure(failing.ID, queue.ClassServerError))
				due := l.task("back-off").Status.Ready
				from := l.task("short").Status.Create

				off.Store(int64(jump))
				asked.Store(0)
				for beats := range int64(6 * 5) { // over two minutes, the unary lease ends at one
					time.Sleep(ttl / 3)
					if out := s.beat(beats+2, long.ID); len(out.Cancels) > 0 {
						t.Fatalf("L6: after %v the live lease was cancelled: %+v", time.Duration(beats+1)*ttl/3, out)
					}
					left := l.task("short").Status.State
					if passed := time.Duration(beats+1) * ttl / 3; (passed < unaryLength) != (left == queue.Running) {
						t.Fatalf("L6: after %v of a lease of %v the task is %v", passed, unaryLength, left)
					}
				}
				if asked.Load() == 0 {
					t.Error("nobody looked at the clock that jumped")
				}
				if got := l.task("back-off"); got.Status.State != queue.Ready || due-from > queue.Instant(time.Minute.Microseconds()) {
					t.Errorf("stuck: %+v", got.Status)
				}
				if a := l.report(success(long.ID, "done")); a.Ack != queue.AckRecorded {
					t.Errorf("the live lease after all: %+v", a)
				}
				if a := l.report(failure(short.ID, queue.ClassTaskFailed)); a.Ack != queue.AckLeaseLost || a.End != queue.EndExpired {
					t.Errorf("the lease that ended: %+v", a)
				}
				wantTimesRise(t, l.history())
				s.Close()
				l.stop()
				l = start(t, disk, wall) // the time told does not go back across a restart either
				l.submit(spec("after"))
				wantTimesRise(t, l.history())
				l.stop()
			})
		})
	}
}

func backOff(s *queue.Spec) {
	s.Retry.InitialBackoff, s.Retry.MaxBackoff = 30*time.Second, 30*time.Second
}

func wantTimesRise(t *testing.T, events []queue.Event) {
	t.Helper()
	for i := 1; i < len(events); i++ {
		if events[i].Time < events[i-1].Time {
			t.Errorf("event %d is of %d, the one before of %d", events[i].Sequence, events[i].Time, events[i-1].Time)
		}
	}
}

// L7: while the coordinator itself stands still, here for a disk that takes three lease lengths
// for three batches, no live agent's lease ends.
func TestStallOfTheCoordinator(t *testing.T) {
	bubble(t, func(t *testing.T, l *life) {
		l.submit(spec("a"), spec("b"))
		s := l.connect("agent", "i1", engine.Message{Credit: 1})
		lease := s.granted()
		unary := l.one("unary")
		for n := range int64(22) { // most of the unary lease
			time.Sleep(ttl / 3)
			s.beat(2+n, lease.ID)
		}
		silent := make(chan struct{})
		go func() { // it beats all the time, and nobody listens
			defer close(silent)
			for n := range int64(9) {
				time.Sleep(ttl / 3)
				if err := s.Send(t.Context(), beat(30+n, lease.ID)); err != nil {
					t.Error(err)
				}
			}
		}()
		open := l.gate.hold(applied)
		var stuck []*going[[]bool]
		for _, id := range []string{"c", "d", "e"} { // as many as may be in flight
			g := begin(t, func() ([]bool, error) { return l.Submit(t.Context(), []queue.Spec{spec(id)}, nil) })
			g.waits(id)
			stuck = append(stuck, g)
		}
		time.Sleep(3 * ttl)
		<-silent
		open()
		for _, g := range stuck {
			g.ends("submit")
		}
		synctest.Wait()
		if out := s.hear(); !out.HasHeartbeatAck || len(out.Cancels) > 0 {
			t.Errorf("L7: after the stall: %+v", out)
		}
		for _, id := range []string{lease.TaskID, unary.TaskID} {
			if got := l.task(id); got.Status.State != queue.Running || got.Status.Attempt != 1 || got.Status.Lost != 0 {
				t.Errorf("L7: %s after the stall: %+v", id, got.Status)
			}
		}
		time.Sleep(2 * ttl) // the clocks go on: a silent agent loses its lease
		if got := l.task(lease.TaskID); got.Status.State != queue.Ready || got.Status.Lost != 1 {
			t.Errorf("after a silence: %+v", got.Status)
		}
		if got := l.task(unary.TaskID); got.Status.State != queue.Running {
			t.Errorf("L6: the unary lease: %+v", got.Status)
		}
		s.Close()
	})
}

// L8, L9: an agent that slept for ten lease lengths hears at once that its work is another's.
func TestAgentThatSlept(t *testing.T) {
	bubble(t, func(t *testing.T, l *life) {
		l.submit(spec("a"))
		sleeper := l.connect("sleeper", "i1", engine.Message{Credit: 1})
		old := sleeper.granted()
		time.Sleep(10 * ttl)
		other := l.connect("other", "i1", engine.Message{Credit: 1})
		live := other.granted()
		if live.Attempt != 2 {
			t.Fatalf("L2: granted again as %+v", live)
		}
		out := sleeper.beat(2, old.ID)
		if len(out.Cancels) != 1 || out.Cancels[0].LeaseID != old.ID {
			t.Errorf("L9: the woken agent was told %+v", out)
		}
		if got := l.task("a"); got.Status.State != queue.Running || got.Lease.Agent != "other" {
			t.Errorf("L3: %+v", got.Status)
		}
		sleeper.Close()
		other.Close()
	})
}

// L7, L2: a start gives every live lease its full length again, whatever had passed of it, and
// changes no attempt number; one that nobody names by then returns at no cost (L8).
func TestRestartGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := start(t, vfs.NewCrashableMem())
		l.submit(spec("a"), spec("b"), spec("c"))
		s := l.connect("agent", "i1", engine.Message{Credit: 1})
		held := s.granted()
		unary, silent := l.one("unary"), l.one("silent")
		time.Sleep(ttl - 1) // nearly all of the session's has passed
		s.Close()
		disk := l.crash(0, nil)
		time.Sleep(10 * unaryLength)

		l = start(t, disk)
		time.Sleep(ttl - 1)
		s = l.connect("agent", "i1", beat(1, held.ID))
		if out := s.hear(); len(out.Cancels) > 0 {
			t.Errorf("L7: a live agent's lease is gone: %+v", out)
		}
		if got, err := extend.do(l, unary.ID); err != nil || got != "extended" {
			t.Errorf("L7: a live unary lease: %s, %v", got, err)
		}
		for _, id := range []string{"a", "b", "c"} {
			if got := l.task(id); got.Status.State != queue.Running || got.Status.Attempt != 1 {
				t.Errorf("L7: %s after the restart: %+v", id, got.Status)
			}
		}
		time.Sleep(unaryLength - ttl + 2)
		if got := l.task(silent.TaskID); got.Status.State != queue.Ready || got.Status.Lost != 0 || got.Attempts[0].Outcome != queue.OutcomeUnconfirmed {
			t.Errorf("L8: a lease that nobody named: %+v", got.Status)
		}
		if a := l.report(success(unary.ID, "done")); a.Ack != queue.AckRecorded {
			t.Errorf("result in flight: %+v", a)
		}
		s.Close()
		l.stop()
	})
}

// L8: a session's grant that its agent never confirms returns after the grant timeout, at no
// cost, and another agent gets it.
func TestUnconfirmedGrantReturns(t *testing.T) {
	bubble(t, func(t *testing.T, l *life) {
		l.submit(spec("a"))
		deaf := l.connect("deaf", "i1", engine.Message{Credit: 1})
		if out := deaf.hear(); len(out.Grants) != 1 {
			t.Fatalf("grants %+v", out)
		}
		time.Sleep(grantTimeout)
		other := l.connect("other", "i1", engine.Message{Credit: 1})
		if got := other.granted(); got.Attempt != 2 {
			t.Errorf("granted %+v", got)
		}
		if got := l.task("a"); got.Status.Lost != 0 || got.Status.Counted != 0 || got.Attempts[0].Outcome != queue.OutcomeUnconfirmed {
			t.Errorf("L8: it cost %+v", got.Status)
		}
		deaf.Close()
		other.Close()
	})
}
