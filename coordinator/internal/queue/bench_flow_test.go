package queue

import (
	"testing"
	"time"
)

// BenchmarkFlow keeps four agents with a thousand slots each busy out of a backlog: each step
// takes a batch of tasks in and as many reports. It says what the machine costs a task where
// much waits and runs, which BenchmarkLife's queue that runs empty does not.
func BenchmarkFlow(b *testing.B) {
	const (
		agents, slots = 4, 1000
		backlog, size = 10_000, 128
	)
	f := newFlow(agents, slots)
	for f.made < backlog {
		f.step(size, 0)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		f.step(size, size)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*size), "ns/task")
}

// beatEvery is the steps from one heartbeat of an agent to its next.
const beatEvery = 1000

// flow is a machine with agents that report what they were granted, in order.
type flow struct {
	m       *Machine
	credit  int64
	now     Instant
	made    int
	held    [][]LeaseRef // by agent
	leaving []*Batch
}

func newFlow(agents int, slots int64) *flow {
	f := &flow{m: New(Config{LeaseTTL: time.Minute, GrantTimeout: time.Minute, MaxLive: 1_000_000}), credit: slots}
	f.held = make([][]LeaseRef, agents)
	for i := range f.held {
		id := StreamID(i + 1)
		f.m.Step(Input{Now: 1, Commands: []Command{
			&Connect{Stream: id, Agent: string(rune('a' + i)), Instance: "i"}, &Message{Stream: id, Credit: slots},
		}})
	}
	return f
}

// step submits so many tasks and reports so many, spread over the agents.
func (f *flow) step(submits, reports int) {
	const lag = 3 // steps until a batch has left
	f.now += 100
	head := f.m.Head().Batch
	in := Input{Now: f.now, Elapsed: time.Duration(f.now) * time.Microsecond}
	if head > lag {
		in.Released, in.Settled = head-lag, head-lag
	}
	in.Commands = append(in.Commands, f.submit(submits))
	if reports > 0 {
		f.credit += int64(reports / len(f.held))
		for i := range f.held {
			in.Commands = append(in.Commands, f.report(i, reports/len(f.held)))
		}
	}
	out := f.m.Step(in)
	for _, s := range out.Streams {
		for _, g := range s.Grants {
			f.held[s.Stream-1] = append(f.held[s.Stream-1], g.Lease)
		}
	}
	if f.leaving = append(f.leaving, out.Batch); len(f.leaving) > lag {
		f.m.Recycle(f.leaving[0])
		f.leaving = f.leaving[1:]
	}
}

func (f *flow) submit(n int) *Submit {
	c := &Submit{Tasks: make([]Spec, n), Generated: make([]bool, n)}
	for i := range n {
		f.made++
		c.Tasks[i], c.Generated[i] = benchSpec(f.made), true
	}
	return c
}

func (f *flow) report(agent, n int) *Message {
	c := &Message{Stream: StreamID(agent + 1), Credit: f.credit, Reports: make([]Report, n)}
	for i, l := range f.held[agent][:n] {
		c.Reports[i] = Report{Lease: l, Success: true, Digest: Digest{1}}
	}
	f.held[agent] = f.held[agent][n:]
	if f.now/100%beatEvery == Instant(agent) {
		c.Beats = true
		for _, l := range f.held[agent] {
			c.Held = append(c.Held, Extension{Lease: l})
		}
	}
	return c
}
