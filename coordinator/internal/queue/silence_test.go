package queue

import (
	"testing"
	"time"
)

// A session that was heard of asks for no turn when it would have fallen silent without, and
// falls silent a whole lease length after that (L6).
func TestSilenceIsTimedFromTheLastWord(t *testing.T) {
	const ttl = time.Minute
	m := New(Config{LeaseTTL: ttl, GrantTimeout: time.Second, MaxLive: 10})
	step := func(at time.Duration, c ...Command) {
		m.Step(Input{Now: Instant(at.Microseconds()), Elapsed: at, Released: m.Head().Batch, Commands: c})
	}
	next := func(want time.Duration) {
		t.Helper()
		if got, ok := m.Next(); !ok || got != want {
			t.Errorf("next turn at %v (%v), want %v", got, ok, want)
		}
	}
	const rest = ttl / 6 // the longest pause while sessions are timed
	step(0, &Connect{Stream: 1, Agent: "a", Instance: "i"}, &Connect{Stream: 2, Agent: "b", Instance: "i"})
	for at := rest; at < ttl; at += rest {
		step(at)
	}
	early, heard := ttl-2*time.Second, ttl-time.Second
	step(early, &Message{Stream: 2, Beats: true})
	step(heard, &Message{Stream: 1, Beats: true})
	next(heard + rest)
	for at := heard + rest; at < early+ttl; at += rest {
		step(at)
	}
	next(early + ttl)
	step(early + ttl)
	next(heard + ttl)
	if a, b := m.agents["a"], m.agents["b"]; a.silent || !b.silent {
		t.Errorf("silent: %t, %t", a.silent, b.silent)
	}
	if step(heard + ttl); !m.agents["a"].silent {
		t.Error("not silent after a lease length")
	}
}
