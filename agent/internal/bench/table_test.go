package bench

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A percentile is right to 1 %.
func TestHistogram(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 100, 255, 256, 257, 4095, time.Microsecond, 1234567, 9 * time.Second, 1<<63 - 1} {
		var h histogram
		h.add(d)
		got := h.at(50)
		if diff := got - d; diff > d/100 || -diff > d/100 {
			t.Errorf("%d is told as %d", d, got)
		}
	}
	var h histogram
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Millisecond)
	}
	for _, p := range []float64{50, 99, 99.9} {
		want := time.Duration(p*10) * time.Millisecond
		if got := h.at(p); got < want-want/50 || got > want+want/50 {
			t.Errorf("p%v is %v, want %v", p, got, want)
		}
	}
	h.clear()
	if got := h.at(99); got != 0 {
		t.Errorf("nothing has the percentile %v", got)
	}
}

// Numbers show what can be meant.
func TestShort(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.0000", 0.12345: "0.123", 1.5: "1.50", 42.42: "42.4", 123.4: "123", 1234: "1,234", 1234567: "1,234,567", -1234: "-1,234", -123456: "-123,456",
	} {
		if got := short(v); got != want {
			t.Errorf("%v: got %q, want %q", v, got, want)
		}
	}
}

// The table tells the median of the runs, also of results that were saved.
func TestMarkdown(t *testing.T) {
	var saved bytes.Buffer
	for _, rate := range []float64{90_000, 110_000, 70_000} {
		if err := WriteLine(&saved, Result{Row: "throughput", Machine: Machine{Cores: 2, CPU: "Z80"}, Figures: Figures{"lives_per_second": rate, "other": 1}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteLine(&saved, Result{Row: "memory-100000", Machine: Machine{Cores: 2, CPU: "Z80"}, Figures: Figures{"server_rss_mib": 99.9}}); err != nil {
		t.Fatal(err)
	}
	results, err := ReadLines(&saved)
	if err != nil || len(results) != 4 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	var out strings.Builder
	if err := WriteMarkdown(&out, results); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "2 cores Z80") != 1 {
		t.Errorf("the machine is not told once in\n%s", &out)
	}
	for _, want := range []string{
		"| throughput | lives a second, batches of 128, 4 submitters, 4 agents | ≥ 100,000 | ≥ 150,000 | **90,000** (70,000 … 110,000) | 3 |\n",
		"| memory-100000 | coordinator's memory, 100000 tasks waiting | ≤ 150 | ≤ 100 | **99.9** MiB | 1 |\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if _, err := ReadLines(strings.NewReader("{}\nnonsense")); err == nil || !strings.Contains(err.Error(), "result 2") {
		t.Errorf("got %v", err)
	}
}

// Rows have names of their own, and every figure that a table shows is one that the row can have.
func TestRows(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range rows() {
		if seen[r.name] || r.run == nil || r.what == "" {
			t.Errorf("row %q is there twice or half", r.name)
		}
		seen[r.name] = true
	}
	if some, err := choose([]string{"idle", "unary"}); err != nil || len(some) != 2 {
		t.Errorf("got %v, %v", some, err)
	}
	if _, err := choose([]string{"nothing"}); err == nil || !strings.Contains(err.Error(), "throughput") {
		t.Errorf("got %v", err)
	}
	if err := Usual().Check(); err != nil {
		t.Error(err)
	}
	err := Load{Batch: 2000, Backlog: 1}.Check()
	for _, name := range []string{"batch 2000", "agents 0", "slots 0", "backlog 1"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("no %q in %v", name, err)
		}
	}
}

// A process of this system tells what it has used.
func TestUsage(t *testing.T) {
	u, ok := usageOf(os.Getpid())
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	if !ok || u.rss < 1<<20 || u.peak < u.rss/2 {
		t.Errorf("got %+v, %v", u, ok)
	}
	if _, ok := usageOf(1 << 30); ok {
		t.Error("a process that isn't there has used something")
	}
}
