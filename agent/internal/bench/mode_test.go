package bench

import (
	"os"
	"strings"
	"testing"
)

// Throughput counts lives and holds them against the coordinator's counts.
func TestThroughput(t *testing.T) {
	f := serve(t)
	b := newBench(t, f, nil)
	r, err := b.Throughput(t.Context(), small(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := r.Figures["verified_lives"]; n == 0 || n != float64(f.counts.Completed) || r.Coordinator != "fake" {
		t.Errorf("%v lives are verified, completed are %d, coordinator %q", n, f.counts.Completed, r.Coordinator)
	}
	if _, ok := r.Figures["server_rss_mib"]; ok {
		t.Error("there is a figure of a process that isn't ours")
	}
}

// A coordinator that loses a task is found out.
func TestVerifyFindsLoss(t *testing.T) {
	f := serve(t)
	target := &target{bench: newBench(t, f, nil), address: f.address}
	count, err := target.counted(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	flow := newFlow(small())
	if _, err := target.fill(t.Context(), flow, 10, "fill"); err != nil {
		t.Fatal(err)
	}
	flow.done(10)
	err = count.verify(t.Context(), flow, &Result{Figures: Figures{}})
	if err == nil || !strings.Contains(err.Error(), "counts 10 submitted and 0 completed tasks, the clients 10 and 10") {
		t.Errorf("got %v", err)
	}
}

// Drain runs exactly what was there.
func TestDrain(t *testing.T) {
	f := serve(t)
	r, err := newBench(t, f, nil).Drain(t.Context(), small(), 1234)
	if err != nil || r.Figures["lives"] != 1234 || f.counts.Submitted != 1234 {
		t.Errorf("got %v and %v, submitted %d", r.Figures, err, f.counts.Submitted)
	}
}

// Latency tells all three times and the yardstick, whose echo is a process of its own.
func TestLatency(t *testing.T) {
	t.Setenv(helperVariable, "echo")
	f := serve(t)
	b := newBench(t, f, func(c *Config) { c.Agent = os.Args[0] })
	l := small()
	r, err := b.Latency(t.Context(), l, 200)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"acknowledged_p50_ms", "started_p99_ms", "recorded_p999_ms", "yardstick_p50_ms", "acknowledged_p50_ratio"} {
		if r.Figures[name] <= 0 {
			t.Errorf("%s is %v", name, r.Figures[name])
		}
	}
	if entries, err := os.ReadDir(b.Folder); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// Tasks beside a flow are what they are said to be, and a rate is told for each level.
func TestBacklog(t *testing.T) {
	f := serve(t)
	b := newBench(t, f, nil)
	results, err := b.Backlog(t.Context(), small(), BehindUnmatched, []int64{10, 25})
	if err != nil || len(results) != 2 || results[1].Figures["ratio_to_empty"] <= 0 {
		t.Fatalf("got %v, %v", results, err)
	}
	if left := f.counts.Submitted - f.counts.Completed; left != 25 {
		t.Errorf("%d tasks are left, want 25", left)
	}
	for behind, want := range map[string]func(*fake) bool{
		BehindUnmatched: func(f *fake) bool { return len(f.requires) == 1 && len(f.tasks) == 0 },
		BehindOther:     func(f *fake) bool { return len(f.tasks) == 0 },
		BehindSame:      func(f *fake) bool { return (<-f.tasks).GetPriority() == lastPriority },
	} {
		f := serve(t)
		crowd, err := waiting(small(), behind)
		if err != nil {
			t.Fatal(err)
		}
		target := &target{bench: b, address: f.address}
		if _, err := target.fill(t.Context(), crowd, 1, "fill"); err != nil || !want(f) {
			t.Errorf("%s: other tasks than expected, or %v", behind, err)
		}
	}
	if _, err := waiting(small(), "nothing"); err == nil || !strings.Contains(err.Error(), `behind "nothing"`) {
		t.Errorf("got %v", err)
	}
}

// Modes that must start the coordinator refuse one that runs.
func TestOwnOnly(t *testing.T) {
	b := newBench(t, &fake{address: "127.0.0.1:1"}, nil)
	if _, err := b.Idle(t.Context()); err == nil || !strings.Contains(err.Error(), "--spawn") {
		t.Errorf("got %v", err)
	}
}
