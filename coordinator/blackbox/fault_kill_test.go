package blackbox

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	mixedTTL        = 3 * time.Second
	mixedAgents     = 50
	mixedReal       = 3 // of the agents; the others are hands in the test
	mixedSubmitters = 8
	mixedPace       = 400 * time.Millisecond // between two batches of a submitter
)

// TestKillsUnderMixedLoad kills the coordinator at random times under everything at once: failures, retries, dependencies
// and cancels (D1–D4, L1, L2, L4, C1, C2, C5, Q1, Q2, W1, W3). Nothing acknowledged is lost, nothing is recorded twice, and
// all ends.
func TestKillsUnderMixedLoad(t *testing.T) {
	r := seeded(t)
	kills := injected(t, "kill -9 of the coordinator")
	c := startCoordinator(t, "--lease-ttl", mixedTTL.String())
	api := startSandbox(t, "--latency", "30ms", "--fail-rate", "0.1", "--seed", "1")
	b := newBook()
	l := c.dial(t)

	ctx, cancel := context.WithTimeout(t.Context(), sized(3*time.Minute, 20*time.Minute))
	var agents, watching sync.WaitGroup
	defer watching.Wait()
	defer agents.Wait()
	defer cancel()
	for i := range mixedReal {
		startAgent(t, c, api.addr, "--agent-id", fmt.Sprintf("real-%d", i), "--log-level", "error")
	}
	for i := range mixedAgents - mixedReal {
		h := newHand(t, c, fmt.Sprintf("hand-%d", i), 2, b, r)
		h.work = caller(api.addr)
		agents.Go(func() { h.run(ctx) })
	}
	steady := l.watch(ctx, t, &watching, nil)
	second := c.dial(t).watch(ctx, t, &watching, nil)
	x := newLoad(ctx, c.dial(t), b, mixedPace)
	x.start(mixedSubmitters, r)

	for n := range sized(10, 100) {
		more := 20 + r.IntN(150) // events until the next kill
		seen := len(steady.seen())
		steady.until(ctx, t, "work between two kills", func(e []*stintv1.Event) bool { return len(e) >= seen+more })
		c.kill()
		kills.fired()
		t.Logf("kill %d after %d events; serves again in %v", n+1, seen+more, c.serve(t))
	}
	last := time.Now()
	x.end()
	x.terminalAll(ctx, t)
	t.Logf("all ended %.1f lease lengths after the last kill", time.Since(last).Seconds()/mixedTTL.Seconds())
	newest := l.status(t).GetNewestSequence()
	steady.upTo(ctx, t, newest)
	second.upTo(ctx, t, newest)
	cancel()
	agents.Wait()
	watching.Wait()

	allEnded(t, judge(t, c, l, b, api))
	history := l.history(t)
	steady.same(t, history)
	second.same(t, history)
}
