package bench

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// small is a load that a fake answers at once.
func small() Load {
	l := Usual()
	l.Submitters, l.Callers, l.Batch, l.Agents, l.Slots, l.Backlog = 2, 2, 7, 2, 50, 100
	return l
}

func newBench(t *testing.T, f *fake, change func(*Config)) *Bench {
	t.Helper()
	c := Config{Coordinator: f.address, Folder: t.TempDir(), Duration: time.Second, Verify: true}
	if change != nil {
		change(&c)
	}
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A flow ends only when all that was submitted is recorded, and never has more under way than its
// backlog.
func TestFlowEndsInOrder(t *testing.T) {
	f := serve(t)
	target := &target{bench: newBench(t, f, nil), address: f.address}
	flow, err := target.begin(t.Context(), newFlow(small()))
	if err != nil {
		t.Fatal(err)
	}
	<-flow.until(500)
	if n := flow.submitted.Load() - flow.recorded.Load(); n > 100 {
		t.Errorf("%d tasks are under way, the backlog is 100", n)
	}
	if err := flow.finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, r := flow.submitted.Load(), flow.recorded.Load(); s != r || r < 500 || f.counts.Completed != r {
		t.Errorf("%d submitted, %d recorded, the coordinator completed %d", s, r, f.counts.Completed)
	}
}

// Fill submits exactly what it was asked for, whatever the size of a batch.
func TestFillIsExact(t *testing.T) {
	for _, n := range []int64{1, 999, 1000, 3456} {
		f := serve(t)
		target := &target{bench: newBench(t, f, nil), address: f.address}
		flow := newFlow(small())
		if _, err := target.fill(t.Context(), flow, n, "fill"); err != nil {
			t.Fatal(err)
		}
		if f.counts.Submitted != n || flow.submitted.Load() != n {
			t.Errorf("asked for %d, the coordinator has %d, counted are %d", n, f.counts.Submitted, flow.submitted.Load())
		}
	}
}

// Portion bounds the reports of a message.
func TestPortionBoundsReports(t *testing.T) {
	f := serve(t)
	l := small()
	l.Portion = 3
	target := &target{bench: newBench(t, f, nil), address: f.address}
	flow, err := target.begin(t.Context(), newFlow(l))
	if err != nil {
		t.Fatal(err)
	}
	<-flow.until(200)
	if err := flow.finish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if most := slices.Max(f.messages); most > 3 {
		t.Errorf("a message had %d reports", most)
	}
}

// deliver gives a worker a message as if it had come.
func deliver(t *testing.T, w *worker, m *stintv1.SessionResponse) {
	t.Helper()
	var d delivery
	if err := receivedAs(m, &d); err != nil {
		t.Fatal(err)
	}
	w.take(t.Context(), &d)
}

// Only what is RECORDED of a lease that is held is a life, and heartbeats name what is held.
func TestOnlyRecordedCounts(t *testing.T) {
	w := newWorker(newFlow(small()), "a")
	deliver(t, w, &stintv1.SessionResponse{Grants: []*stintv1.Lease{{LeaseId: "x"}, {LeaseId: "y"}, {LeaseId: "z"}, {LeaseId: "u"}}})
	deliver(t, w, &stintv1.SessionResponse{ReportAcks: []*stintv1.ReportAck{
		{LeaseId: "x", Outcome: stintv1.ReportOutcome_REPORT_OUTCOME_LEASE_LOST},
		{LeaseId: "z", Outcome: stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED},
		{LeaseId: "u", Outcome: stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED},
		{LeaseId: "u", Outcome: stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED},
		{LeaseId: "never granted", Outcome: stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED},
	}})
	if lives, refused := w.recorded.Load(), w.refused.Load(); lives != 2 || refused != 3 {
		t.Errorf("%d lives and %d refused, want 2 and 3", lives, refused)
	}
	if held := w.heartbeat().GetLeases(); len(held) != 1 || held[0].GetLeaseId() != "y" {
		t.Errorf("the heartbeat names %v, want y", held)
	}
}

// A flow whose coordinator is gone tells so, and ends.
func TestFlowFails(t *testing.T) {
	target := &target{bench: newBench(t, &fake{address: "127.0.0.1:1"}, nil), address: "127.0.0.1:1"}
	flow, err := target.begin(t.Context(), newFlow(small()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flow.measured(t.Context(), "flow", 0); err == nil || !strings.Contains(err.Error(), "bench: flow: ") {
		t.Errorf("got %v", err)
	}
}

// What somebody waits for is told once it is reached, also if it was reached before.
func TestUntil(t *testing.T) {
	f := newFlow(small())
	f.done(5)
	<-f.until(5)
	next := f.until(7)
	f.done(1)
	select {
	case <-next:
		t.Fatal("told after 6 of 7")
	default:
	}
	f.done(1)
	<-next
}

// Beats come at the rate and don't wait for those before.
func TestEachKeepsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 1005*time.Millisecond)
		defer cancel()
		began := time.Now()
		var n atomic.Int64
		err := each(ctx, 10*time.Millisecond, 0, func() error {
			n.Add(1)
			time.Sleep(3 * time.Second)
			return nil
		})
		if err != nil || n.Load() != 100 || time.Since(began) != 4*time.Second {
			t.Errorf("%d beats and %v after %v, want 100 after 4s", n.Load(), err, time.Since(began))
		}
	})
}

// Ids are of letters that may stand in one, all of them at every place, and never the same.
func TestNewID(t *testing.T) {
	seen := map[id]bool{}
	var letters [26]map[byte]bool
	for range 2000 {
		made := newID()
		if seen[made] {
			t.Fatalf("%s came twice", made)
		}
		seen[made] = true
		for i, c := range made {
			if letters[i] == nil {
				letters[i] = map[byte]bool{}
			}
			letters[i][c] = true
			if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", rune(c)) {
				t.Fatalf("%s has %q", made, c)
			}
		}
	}
	for i, l := range letters {
		if len(l) != 32 {
			t.Errorf("place %d has seen %d letters", i, len(l))
		}
	}
}
