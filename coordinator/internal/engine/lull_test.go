package engine

import (
	"testing"
	"testing/synctest"
	"time"
)

// quiet lets heartbeats wait as if many sessions were open.
func (r *rig) quiet(d time.Duration) {
	r.lull.mu.Lock()
	defer r.lull.mu.Unlock()
	r.lull.length = d
}

func (r *rig) send(s *Stream, m Message) {
	r.t.Helper()
	if err := s.Send(r.t.Context(), m); err != nil {
		r.t.Fatal(err)
	}
	synctest.Wait()
}

// told gives what is waiting for a stream's agent.
func (r *rig) told(s *Stream) (Out, bool) {
	r.t.Helper()
	synctest.Wait()
	o, some, err := s.Poll(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return o, some
}

// Few sessions are answered at once, many after a moment that does not grow with them.
func TestLullFor(t *testing.T) {
	for streams, want := range map[int]time.Duration{
		0: 0, 499: 0, 500: time.Millisecond, 2_000: 4 * time.Millisecond, 10_000: lullMost, 1_000_000: lullMost,
	} {
		if got := lullFor(streams); got != want {
			t.Errorf("%d streams: %v, want %v", streams, got, want)
		}
	}
}

// Heartbeats that are held are answered when the pause is over, and with whatever turn comes first.
func TestHeartbeatsWaitForEachOther(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b := r.connect("a", Message{}), r.connect("b", Message{})
		defer a.Close()
		defer b.Close()
		r.quiet(time.Second)
		r.send(a, Message{Beats: true, Number: 1})
		if o, some := r.told(a); some {
			t.Fatalf("told at once: %+v", o)
		}
		time.Sleep(time.Second)
		if o, _ := r.told(a); o.HeartbeatAck != 1 {
			t.Errorf("after the pause: %+v", o)
		}
		r.send(a, Message{Beats: true, Number: 2})
		r.send(b, Message{Beats: true, Number: 3})
		r.submit("a task")
		for s, want := range map[*Stream]int64{a: 2, b: 3} {
			if o, _ := r.told(s); o.HeartbeatAck != want {
				t.Errorf("after a turn: %+v, want %d", o, want)
			}
		}
	})
}

// Whatever asks for more than a heartbeat is not held, and lets the one before it go first: in
// the other order the lease that is released in between would be cancelled.
func TestNothingOvertakesAHeartbeat(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		s := r.connect("agent", Message{Credit: 1})
		defer s.Close()
		r.submit("a")
		l := r.receive(s).Grants
		r.quiet(time.Hour)
		r.send(s, Message{Beats: true, Number: 1, Held: held(l)})
		r.send(s, Message{Releases: []Release{{LeaseID: l[0].ID}}})
		if o, _ := r.told(s); o.HeartbeatAck != 1 || len(o.Cancels) != 0 {
			t.Errorf("told %+v", o)
		}
		r.submit("b")
		for _, m := range []Message{
			{Beats: true, Number: 2, Credit: 2}, {Beats: true, Number: 3, Draining: true},
			{Beats: true, Number: 4, Reports: []Report{{LeaseID: "forged", Success: true}}},
		} {
			r.send(s, m)
			if o, _ := r.told(s); o.HeartbeatAck != m.Number {
				t.Errorf("after %+v: %+v", m, o)
			}
		}
	})
}

// Two heartbeats of one stream stay in order though only the first could wait.
func TestTheNextHeartbeatLetsTheFirstGo(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		s := r.connect("agent", Message{})
		defer s.Close()
		r.quiet(time.Hour)
		r.send(s, Message{Beats: true, Number: 1})
		r.send(s, Message{Beats: true, Number: 2})
		if o, _ := r.told(s); o.HeartbeatAck != 2 {
			t.Errorf("told %+v", o)
		}
		if c := r.lull.take(); c != nil {
			t.Error("one is held still")
		}
	})
}

// L6: a heartbeat that has arrived keeps its leases, also if it is held when they would expire.
func TestHeldHeartbeatKeepsLeases(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		s := r.connect("agent", Message{Credit: 1})
		defer s.Close()
		r.submit("a")
		l := r.receive(s).Grants
		r.send(s, Message{Beats: true, Number: 1, Held: held(l)})
		r.told(s)
		r.quiet(time.Hour)
		time.Sleep(s.Welcome().TTL - time.Millisecond)
		r.send(s, Message{Beats: true, Number: 2, Held: held(l)})
		time.Sleep(time.Second)
		if o, _ := r.told(s); o.HeartbeatAck != 2 || len(o.Cancels) != 0 {
			t.Errorf("told %+v", o)
		}
		r.send(s, Message{Reports: []Report{success(l[0])}})
		if o, _ := r.told(s); len(o.Acks) != 1 || o.Acks[0].End != 0 {
			t.Errorf("told %+v", o)
		}
	})
}

// A stream that ends takes none of its heartbeats along.
func TestEndOfAStreamLetsItsHeartbeatGo(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		s := r.connect("agent", Message{Credit: 1})
		r.submit("a")
		l := r.receive(s).Grants
		r.quiet(time.Hour)
		time.Sleep(time.Second)
		r.send(s, Message{Beats: true, Number: 1, Held: held(l), RoundTrip: 5 * time.Millisecond})
		s.Close()
		synctest.Wait()
		if v, err := r.Agent(t.Context(), "agent"); err != nil || v.RoundTrip != 5*time.Millisecond {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// A held heartbeat that must be looked up comes back alone: those behind it are answered once.
func TestHeldHeartbeatIsLookedUpAlone(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		a, b := r.connect("a", Message{Credit: 1}), r.connect("b", Message{})
		defer a.Close()
		defer b.Close()
		r.submit("a task")
		l := r.receive(a).Grants
		r.send(a, Message{Reports: []Report{success(l[0])}})
		r.told(a)
		r.settle()
		r.quiet(time.Second)
		r.send(a, Message{Beats: true, Number: 1, Held: held(l)})
		r.send(b, Message{Beats: true, Number: 2})
		time.Sleep(time.Second)
		if o, _ := r.told(a); o.HeartbeatAck != 1 || len(o.Cancels) != 1 {
			t.Errorf("told %+v", o)
		}
		if o, _ := r.told(b); o.HeartbeatAck != 2 {
			t.Errorf("told %+v", o)
		}
		if o, some := r.told(b); some {
			t.Errorf("told again: %+v", o)
		}
	})
}
