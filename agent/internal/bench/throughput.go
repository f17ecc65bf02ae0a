package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Throughput measures how many lives a second a flow makes, for the duration and at least so many
// lives. From a coordinator of ours it also tells what a life writes to the disk, background work
// included.
func (b *Bench) Throughput(ctx context.Context, l Load, lives int64) (r Result, err error) {
	t, err := b.open(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	r = b.result("throughput", t, l)
	if err := r.Figures.disk(b.Folder); err != nil {
		return r, err
	}
	count, err := t.counted(ctx)
	if err != nil {
		return r, err
	}
	f := newFlow(l)
	before, _ := t.usage()
	flow, err := t.begin(ctx, f)
	if err != nil {
		return r, err
	}
	s, err := flow.measured(ctx, "throughput", lives)
	if err != nil {
		return r, err
	}
	r.Figures.span(s)
	r.Figures["refused_reports"] = float64(f.refused.Load())
	if after, ok := t.quiet(ctx); ok {
		r.Figures["written_bytes_a_life"] = float64(after.written-before.written) / float64(f.recorded.Load())
	}
	if b.Verify {
		err = count.verify(ctx, f, &r)
	}
	return r, err
}

// Drain fills a backlog of n tasks, then lets the agents loose on it.
func (b *Bench) Drain(ctx context.Context, l Load, n int64) (r Result, err error) {
	t, err := b.open(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	r = b.result("drain", t, l)
	r.Settings["waiting"] = n
	count, err := t.counted(ctx)
	if err != nil {
		return r, err
	}
	f := newFlow(l)
	if r.Figures["fill_per_second"], err = t.fill(ctx, f, n, "drain: filling"); err != nil {
		return r, err
	}
	before, _ := t.usage()
	began, own := time.Now(), ownCPU()
	flow, err := t.begin(ctx, f.agentsOnly())
	if err != nil {
		return r, err
	}
	defer flow.stop()
	if err := b.watch(ctx, "drain", livesWithin, flow.until(n), flow.failed, flow.recorded.Load); err != nil {
		return r, fmt.Errorf("bench: drain: %w", err)
	}
	s := span{lives: n, seconds: time.Since(began).Seconds(), client: ownCPU() - own}
	s.server, s.known = t.usage()
	s.server.cpu -= before.cpu
	r.Figures.span(s)
	if b.Verify {
		err = count.verify(ctx, flow.flow, &r)
	}
	return r, err
}

// agentsOnly makes a flow of the same tasks, already submitted.
func (f *flow) agentsOnly() *flow {
	g := newFlow(f.Load)
	g.Submitters = 0
	g.submitted.Store(f.submitted.Load())
	return g
}

// fill submits n tasks that stay, in large batches, and answers how many a second.
func (t *target) fill(ctx context.Context, f *flow, n int64, what string) (float64, error) {
	if n == 0 {
		return 0, nil
	}
	f.Submitters, f.Callers, f.Batch, f.Unary = 4, 2, 1000, false
	conns, drop, err := t.dial(f.Submitters)
	if err != nil {
		return 0, err
	}
	defer drop()
	began, filled := time.Now(), make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var failed error
	go func() {
		defer close(filled)
		failed = f.fill(ctx, conns, n)
	}()
	err = t.bench.watch(ctx, what, livesWithin, filled, nil, f.submitted.Load)
	cancel()
	<-filled
	if err := errors.Join(err, failed); err != nil {
		return 0, fmt.Errorf("bench: %s: %w", what, err)
	}
	return float64(n) / time.Since(began).Seconds(), nil
}

// counted are the coordinator's counts before a run.
type counted struct {
	target *target
	before *stintv1.TaskCounts
}

func (t *target) counted(ctx context.Context) (counted, error) {
	s, err := t.status(ctx)
	return counted{t, s.GetCounts()}, err
}

// verify holds the coordinator's counts against those of a finished flow; then it kills a
// coordinator of ours, starts it again, and does the same once more.
func (c counted) verify(ctx context.Context, f *flow, r *Result) error {
	if err := c.check(ctx, f); err != nil {
		return err
	}
	if c.target.process != nil {
		c.target.process.kill()
		if err := c.target.start(ctx); err != nil {
			return err
		}
		if err := c.check(ctx, f); err != nil {
			return fmt.Errorf("%w; that is after a restart", err)
		}
	}
	r.Figures["verified_lives"] = float64(f.recorded.Load())
	return nil
}

func (c counted) check(ctx context.Context, f *flow) error {
	s, err := c.target.status(ctx)
	if err != nil {
		return err
	}
	submitted := s.GetCounts().GetSubmitted() - c.before.GetSubmitted()
	completed := s.GetCounts().GetCompleted() + s.GetCounts().GetPruned() - c.before.GetCompleted() - c.before.GetPruned()
	if submitted != f.submitted.Load() || completed != f.recorded.Load() {
		return fmt.Errorf("bench: the coordinator counts %d submitted and %d completed tasks, the clients %d and %d; give it no other work, and report this",
			submitted, completed, f.submitted.Load(), f.recorded.Load())
	}
	return nil
}
