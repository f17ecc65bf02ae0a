package queue

import (
	"fmt"
	"testing"
	"time"
)

// shop is a machine with one agent for a benchmark of grants: each round submits a task, if it is
// told to, and reports the one granted.
type shop struct {
	b      *testing.B
	m      *Machine
	now    Instant
	made   int
	credit int64
}

func newShop(b *testing.B) *shop {
	s := &shop{b: b, m: New(Config{LeaseTTL: time.Hour, GrantTimeout: time.Minute, MaxLive: 1_000_000})}
	s.step(&Connect{Stream: 1, Agent: "a", Instance: "i"})
	return s
}

func (s *shop) step(cs ...Command) []Granted {
	s.now++
	out := s.m.Step(Input{
		Now: s.now, Elapsed: time.Duration(s.now) * time.Microsecond, Released: s.m.Head().Batch, Settled: s.m.Head().Batch, Commands: cs,
	})
	if out.Batch != nil {
		s.m.Recycle(out.Batch)
	}
	if len(out.Streams) == 0 {
		return nil
	}
	return out.Streams[0].Grants
}

func (s *shop) submit(n int, change func(i int, t *Spec)) []Granted {
	c := &Submit{Tasks: make([]Spec, n), Generated: make([]bool, n)}
	for i := range n {
		s.made++
		c.Tasks[i], c.Generated[i] = benchSpec(s.made), true
		if change != nil {
			change(i, &c.Tasks[i])
		}
	}
	return s.step(c)
}

// report ends a task and asks for one more.
func (s *shop) report(gs []Granted) []Granted {
	if len(gs) != 1 {
		s.b.Fatalf("%d tasks are granted", len(gs))
	}
	s.credit++
	return s.step(&Message{Stream: 1, Credit: s.credit, Reports: []Report{{Lease: gs[0].Lease, Success: true}}})
}

// BenchmarkGrantBehind says how long a task takes from submit to its end behind 100,000 that
// match no agent, of one set of requirements or of many, and with none there.
func BenchmarkGrantBehind(b *testing.B) {
	for _, waiting := range []struct {
		name string
		n    int
		sets int
	}{{"nothing", 0, 1}, {"100000", 100_000, 1}, {"100000 of 1000 sets", 100_000, 1000}} {
		b.Run(waiting.name, func(b *testing.B) {
			s := newShop(b)
			for range waiting.n / 1000 {
				s.submit(1000, func(i int, t *Spec) {
					t.Requires = []Requirement{{"rack", In, []string{fmt.Sprint(i % waiting.sets)}}}
				})
			}
			s.credit++
			s.step(&Message{Stream: 1, Credit: s.credit})
			for b.Loop() {
				s.report(s.submit(1, nil))
			}
		})
	}
}

// BenchmarkKeys says how long a grant takes among 100,000 waiting tasks of so many fairness or
// concurrency keys.
func BenchmarkKeys(b *testing.B) {
	for _, kind := range []string{"fairness", "concurrency"} {
		for _, keys := range []int{1, 100, 10_000} {
			b.Run(fmt.Sprint(kind, "=", keys), func(b *testing.B) { benchKeys(b, kind, keys) })
		}
	}
}

func benchKeys(b *testing.B, kind string, keys int) {
	const waiting = 100_000
	s := newShop(b)
	s.step(&UpdateQueue{Queue: DefaultQueue, Mask: MaskKeyLimit, Settings: Settings{KeyLimit: 1}})
	more := func(n int) {
		s.submit(n, func(_ int, t *Spec) {
			if key := fmt.Sprint("k", s.made%keys); kind == "fairness" {
				t.FairnessKey = key
			} else {
				t.ConcurrencyKey = key
			}
		})
	}
	for range waiting / 1000 {
		more(1000)
	}
	s.credit++
	gs := s.step(&Message{Stream: 1, Credit: s.credit})
	n := 0
	for b.Loop() {
		gs = s.report(gs)
		if n++; n%1000 == 0 {
			b.StopTimer()
			more(1000)
			b.StartTimer()
		}
	}
}
