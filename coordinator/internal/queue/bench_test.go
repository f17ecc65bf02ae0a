package queue

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// BenchmarkLife takes tasks through their life in a session, so many at a time: submit and
// grant in one step, report in the next. It says what the machine alone costs a task.
func BenchmarkLife(b *testing.B) {
	for _, size := range []int{1, 32, 1000} {
		b.Run(fmt.Sprint("batch=", size), func(b *testing.B) { benchLife(b, size) })
	}
}

func benchLife(b *testing.B, size int) {
	m := New(Config{LeaseTTL: time.Minute, GrantTimeout: 5 * time.Second, MaxLive: 10_000_000})
	m.Step(Input{Now: 1, Commands: []Command{&Connect{Stream: 1, Agent: "a", Instance: "i"}}})
	m.Step(Input{Now: 1, Commands: []Command{&Message{Stream: 1, Credit: 1 << 40}}})
	submit, report := &Submit{Tasks: make([]Spec, size), Generated: make([]bool, size)}, &Message{Stream: 1}
	now, made := Instant(1), 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range submit.Tasks {
			made++
			submit.Tasks[i], submit.Generated[i] = benchSpec(made), true
		}
		now++
		in := Input{Now: now, Elapsed: time.Duration(now) * time.Microsecond, Released: m.Head().Batch, Settled: m.Head().Batch}
		in.Commands = []Command{submit}
		out := m.Step(in)
		report.Reports = report.Reports[:0]
		for _, g := range out.Streams[0].Grants {
			report.Reports = append(report.Reports, Report{Lease: g.Lease, Success: true, Digest: Digest{1}})
		}
		if len(report.Reports) != size {
			b.Fatalf("%d granted of %d", len(report.Reports), size)
		}
		in.Released, in.Settled = m.Head().Batch, m.Head().Batch
		in.Commands = []Command{report}
		if out = m.Step(in); len(out.Batch.Terminal) != size {
			b.Fatalf("%d completed of %d", len(out.Batch.Terminal), size)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(made), "ns/task")
	b.ReportMetric(float64(made)/b.Elapsed().Seconds(), "tasks/s")
}

// benchSpec has an id of 26 bytes, as generated ones have.
func benchSpec(n int) Spec {
	return Spec{
		ID: fmt.Sprintf("01J%023d", n), Digest: Digest{byte(n)}, Queue: DefaultQueue, OnFailure: PolicyCancel,
		AttemptTimeout: 2 * time.Minute, Retry: Retry{MaxAttempts: 3, InitialBackoff: time.Second, MaxBackoff: time.Minute},
	}
}

// BenchmarkWaiting says how many bytes of memory a READY task takes, a million of them waiting.
func BenchmarkWaiting(b *testing.B) {
	const waiting, batch = 1_000_000, 1000
	for b.Loop() {
		before := heapInUse()
		m := New(Config{LeaseTTL: time.Minute, GrantTimeout: 5 * time.Second, MaxLive: waiting})
		for n := 0; n < waiting; n += batch {
			submit := &Submit{Generated: make([]bool, batch)}
			for i := range batch {
				submit.Tasks = append(submit.Tasks, benchSpec(n+i))
				submit.Generated[i] = true
			}
			m.Step(Input{Now: Instant(n + 1), Commands: []Command{submit}})
		}
		b.ReportMetric(float64(heapInUse()-before)/waiting, "bytes/task")
		began := time.Now()
		runtime.GC()
		b.ReportMetric(float64(time.Since(began).Microseconds()), "gc-µs")
		runtime.KeepAlive(m)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}
