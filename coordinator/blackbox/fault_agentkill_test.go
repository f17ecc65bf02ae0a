package blackbox

import (
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// point is a place on the way of a task through its agent at which the agent is killed.
type point struct {
	name string
	// flags are the agent's, besides the usual ones.
	flags func(t *testing.T, s *scene) []string
	// down and up withhold messages between agent and coordinator.
	down, up func(s *scene, message []byte) bool
	// reached returns when the agent is there.
	reached func(t *testing.T, s *scene)
	// first is how attempt 1 ends; attempts is how many there are.
	first    stintv1.AttemptOutcome
	attempts int
}

// scene is one agent with its task, outbox and API, and a relay to the coordinator.
type scene struct {
	api      *gated
	l        *link
	outbox   string
	held     chan struct{} // closed when the relay has withheld something
	withheld atomic.Bool
}

func (s *scene) withhold() bool {
	if s.withheld.CompareAndSwap(false, true) {
		close(s.held)
	}
	return false
}

func (s *scene) awaitHeld(t *testing.T) {
	t.Helper()
	select {
	case <-s.held:
	case <-bounded(t).Done():
		t.Fatal("the relay never had anything to withhold")
	}
}

var points = []point{
	{
		name: "before it knows of the grant",
		down: func(s *scene, m []byte) bool { return len(sessionResponse(m).GetGrants()) == 0 || s.withhold() },
		reached: func(t *testing.T, s *scene) {
			s.l.granted(t, "one", 1)
			s.awaitHeld(t)
		},
		first: stintv1.AttemptOutcome_ATTEMPT_OUTCOME_UNCONFIRMED, attempts: 2,
	}, {
		name: "before the call: in the handshake with the API",
		flags: func(t *testing.T, s *scene) []string {
			return []string{"--api-endpoint", "https://" + silentListener(t, s)}
		},
		reached: func(t *testing.T, s *scene) { s.awaitHeld(t) },
		first:   stintv1.AttemptOutcome_ATTEMPT_OUTCOME_LOST, attempts: 2,
	}, {
		name:    "during the call",
		reached: func(t *testing.T, s *scene) { s.api.await(t, "one") },
		first:   stintv1.AttemptOutcome_ATTEMPT_OUTCOME_LOST, attempts: 2,
	}, {
		name: "after the result, before it is sent",
		up:   func(s *scene, m []byte) bool { return len(sessionRequest(m).GetReports()) == 0 || s.withhold() },
		reached: func(t *testing.T, s *scene) {
			s.api.release("one")
			s.awaitHeld(t)
		},
		first: stintv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED, attempts: 1,
	}, {
		name: "after it is sent, before the ack",
		down: func(s *scene, m []byte) bool { return len(sessionResponse(m).GetReportAcks()) == 0 || s.withhold() },
		reached: func(t *testing.T, s *scene) {
			s.api.release("one")
			s.l.event(t, "one", completedEvent)
			s.awaitHeld(t)
		},
		first: stintv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED, attempts: 1,
	},
}

// TestAgentKilledAtEachPoint kills an agent with -9 on its way through a task, and starts it again (D2, L2, L4, L8, C1, C2,
// Q3): what was in the outbox is recorded as the first attempt's, and what was not is run again.
func TestAgentKilledAtEachPoint(t *testing.T) {
	t.Parallel()
	for _, p := range points {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			killedAt(t, p)
		})
	}
}

func killedAt(t *testing.T, p point) {
	killed := injected(t, "agent killed "+p.name)
	c := startCoordinator(t, "--lease-ttl", "2s", "--grant-timeout", "1s")
	s := &scene{api: startGated(t), l: c.dial(t), outbox: t.TempDir(), held: make(chan struct{})}
	between := startRelay(t, c,
		func(method string, _ int, m []byte) bool {
			return method != sessionMethod || p.down == nil || p.down(s, m)
		},
		func(method string, _ int, m []byte) bool { return method != sessionMethod || p.up == nil || p.up(s, m) })
	flags := []string{"--agent-id", "agent-1", "--outbox-dir", s.outbox}
	first := flags
	if p.flags != nil {
		first = append(first, p.flags(t, s)...)
	}
	agent := startAgent(t, between.through(c), s.api.addr, first...)
	s.l.submit(t, task("one"))
	p.reached(t, s)
	agent.kill()
	killed.fired()
	if p.first == stintv1.AttemptOutcome_ATTEMPT_OUTCOME_UNCONFIRMED {
		s.l.event(t, "one", endedEvent) // a new instance before the grant timeout would take over, and the lease end as lost
	}
	inOutbox := len(entries(t, s.outbox, "agent-1"))
	startAgent(t, c, s.api.addr, flags...)
	if !isOpen(s.api.gate("one")) {
		s.api.find(t, "the call of attempt 2", func(x arrival) bool { return x.attempt == 2 })
		s.api.release("one")
	}
	one := s.l.completed(t, "one")
	attempts := one.GetStatus().GetAttempts()
	if len(attempts) != p.attempts || attempts[0].GetOutcome() != p.first {
		t.Errorf("attempts %v, want %d, the first %v", attempts, p.attempts, p.first)
	}
	if inOutbox != 2-p.attempts {
		t.Errorf("%d reports were in the outbox when it was killed, want %d", inOutbox, 2-p.attempts)
	}
	if want := s.api.nonce("one", int32(p.attempts)); nonce(one) != want {
		t.Errorf("C2: recorded is %q, attempt %d was answered %q", nonce(one), p.attempts, want)
	}
	eventually(t, "an empty outbox", func() bool { return len(entries(t, s.outbox, "agent-1")) == 0 })
	if _, err := fold(s.l.history(t), nil); err != nil {
		t.Error(err)
	}
}

func isOpen(gate chan struct{}) bool {
	select {
	case <-gate:
		return true
	default:
		return false
	}
}

// silentListener takes connections and says nothing, as an API does that hangs before TLS is up.
func silentListener(t *testing.T, s *scene) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		var conns []net.Conn
		for {
			conn, err := listener.Accept()
			if err != nil {
				for _, c := range conns {
					_ = c.Close()
				}
				return
			}
			conns = append(conns, conn)
			s.withhold()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-over
	})
	return listener.Addr().String()
}

// TestTornOutboxEntry: an entry that a crash has torn is set aside; its task is run again, and all others are delivered (D2).
func TestTornOutboxEntry(t *testing.T) {
	t.Parallel()
	torn := injected(t, "an outbox entry cut to half its length")
	c := startCoordinator(t, "--lease-ttl", "2s")
	api := startGated(t)
	l := c.dial(t)
	outbox := t.TempDir()
	flags := []string{"--agent-id", "agent-1", "--outbox-dir", outbox}
	agent := startAgent(t, c, api.addr, flags...)
	l.submit(t, task("whole"), task("torn"))
	api.await(t, "whole")
	api.await(t, "torn")
	c.kill()
	for n, id := range []string{"whole", "torn"} {
		api.release(id)
		eventually(t, "the result of "+id+" on disk", func() bool { return len(entries(t, outbox, "agent-1")) == n+1 })
	}
	agent.kill()
	last := entries(t, outbox, "agent-1")[1]
	if err := os.Truncate(outboxFile(outbox, "agent-1"), int64(last.from+last.to)/2); err != nil {
		t.Fatal(err)
	}
	torn.fired()
	c.serve(t)
	agent = startAgent(t, c, api.addr, flags...)
	agent.says(`msg="unreadable entry set aside"`)

	if n := len(l.completed(t, "whole").GetStatus().GetAttempts()); n != 1 {
		t.Errorf("whole: %d attempts, want 1", n)
	}
	again := l.completed(t, "torn")
	if want := api.nonce("torn", 2); nonce(again) != want || len(again.GetStatus().GetAttempts()) != 2 {
		t.Errorf("torn: recorded %q after %d attempts, want %q of attempt 2", nonce(again), len(again.GetStatus().GetAttempts()), want)
	}
	if aside, err := filepath.Glob(filepath.Join(outbox, "agent-1", "damaged", "*")); err != nil || len(aside) != 1 {
		t.Errorf("set aside are %q: %v", aside, err)
	}
}
