package blackbox

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	partitionTTL    = 2 * time.Second
	partitionRounds = 4  // the machine may have other work: what cuts cost another agent, they cost in every round
	partitionTasks  = 60 // completions that make a rate
	flaps           = 5
	flapTime        = 150 * time.Millisecond
)

// TestPartitions cuts agents in networks of their own off: both ways, one way, the other way, on and off, and by a path that
// forgets their connections (L1–L4, L6, L8, C1, C2, W1). Then all but one are healed. The agent that was never cut keeps its
// rate, the others come back by themselves, nothing is recorded twice, and no cut leaves a socket or a goroutine behind.
func TestPartitions(t *testing.T) {
	needNetworks(t)
	c := startCoordinatorAt(t, "0.0.0.0:0", "--insecure", "--lease-ttl", partitionTTL.String())
	_, port, err := net.SplitHostPort(c.grpc)
	if err != nil {
		t.Fatal(err)
	}
	c.grpc = net.JoinHostPort("127.0.0.1", port)
	l := c.dial(t)
	l.status(t) // connects
	alone := sockets(t, c.process)
	p := &partitions{t: t, l: l, b: newBook(), cut: map[string]*fault{}}
	for n := range 3 {
		r := newRegion(t, n+1)
		r.start(port)
		p.regions = append(p.regions, r)
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), sized(6*time.Minute, 40*time.Minute))
	defer cancel()
	p.ctx, p.w = ctx, l.watch(ctx, t, &watching, nil)
	kept := false
	for round := 1; round <= partitionRounds && !kept; round++ {
		kept = p.round(round)
	}
	if !kept {
		t.Errorf("the agent that was not cut off did less than 90 %% of its rate beside the others, %d times", partitionRounds)
	}
	l.cancelRest(t)
	(&load{l: l, book: p.b, ctx: ctx}).terminalAll(ctx, t)
	var apis []*sandbox
	for _, r := range p.regions {
		apis = append(apis, r.api)
	}
	allEnded(t, judge(t, c, l, p.b, apis...))
	p.regions[len(p.regions)-1].heal()
	for _, r := range p.regions {
		r.agent.kill()
	}
	cancel()
	watching.Wait()
	gaveBack(t, c, alone)
}

// partitions are the agents of a run: the first is never cut off.
type partitions struct {
	t       *testing.T
	ctx     context.Context
	l       *link
	b       *book
	w       *watcher
	regions []*region
	cut     map[string]*fault
}

// fired counts a cut.
func (p *partitions) fired(name string) {
	if p.cut[name] == nil {
		p.cut[name] = injected(p.t, "cut off: "+name)
	}
	p.cut[name].fired()
}

func by(r *region) func(*stintv1.Event) bool {
	return func(e *stintv1.Event) bool { return e.GetKind() == completedEvent && e.GetAgentId() == r.agentID }
}

// rate is what an agent completes in a second.
func (p *partitions) rate(r *region, from, to time.Time) float64 {
	n := 0
	for _, e := range p.w.seen() {
		if at := e.GetTime().AsTime(); by(r)(e) && at.After(from) && at.Before(to) {
			n++
		}
	}
	return float64(n) / to.Sub(from).Seconds()
}

// round cuts off in every way, heals all but one, and tells whether the first agent kept its rate.
func (p *partitions) round(n int) bool {
	p.t.Helper()
	steady, cut := p.regions[0], p.regions[1:]
	last := cut[len(cut)-1]
	if n > 1 {
		last.heal()
	}
	p.submit(n)
	for _, r := range p.regions {
		p.w.more(p.ctx, p.t, 20, by(r))
	}
	start := time.Now()
	p.w.more(p.ctx, p.t, partitionTasks, by(steady))
	began := time.Now()
	cycles, flapping := 1, 1
	if n == 1 {
		cycles, flapping = sized(1, 100), sized(1, 40)
	}
	for range cycles { // first, since the coordinator takes a while to find such a connection dead
		p.forgotten(cut)
	}
	p.waysOff(cut)
	for range flapping {
		p.flap(cut)
	}
	over := time.Now()
	last.drop("input", "output") // this one stays away
	p.w.more(p.ctx, p.t, 30, by(cut[0]))
	p.w.more(p.ctx, p.t, partitionTasks, by(steady))
	before, during, after := p.rate(steady, start, began), p.rate(steady, began, over), p.rate(steady, over, time.Now())
	p.t.Logf("the steady agent: %.1f a second before, %.1f meanwhile for %v, %.1f after", before, during, over.Sub(began), after)
	return during >= 0.9*min(before, after) // of both, since the machine may have other work
}

// submit submits more tasks than a round takes.
func (p *partitions) submit(round int) {
	p.t.Helper()
	for n := range sized(2, 25) {
		var tasks []*stintv1.Task
		for i := range 1000 {
			tasks = append(tasks, task(fmt.Sprintf("n%d-%02d-%03d", round, n, i)))
		}
		p.l.submit(p.t, tasks...)
		p.b.submit(nil, tasks...)
	}
}

// waysOff cuts off both ways and each way alone, each until the coordinator takes the agent's tasks from it.
func (p *partitions) waysOff(cut []*region) {
	p.t.Helper()
	for name, ways := range map[string][]string{"both ways": {"input", "output"}, "what it hears": {"input"}, "what it says": {"output"}} {
		for _, r := range cut {
			r.drop(ways...)
		}
		p.w.more(p.ctx, p.t, 1, func(e *stintv1.Event) bool {
			return e.GetKind() == endedEvent && e.GetAgentId() != p.regions[0].agentID
		})
		p.fired(name)
		for _, r := range cut {
			r.heal()
		}
		for _, r := range cut {
			p.w.more(p.ctx, p.t, 3, by(r))
		}
	}
}

// forgotten has the path forget the agents' connections, until they work over new ones.
func (p *partitions) forgotten(cut []*region) {
	p.t.Helper()
	given := map[*region]int{}
	for _, r := range cut {
		given[r] = r.agent.stderr.count(noLink)
		for range r.forget() {
			p.fired("connection forgotten by the path")
		}
	}
	for _, r := range cut {
		if r.agent.stderr.find(bounded(p.t), noLink, given[r]+1) == nil {
			p.t.Fatalf("%s never gave up a link that leads nowhere", r.agentID)
		}
		p.w.more(p.ctx, p.t, 3, by(r))
	}
}

// flap cuts off and heals again and again.
func (p *partitions) flap(cut []*region) {
	p.t.Helper()
	for range flaps {
		for _, r := range cut {
			r.drop("input", "output")
		}
		waitOut(p.t, flapTime)
		for _, r := range cut {
			r.heal()
		}
		waitOut(p.t, flapTime)
		p.fired("again and again")
	}
}

// cancelRest cancels what has not begun.
func (l *link) cancelRest(t *testing.T) {
	t.Helper()
	req := &stintv1.CancelTasksRequest{Filter: &stintv1.TaskFilter{Queue: "default", States: []stintv1.TaskState{stintv1.TaskState_TASK_STATE_READY}}}
	for {
		resp, err := l.tasks.CancelTasks(bounded(t), req)
		if err != nil {
			t.Fatal(err)
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return
		}
	}
}

// more waits for so many further events that match.
func (w *watcher) more(ctx context.Context, t *testing.T, n int, match func(*stintv1.Event) bool) {
	t.Helper()
	from := len(w.seen())
	w.until(ctx, t, "further events", func(events []*stintv1.Event) bool {
		left := n
		return slices.ContainsFunc(events[from:], func(e *stintv1.Event) bool {
			if match(e) {
				left--
			}
			return left <= 0
		})
	})
}

// startCoordinatorAt is startCoordinator on an address for other networks.
func startCoordinatorAt(t *testing.T, listen string, flags ...string) *coordinator {
	t.Helper()
	c := &coordinator{dir: filepath.Join(t.TempDir(), "data"), grpc: listen, http: "127.0.0.1:0", flags: flags}
	c.serve(t)
	return c
}
