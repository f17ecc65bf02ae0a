package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// What the tasks of a backlog are to a flow beside them.
const (
	BehindSame      = "same"      // of the same queue, later in its order
	BehindUnmatched = "unmatched" // of the same queue, earlier in its order, requiring what no agent has
	BehindOther     = "other"     // of a queue that no agent serves
	BehindFinished  = "finished"  // lives that are over
)

// lastPriority is the lowest: an hour and a half of waiting wouldn't bring such a task forward.
const lastPriority = -100

// waiting makes the tasks of a backlog.
func waiting(l Load, behind string) (*flow, error) {
	f := newFlow(l)
	switch behind {
	case BehindSame:
		f.shape = func(t *stintv1.Task) { t.Priority = lastPriority }
	case BehindUnmatched:
		f.shape = func(t *stintv1.Task) { t.Requires = []string{"bench=nobody"} }
	case BehindOther:
		f.shape = func(t *stintv1.Task) { t.Queue = "bench-waiting" }
	case BehindFinished:
	default:
		return nil, fmt.Errorf("bench: behind %q is unknown; give same, unmatched, other or finished", behind)
	}
	return f, nil
}

// Backlog measures a flow at an empty coordinator, then with more and more tasks beside it, and
// on a coordinator of ours at an empty one again: a machine's speed drifts. A result for each
// size tells the rate against the mean of the two.
func (b *Bench) Backlog(ctx context.Context, l Load, behind string, sizes []int64) (results []Result, err error) {
	if l.Queue == "" {
		l.Queue = "bench"
	}
	t, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	crowd, err := waiting(l, behind)
	if err != nil {
		return nil, err
	}
	empty, err := t.flowing(ctx, l, "backlog: empty")
	if err != nil {
		return nil, err
	}
	for _, size := range sizes {
		r := b.result("backlog", t, l)
		r.Settings["behind"], r.Settings["waiting"] = behind, size
		if err := t.grow(ctx, crowd, behind, size); err != nil {
			return results, err
		}
		s, err := t.flowing(ctx, l, fmt.Sprintf("backlog: beside %d", size))
		if err != nil {
			return results, err
		}
		r.Figures.span(s)
		results = append(results, r)
	}
	again := empty
	if b.Coordinator == "" {
		if again, err = b.emptyAgain(ctx, l); err != nil {
			return results, err
		}
	}
	for _, r := range results {
		r.Figures["empty_lives_per_second"] = (empty.rate() + again.rate()) / 2
		r.Figures["ratio_to_empty"] = r.Figures["lives_per_second"] / r.Figures["empty_lives_per_second"]
	}
	return results, nil
}

func (b *Bench) emptyAgain(ctx context.Context, l Load) (s span, err error) {
	t, err := b.open(ctx)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	return t.flowing(ctx, l, "backlog: empty again")
}

// flowing measures one flow to its end.
func (t *target) flowing(ctx context.Context, l Load, what string) (span, error) {
	flow, err := t.begin(ctx, newFlow(l))
	if err != nil {
		return span{}, err
	}
	return flow.measured(ctx, what, 0)
}

// grow brings the crowd to a size, and waits until the coordinator has nothing left to do for it.
func (t *target) grow(ctx context.Context, crowd *flow, behind string, size int64) error {
	missing := size - crowd.submitted.Load()
	if missing <= 0 {
		return nil
	}
	var err error
	if behind == BehindFinished {
		err = t.finished(ctx, crowd, missing)
	} else {
		_, err = t.fill(ctx, crowd, missing, fmt.Sprintf("filling to %d", size))
	}
	t.quiet(ctx)
	return err
}

// finished runs about n lives.
func (t *target) finished(ctx context.Context, crowd *flow, n int64) error {
	f := newFlow(crowd.Load)
	f.Batch, f.Unary, f.Portion = 100, false, 0
	flow, err := t.begin(ctx, f)
	if err != nil {
		return err
	}
	err = t.bench.watch(ctx, "finishing lives", livesWithin, flow.until(n), flow.failed, flow.recorded.Load)
	if err != nil {
		flow.stop()
		return fmt.Errorf("bench: finishing lives: %w", err)
	}
	crowd.submitted.Add(n)
	return flow.finish(ctx)
}

// Memory tells the coordinator's memory with more and more tasks that wait. It needs a coordinator
// of ours.
func (b *Bench) Memory(ctx context.Context, l Load, sizes []int64) (results []Result, err error) {
	t, err := b.own(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	crowd, err := waiting(l, BehindOther)
	if err != nil {
		return nil, err
	}
	idle, _ := t.quiet(ctx)
	for _, size := range sizes {
		if err := t.grow(ctx, crowd, BehindOther, size); err != nil {
			return results, err
		}
		r := b.result("memory", t, map[string]any{"waiting": size, "instruction_bytes": l.Instruction})
		u, _ := t.quiet(ctx)
		r.Figures["server_rss_mib"], r.Figures["server_peak_rss_mib"] = mib(u.rss), mib(u.peak)
		if size > 0 {
			r.Figures["rss_bytes_a_task"] = float64(u.rss-idle.rss) / float64(size)
			r.Figures["written_bytes_a_task"] = float64(u.written-idle.written) / float64(size)
		}
		results = append(results, r)
	}
	return results, nil
}

// own is open, for modes that must start the coordinator themselves.
func (b *Bench) own(ctx context.Context) (*target, error) {
	if b.Coordinator != "" {
		return nil, fmt.Errorf("bench: coordinator %q runs already, and this mode needs one of its own; give --spawn", b.Coordinator)
	}
	t, err := b.open(ctx)
	if err != nil {
		return nil, err
	}
	if _, ok := t.usage(); !ok {
		return nil, errors.Join(errors.New("bench: this system has no /proc, which this mode needs; run it on Linux"), t.close())
	}
	return t, nil
}

// Restart fills a coordinator with n live tasks, kills it, starts it again on the same folder, and
// measures the time until it serves and has answered.
func (b *Bench) Restart(ctx context.Context, l Load, n int64) (r Result, err error) {
	t, err := b.own(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	r = b.result("restart", t, map[string]any{"waiting": n, "instruction_bytes": l.Instruction})
	if r.Figures["fill_per_second"], err = t.fill(ctx, newFlow(l), n, "restart: filling"); err != nil {
		return r, err
	}
	t.process.kill()
	t.process = nil
	began := time.Now()
	if err := t.start(ctx); err != nil {
		return r, err
	}
	status, err := t.status(ctx)
	if err != nil {
		return r, err
	}
	r.Figures["ready_seconds"] = time.Since(began).Seconds()
	if live := status.GetCounts().GetReady(); live != n {
		return r, fmt.Errorf("bench: after the restart %d tasks are ready and %d were acknowledged; report this", live, n)
	}
	u, _ := t.usage()
	r.Figures["server_cpu_seconds"], r.Figures["server_rss_mib"] = u.cpu.Seconds(), mib(u.rss)
	return r, nil
}
