package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Latency submits single tasks at a fixed rate to agents with free slots, and measures from the
// submit on: until it is acknowledged, until the grant is at the agent, until the agent holds
// RECORDED. Between the submits it measures the yardstick, at the same rate.
func (b *Bench) Latency(ctx context.Context, l Load, rate int) (r Result, err error) {
	t, err := b.open(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	l.Unary, l.Batch, l.Submitters, l.Callers = true, 1, 0, 0
	r = b.result("latency", t, l)
	r.Settings["per_second"] = rate
	y, err := b.newYardstick(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, y.close()) }()
	p := newProbe(newFlow(l))
	flow, err := t.begin(ctx, p.flow)
	if err != nil {
		return r, err
	}
	defer flow.stop()
	if err := p.run(ctx, flow, y, rate); err != nil {
		return r, fmt.Errorf("bench: latency: %w", err)
	}
	p.tell(r.Figures, y)
	if u, ok := t.usage(); ok {
		r.Figures["server_rss_mib"], r.Figures["server_peak_rss_mib"] = mib(u.rss), mib(u.peak)
	}
	return r, nil
}

// probe times single tasks. Times of a task are dropped once its life is over.
type probe struct {
	*flow
	times                           sync.Map // task id → when it was submitted, then lease id → the same
	acknowledged, started, finished histogram
}

func newProbe(f *flow) *probe {
	p := &probe{flow: f}
	f.onGrant = func(lease, task string) {
		if began, ok := p.times.LoadAndDelete(task); ok {
			p.started.add(time.Since(began.(time.Time)))
			p.times.Store(lease, began)
		}
	}
	f.onAck = func(id string) {
		if began, ok := p.times.LoadAndDelete(id); ok {
			p.finished.add(time.Since(began.(time.Time)))
		}
	}
	return p
}

func (p *probe) tell(f Figures, y *yardstick) {
	f["lives"] = float64(p.recorded.Load())
	f.percentiles("acknowledged", &p.acknowledged)
	f.percentiles("started", &p.started)
	f.percentiles("recorded", &p.finished)
	f.percentiles("fsync", &y.synced)
	f.percentiles("echo", &y.echoed)
	f.percentiles("yardstick", &y.both)
	for _, what := range []string{"acknowledged", "started"} {
		for _, at := range []string{"p50", "p99"} {
			f[what+"_"+at+"_ratio"] = f[what+"_"+at+"_ms"] / f["yardstick_"+at+"_ms"]
		}
	}
}

// run submits at the rate and takes the yardstick between two submits, first without counting.
func (p *probe) run(ctx context.Context, flow *running, y *yardstick, rate int) error {
	conns, drop, err := flow.target.dial(1)
	if err != nil {
		return err
	}
	defer drop()
	for _, phase := range []struct {
		name string
		d    time.Duration
	}{{"latency: warm-up", flow.target.bench.Warmup}, {"latency", flow.target.bench.Duration}} {
		p.forget(y)
		if err := p.phase(ctx, flow, phase.name, phase.d, rate, conns[0], y); err != nil {
			return err
		}
	}
	return nil
}

// forget begins anew after the warm-up.
func (p *probe) forget(y *yardstick) {
	for _, h := range []*histogram{&p.acknowledged, &p.started, &p.finished, &y.synced, &y.echoed, &y.both} {
		h.clear()
	}
}

// phase runs for d. A submit doesn't wait for the one before, so that a stall shows in all that
// fall into it.
func (p *probe) phase(ctx context.Context, flow *running, what string, d time.Duration, rate int, conn *grpc.ClientConn, y *yardstick) error {
	parent := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2)
	period := time.Second / time.Duration(rate)
	c := stintv1.NewTaskServiceClient(conn)
	var wg sync.WaitGroup
	wg.Go(func() {
		failed <- each(ctx, period, 0, func() error { return p.submitOne(parent, c) })
	})
	wg.Go(func() {
		failed <- each(ctx, period, period/2, func() error { return y.take(parent) })
	})
	err := flow.target.bench.watch(ctx, what, d, nil, flow.failed, p.recorded.Load)
	cancel()
	wg.Wait()
	err = errors.Join(err, <-failed, <-failed)
	if err != nil {
		return err
	}
	return flow.wait(parent, flow.until(p.submitted.Load()))
}

func (p *probe) submitOne(ctx context.Context, c stintv1.TaskServiceClient) error {
	t := p.task(newID().String())
	began := time.Now()
	p.times.Store(t.Id, began)
	_, err := c.SubmitTask(ctx, &stintv1.SubmitTaskRequest{Task: t})
	p.acknowledged.add(time.Since(began))
	p.count(err, 1)
	return err
}

// each calls do at a fixed rate, in goroutines of their own, until ctx ends; then it waits for
// all of them, and answers the first error. offset shifts the beats against those of others.
func each(ctx context.Context, period, offset time.Duration, do func() error) error {
	pause(ctx, offset)
	beat := time.NewTicker(period)
	defer beat.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	failed := make(chan error, 1)
	for {
		select {
		case <-beat.C:
			wg.Go(func() {
				if err := do(); err != nil {
					select {
					case failed <- err:
					default: // one tells enough
					}
				}
			})
		case err := <-failed:
			return err
		case <-ctx.Done():
			wg.Wait()
			select {
			case err := <-failed:
				return err
			default:
				return nil
			}
		}
	}
}

// yardstick is what the machine takes for the least that a durable submit needs: one append with
// fsync in the file system of the data folder, and one unary call to another process.
type yardstick struct {
	mu                   sync.Mutex // one sync at a time: a file has one end
	disk                 *syncer
	echo                 *process
	drop                 func()
	client               grpc_health_v1.HealthClient
	synced, echoed, both histogram
}

func (b *Bench) newYardstick(ctx context.Context) (*yardstick, error) {
	disk, err := newSyncer(b.Folder)
	if err != nil {
		return nil, err
	}
	echo, address, err := launch(ctx, saying(echoing), b.Agent, "bench", "echo")
	if err != nil {
		return nil, errors.Join(err, disk.close())
	}
	conns, drop, err := (&target{bench: b, address: address}).dial(1)
	if err != nil {
		return nil, errors.Join(err, echo.end(), disk.close())
	}
	return &yardstick{disk: disk, echo: echo, drop: drop, client: grpc_health_v1.NewHealthClient(conns[0])}, nil
}

func (y *yardstick) close() error {
	y.drop()
	return errors.Join(y.echo.end(), y.disk.close())
}

// take takes it once. Waiting for those before counts, as it does for submits: both show a stall in
// all that fall into it.
func (y *yardstick) take(ctx context.Context) error {
	start := time.Now()
	y.mu.Lock()
	_, err := y.disk.sync()
	y.mu.Unlock()
	if err != nil {
		return err
	}
	began := time.Now()
	synced := began.Sub(start)
	if _, err := y.client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}); err != nil {
		return fmt.Errorf("bench: echo: %w", err)
	}
	echoed := time.Since(began)
	y.synced.add(synced)
	y.echoed.add(echoed)
	y.both.add(synced + echoed)
	return nil
}
