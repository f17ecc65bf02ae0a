package queue

import (
	"testing"
	"time"
)

// A look-up made before an attempt was written again is not trusted, even if it has seen the
// attempt's first batch: what the machine remembers goes before it, and a cost is settled once
// (B3).
func TestStaleLookUpOfAnAttemptWrittenTwice(t *testing.T) {
	m, b := New(scenarioConfig), newBook()
	step := func(settled uint64, elapsed time.Duration, cs ...Command) *Effects {
		t.Helper()
		in := Input{
			Now: Instant(elapsed/time.Microsecond) + 1, Elapsed: elapsed, Released: b.head.Batch, Settled: settled, Commands: cs,
		}
		out := m.Step(in)
		if out.Batch != nil {
			if err := b.fold(out.Batch); err != nil {
				t.Fatal(err)
			}
		}
		return &out
	}
	late := func(cost Micros) *ReportLeases {
		f := Failure{Class: ClassConnect, Cost: cost, HasCost: true}
		return &ReportLeases{Reports: []Report{{Lease: LeaseRef{1, 1}, Failure: f, Digest: digestOf(f)}}}
	}
	spec := benchSpec(1)
	step(0, 0, &Submit{Tasks: []Spec{spec}, Generated: []bool{true}}, &Acquire{Agent: "me", Max: 1, Length: 5 * time.Second})
	step(0, 0)
	step(0, 5*time.Second) // the lease is lost

	stale := late(5)
	b.look(stale)
	seen := b.head.Batch
	first := late(4)
	b.look(first)
	step(seen-1, 5*time.Second, first) // written again before its first batch is settled
	step(seen, 5*time.Second)
	step(seen, 5*time.Second, stale)
	if a := b.attempts[AttemptKey{1, 1}]; a.Cost != 4 {
		t.Errorf("the attempt is settled at %d, want 4 as first reported", a.Cost)
	}
	if r := stale.Reports[0]; r.Ack != AckLeaseLost || r.End != EndExpired {
		t.Errorf("the second report is answered %d %d", r.Ack, r.End)
	}
}

// A report of a task that the machine has forgotten is looked up, and what it says cannot be
// told from memory alone (C3).
func TestForgottenTaskIsLookedUp(t *testing.T) {
	m, b := New(scenarioConfig), newBook()
	fold := func(out Effects) Effects {
		t.Helper()
		if out.Batch != nil {
			if err := b.fold(out.Batch); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	spec := benchSpec(1)
	report := func() *ReportLeases {
		return &ReportLeases{Reports: []Report{{Lease: LeaseRef{1, 1}, Success: true, Digest: Digest{7}}}}
	}
	fold(m.Step(Input{Now: 1, Commands: []Command{
		&Submit{Tasks: []Spec{spec}, Generated: []bool{true}}, &Acquire{Agent: "me", Max: 1, Length: time.Minute},
	}}))
	fold(m.Step(Input{Now: 2, Commands: []Command{report()}}))
	again := report()
	if fold(m.Step(Input{Now: 3, Commands: []Command{again}})); again.Reports[0].Ack != AckDuplicate {
		t.Fatalf("a repeat before it is settled is answered %d", again.Reports[0].Ack)
	}
	again = report()
	out := fold(m.Step(Input{Now: 4, Settled: b.head.Batch, Commands: []Command{again}}))
	if len(out.Missing) != 1 || !again.Reports[0].Need {
		t.Fatalf("a report of a forgotten task is answered %+v", again.Reports[0])
	}
	b.look(again)
	out = fold(m.Step(Input{Now: 5, Settled: b.head.Batch, Commands: out.Missing}))
	if len(out.Done) != 1 || again.Reports[0].Ack != AckDuplicate || out.Batch != nil {
		t.Fatalf("after its look-up it is answered %+v", again.Reports[0])
	}
}
