package faults

import (
	"testing"
	"testing/synctest"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// session is an agent with a stream.
type session struct {
	t *testing.T
	*engine.Stream
}

func (l *life) connect(agent, instance string, first engine.Message) *session {
	l.t.Helper()
	s, err := l.Connect(l.t.Context(), engine.Hello{Agent: agent, Instance: instance, Slots: 1, First: first})
	if err != nil {
		l.t.Fatal(err)
	}
	return &session{l.t, s}
}

func (s *session) say(m engine.Message) {
	s.t.Helper()
	if err := s.Send(s.t.Context(), m); err != nil {
		s.t.Fatal(err)
	}
}

// hear gives all that there is to be told, in one.
func (s *session) hear() engine.Out {
	s.t.Helper()
	synctest.Wait()
	out, err := s.Receive(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// beat says a heartbeat with these leases, and gives what is answered.
func (s *session) beat(number int64, held ...string) engine.Out {
	s.t.Helper()
	s.say(beat(number, held...))
	out := s.hear()
	if !out.HasHeartbeatAck || out.HeartbeatAck != number {
		s.t.Errorf("heartbeat %d was answered %+v", number, out)
	}
	return out
}

func beat(number int64, held ...string) engine.Message {
	m := engine.Message{Beats: true, Number: number}
	for _, id := range held {
		m.Held = append(m.Held, engine.Extension{LeaseID: id, Progress: 0.25, HasProgress: true, Message: "here"})
	}
	return m
}

// granted waits for the one grant that there must be, and confirms it.
func (s *session) granted() engine.Lease {
	s.t.Helper()
	out := s.hear()
	if len(out.Grants) != 1 {
		s.t.Fatalf("%d grants, want 1: %+v", len(out.Grants), out)
	}
	s.beat(1, out.Grants[0].ID)
	return out.Grants[0]
}
