package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// mostSessions is how many sessions one helper keeps: each takes a file, and systems allow 20,000
// or fewer a process.
const mostSessions = 2500

// Sessions connects n agents that do nothing, each on a connection of its own, and measures what
// they cost the coordinator for the duration.
func (b *Bench) Sessions(ctx context.Context, n int) (r Result, err error) {
	t, err := b.own(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	r = b.result("sessions", t, map[string]any{"sessions": n})
	began := time.Now()
	for sat := 0; sat < n; sat += mostSessions {
		b.note(fmt.Sprintf("sessions: %d of %d", sat, n), 0, time.Since(began))
		p, _, err := launch(ctx, saying(sitting), b.Agent, "bench", "sit",
			"--coordinator", t.address, "--sessions", fmt.Sprint(min(mostSessions, n-sat)), "--prefix", fmt.Sprintf("sit-%d", sat))
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, p.end()) }()
	}
	r.Figures["connect_seconds"] = time.Since(began).Seconds()
	u, cores, err := b.cost(ctx, "sessions: idle", t.process)
	if err != nil {
		return r, err
	}
	r.Figures["server_cpu_cores"], r.Figures["server_rss_mib"], r.Figures["server_peak_rss_mib"] = cores, mib(u.rss), mib(u.peak)
	return r, nil
}

// cost measures a process that is left alone: its CPU in cores, and what it has used by the end.
func (b *Bench) cost(ctx context.Context, what string, p *process) (usage, float64, error) {
	if err := b.watch(ctx, what+": warm-up", b.Warmup, p.over, nil, nothing); err != nil {
		return usage{}, 0, err
	}
	before, _ := usageOf(p.cmd.Process.Pid)
	began := time.Now()
	if err := b.watch(ctx, what, b.Duration, p.over, nil, nothing); err != nil {
		return usage{}, 0, err
	}
	seconds := time.Since(began).Seconds()
	after, ok := usageOf(p.cmd.Process.Pid)
	select {
	case <-p.over:
		ok = false
	default:
	}
	if !ok {
		return after, 0, fmt.Errorf("bench: %s: %s has ended: %s", what, p.name, &p.tail)
	}
	return after, (after.cpu - before.cpu).Seconds() / seconds, nil
}

func nothing() int64 { return 0 }

// Idle measures a coordinator and one real agent that have nothing to do.
func (b *Bench) Idle(ctx context.Context) (r Result, err error) {
	t, err := b.own(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	r = b.result("idle", t, nil)
	u, cores, err := b.cost(ctx, "idle: coordinator", t.process)
	if err != nil {
		return r, err
	}
	r.Figures["server_cpu_percent"], r.Figures["server_rss_mib"] = cores*100, mib(u.rss)
	folder, err := b.temporary()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	agent, _, err := launch(ctx, logged("started"), b.Agent, b.agentLine(t, folder, "--max-idle-cycles", "0")...)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, agent.end()) }()
	u, cores, err = b.cost(ctx, "idle: agent", agent)
	r.Figures["agent_cpu_percent"], r.Figures["agent_rss_mib"] = cores*100, mib(u.rss)
	return r, err
}
