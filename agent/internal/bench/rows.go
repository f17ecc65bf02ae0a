package bench

import (
	"context"
	"fmt"
	"time"
)

// goal is what one figure of a row must reach and what it aims at.
type goal struct {
	figure    string
	unit      string
	must, aim float64
	less      bool // less is better
}

// row is a line of the table that a release is held to.
type row struct {
	name  string
	what  string
	goals []goal
	run   func(ctx context.Context, b *Bench, s Sizes) ([]Result, error)
}

// Sizes are how large a set of rows is.
type Sizes struct {
	Runs     int           // of each row; the table tells the median
	Warmup   time.Duration // before each measurement
	Duration time.Duration // of each measurement
	Lives    int64         // of the throughput rows, at least
	Waiting  []int64       // sizes of the memory row
	Drained  int64         // backlog of the drain row
	Beside   int64         // tasks waiting in the backlog row
	Nobody   int64         // tasks that match nobody
	Finished int64         // lives that are over
	Live     int64         // tasks of the restart row
	Sessions int           // of the sessions row
	Tasks    int           // of the overhead row
}

// Quick is a set that takes less than five minutes: to see where one stands, not to tell figures.
func Quick() Sizes {
	return Sizes{
		Runs: 1, Warmup: 2 * time.Second, Duration: 8 * time.Second, Waiting: []int64{0, 100_000}, Drained: 200_000,
		Beside: 100_000, Nobody: 10_000, Live: 100_000, Sessions: 500, Tasks: 5_000,
	}
}

// Full is all rows under the conditions of the table.
func Full() Sizes {
	return Sizes{
		Runs: 5, Warmup: 10 * time.Second, Duration: time.Minute, Lives: 5_000_000,
		Waiting: []int64{0, 100_000, 1_000_000, 10_000_000}, Drained: 1_000_000,
		Beside: 1_000_000, Nobody: 100_000, Finished: 10_000_000, Live: 1_000_000, Sessions: 10_000, Tasks: 50_000,
	}
}

// Usual is the load of the table: batches of 128 from four submitters to four agents.
func Usual() Load {
	return Load{
		Submitters: 4, Callers: 4, Batch: 128, Agents: 4, Slots: 1000,
		Instruction: 256, Result: 64, Backlog: 10_000,
	}
}

// rows in the order of the table.
func rows() []row {
	return []row{
		{"throughput", "lives a second, batches of 128, 4 submitters, 4 agents", []goal{
			{"lives_per_second", "", 100_000, 150_000, false},
			{"written_bytes_a_life", "B written to disk a life", 2560, 1536, true},
			{"disk_fsync_per_second", "4 KiB appends + fsync a second, the machine alone", 0, 0, false},
		}, flowRow(func(*Load) {})},
		{"one-a-message", "the same, one report a message", []goal{
			{"lives_per_second", "", 60_000, 90_000, false},
		}, flowRow(func(l *Load) { l.Portion = 1 })},
		{"unary", "lives a second, SubmitTask from 128 callers", []goal{
			{"lives_per_second", "", 20_000, 30_000, false},
		}, flowRow(func(l *Load) { l.Unary, l.Batch, l.Callers = true, 1, 32 })},
		{"latency", "submit → acknowledged, → started at 100/s, against the yardstick", []goal{
			{"acknowledged_p50_ratio", "× acknowledged p50", 1.6, 1.2, true},
			{"acknowledged_p99_ratio", "× acknowledged p99", 2.5, 1.6, true},
			{"started_p50_ratio", "× started p50", 2, 1.5, true},
			{"started_p99_ratio", "× started p99", 3, 2, true},
			{"acknowledged_p50_ms", "ms acknowledged p50", 0, 0.4, true},
			{"acknowledged_p99_ms", "ms acknowledged p99", 0, 1, true},
			{"started_p50_ms", "ms started p50", 0, 0.6, true},
			{"started_p99_ms", "ms started p99", 0, 1.5, true},
		}, one(func(ctx context.Context, b *Bench, _ Sizes) (Result, error) {
			l := Usual()
			l.Agents, l.Slots = 1, 100
			return b.Latency(ctx, l, 100)
		})},
		{"drain", "lives a second, all submitted before", []goal{{"lives_per_second", "", 0, 0, false}},
			one(func(ctx context.Context, b *Bench, s Sizes) (Result, error) { return b.Drain(ctx, Usual(), s.Drained) })},
		{"memory", "coordinator's memory, tasks waiting", nil, memoryRow},
		{"beside-waiting", "rate beside tasks waiting in the same queue, against empty", ratioGoal(), beside(BehindSame, func(s Sizes) int64 { return s.Beside })},
		{"beside-unmatched", "rate behind tasks that match nobody, against empty", ratioGoal(), beside(BehindUnmatched, func(s Sizes) int64 { return s.Nobody })},
		{"beside-finished", "rate after finished lives, against empty", ratioGoal(), beside(BehindFinished, func(s Sizes) int64 { return s.Finished })},
		{"restart", "ready after kill -9", []goal{{"ready_seconds", "s", 5, 2, true}},
			one(func(ctx context.Context, b *Bench, s Sizes) (Result, error) { return b.Restart(ctx, Usual(), s.Live) })},
		{"sessions", "idle sessions, one connection each", []goal{
			{"server_cpu_cores", "cores", 0.25, 0.1, true}, {"server_rss_mib", "MiB", 800, 400, true},
		}, one(func(ctx context.Context, b *Bench, s Sizes) (Result, error) { return b.Sessions(ctx, s.Sessions) })},
		{"idle", "idle coordinator, idle agent", []goal{
			{"server_cpu_percent", "% of a core, coordinator", 0.5, 0.5, true}, {"agent_cpu_percent", "% of a core, agent", 0.5, 0.5, true},
		}, one(func(ctx context.Context, b *Bench, _ Sizes) (Result, error) { return b.Idle(ctx) })},
		{"overhead", "agent's CPU a task over that of a bare HTTP client", []goal{{"overhead_cpu_us_a_task", "µs", 100, 50, true}},
			one(func(ctx context.Context, b *Bench, s Sizes) (Result, error) {
				l := Usual()
				l.Slots = 16
				return b.Overhead(ctx, l, s.Tasks)
			})},
	}
}

func ratioGoal() []goal { return []goal{{"ratio_to_empty", "×", 0.85, 0.95, false}} }

// one makes a row's run of a mode with one result.
func one(run func(context.Context, *Bench, Sizes) (Result, error)) func(context.Context, *Bench, Sizes) ([]Result, error) {
	return func(ctx context.Context, b *Bench, s Sizes) ([]Result, error) {
		r, err := run(ctx, b, s)
		return []Result{r}, err
	}
}

func flowRow(change func(*Load)) func(context.Context, *Bench, Sizes) ([]Result, error) {
	return one(func(ctx context.Context, b *Bench, s Sizes) (Result, error) {
		l := Usual()
		change(&l)
		lives := s.Lives
		if l.Unary || l.Portion == 1 {
			lives = 0 // the disk is asked about in one row only
		}
		return b.Throughput(ctx, l, lives)
	})
}

func beside(behind string, size func(Sizes) int64) func(context.Context, *Bench, Sizes) ([]Result, error) {
	return func(ctx context.Context, b *Bench, s Sizes) ([]Result, error) {
		if size(s) == 0 {
			return nil, nil
		}
		return b.Backlog(ctx, Usual(), behind, []int64{size(s)})
	}
}

// memoryRow makes a row of each size.
func memoryRow(ctx context.Context, b *Bench, s Sizes) ([]Result, error) {
	results, err := b.Memory(ctx, Usual(), s.Waiting)
	for i := range results {
		results[i].Row = fmt.Sprintf("memory-%d", s.Waiting[i])
	}
	return results, err
}

// Set runs all rows, or those named, and gives each result to found as soon as it is there. Runs of
// a row don't follow one another: a slow minute of the machine shouldn't hit them all.
func (b *Bench) Set(ctx context.Context, s Sizes, names []string, found func(Result) error) error {
	chosen, err := choose(names)
	if err != nil {
		return err
	}
	c := *b
	c.Warmup, c.Duration, c.Verify = s.Warmup, s.Duration, true
	for range s.Runs {
		for _, row := range chosen {
			results, err := row.run(ctx, &c, s)
			if err != nil {
				return fmt.Errorf("%w; that was row %s", err, row.name)
			}
			for _, r := range results {
				if r.Row == "" {
					r.Row = row.name
				}
				if err := found(r); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// choose finds rows by name; no names mean all.
func choose(names []string) ([]row, error) {
	if len(names) == 0 {
		return rows(), nil
	}
	var chosen []row
	for _, name := range names {
		n := len(chosen)
		for _, row := range rows() {
			if row.name == name {
				chosen = append(chosen, row)
			}
		}
		if len(chosen) == n {
			return nil, fmt.Errorf("bench: row %q is unknown; give one of %s", name, rowNames())
		}
	}
	return chosen, nil
}

func rowNames() (names []string) {
	for _, row := range rows() {
		names = append(names, row.name)
	}
	return names
}
