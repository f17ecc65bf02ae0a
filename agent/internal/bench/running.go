package bench

import (
	"context"
	"fmt"
	"time"
)

// running is a flow under way at a target.
type running struct {
	*flow
	target *target
	failed chan error    // of submitters and agents; each sends at most one
	full   chan struct{} // closed: the submitters have ended
	ended  chan struct{} // closed: all have ended
	cancel context.CancelFunc
	drop   func()
}

// begin starts the agents of a flow, and its submitters if it has any.
func (t *target) begin(ctx context.Context, f *flow) (*running, error) {
	submitting, dropSubmitters, err := t.dial(f.Submitters)
	if err != nil {
		return nil, err
	}
	working, dropAgents, err := t.dial(f.Agents)
	if err != nil {
		dropSubmitters()
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &running{
		flow: f, target: t, failed: make(chan error, 2), full: make(chan struct{}), ended: make(chan struct{}), cancel: cancel,
		drop: func() { dropSubmitters(); dropAgents() },
	}
	prefix := "bench-" + newID().String()[:8]
	go func() {
		defer close(r.ended)
		_ = all(2, func(i int) error {
			if i == 0 {
				defer close(r.full)
				return r.fail(f.submit(ctx, submitting))
			}
			return r.fail(f.work(ctx, working, prefix))
		})
	}()
	return r, nil
}

func (r *running) fail(err error) error {
	if err != nil {
		r.failed <- err
	}
	return err
}

// finish ends the flow in order: nothing is submitted any more, then all is recorded, then the
// agents leave. A flow that doesn't get there is an error.
func (r *running) finish(ctx context.Context) error {
	defer r.stop()
	close(r.enough)
	ctx, cancel := context.WithTimeoutCause(ctx, finishWithin, errUnfinished)
	defer cancel()
	err := r.wait(ctx, r.full)
	if err == nil {
		err = r.wait(ctx, r.until(r.submitted.Load()))
	}
	if err != nil {
		return fmt.Errorf("bench: end of the flow: %w; %d of %d tasks are recorded, %d reports were refused",
			err, r.recorded.Load(), r.submitted.Load(), r.refused.Load())
	}
	return nil
}

var errUnfinished = fmt.Errorf("not all is recorded after %v", finishWithin)

func (r *running) wait(ctx context.Context, over <-chan struct{}) error {
	select {
	case <-over:
		return nil
	case err := <-r.failed:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stop ends the flow at once.
func (r *running) stop() {
	r.cancel()
	<-r.ended
	r.drop()
}

// finishWithin bounds the time for what was submitted to be recorded.
const finishWithin = time.Minute

// span is what happened between two moments of a flow.
type span struct {
	lives   int64
	seconds float64
	client  float64 // CPU seconds of this process
	server  usage   // cpu is that of the span, the rest as it stood at the end
	known   bool    // server is known
}

func (s span) rate() float64 { return float64(s.lives) / s.seconds }

// measured is measure and finish.
func (r *running) measured(ctx context.Context, what string, lives int64) (span, error) {
	s, err := r.measure(ctx, what, lives)
	if err != nil {
		r.stop()
		return s, err
	}
	return s, r.finish(ctx)
}

// measure lets the flow run for the warm-up, then for the duration and until lives are recorded.
func (r *running) measure(ctx context.Context, what string, lives int64) (span, error) {
	b := r.target.bench
	if err := b.watch(ctx, what+": warm-up", b.Warmup, nil, r.failed, r.recorded.Load); err != nil {
		return span{}, fmt.Errorf("bench: %s: %w", what, err)
	}
	before, _ := r.target.usage()
	own, n, began := ownCPU(), r.recorded.Load(), time.Now()
	err := b.watch(ctx, what, b.Duration, nil, r.failed, r.recorded.Load)
	if err == nil && r.recorded.Load() < n+lives {
		err = b.watch(ctx, what, livesWithin, r.until(n+lives), r.failed, r.recorded.Load)
	}
	if err != nil {
		return span{}, fmt.Errorf("bench: %s: %w", what, err)
	}
	s := span{lives: r.recorded.Load() - n, seconds: time.Since(began).Seconds(), client: ownCPU() - own}
	s.server, s.known = r.target.usage()
	s.server.cpu -= before.cpu
	return s, nil
}

// livesWithin bounds the time in which a wanted number of lives is waited for.
const livesWithin = time.Hour

// figures tells a span.
func (f Figures) span(s span) {
	f["lives"], f["seconds"], f["lives_per_second"] = float64(s.lives), s.seconds, s.rate()
	if s.client > 0 {
		f["client_cpu_us_a_life"] = s.client * 1e6 / float64(s.lives)
	}
	if !s.known {
		return
	}
	f["server_cpu_us_a_life"] = float64(s.server.cpu.Microseconds()) / float64(s.lives)
	f["server_cpu_cores"] = s.server.cpu.Seconds() / s.seconds
	f["server_rss_mib"] = mib(s.server.rss)
	f["server_peak_rss_mib"] = mib(s.server.peak)
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }
