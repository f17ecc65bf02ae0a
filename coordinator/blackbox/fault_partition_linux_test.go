package blackbox

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// region is a network of its own, with one cable to that of the coordinator, and an agent with its API in it.
type region struct {
	t       *testing.T
	name    string
	far     string // address of the coordinator's end
	agent   *process
	api     *sandbox
	agentID string
}

// needNetworks skips where no networks can be made.
func needNetworks(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			required(t, "%v; install iproute2 and nftables", err)
		}
	}
	trial := fmt.Sprintf("stint%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", trial).CombinedOutput(); err != nil {
		required(t, "no network can be made: %v: %s; run as root, in a container with the right to", err, out)
	}
	tool(t, "ip", "netns", "del", trial)
}

// tool runs a program of the system, which must succeed.
func tool(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// newRegion makes the network; it goes with the end of the test.
func newRegion(t *testing.T, n int) *region {
	t.Helper()
	r := &region{t: t, name: fmt.Sprintf("stint%d-%d", os.Getpid(), n), far: fmt.Sprintf("198.18.%d.1", n), agentID: fmt.Sprintf("agent-%d", n)}
	cable := fmt.Sprintf("st%d-%d", os.Getpid()%100000, n)
	tool(t, "ip", "netns", "add", r.name)
	t.Cleanup(func() { tool(t, "ip", "netns", "del", r.name) }) // the cable goes with it
	tool(t, "ip", "link", "add", cable, "type", "veth", "peer", "name", "out", "netns", r.name)
	tool(t, "ip", "addr", "add", r.far+"/24", "dev", cable)
	tool(t, "ip", "link", "set", cable, "up")
	tool(t, "ip", "-n", r.name, "addr", "add", fmt.Sprintf("198.18.%d.2/24", n), "dev", "out")
	tool(t, "ip", "-n", r.name, "link", "set", "out", "up")
	tool(t, "ip", "-n", r.name, "link", "set", "lo", "up")
	return r
}

// inside starts one of the agent's commands in the region.
func (r *region) inside(args ...string) *process {
	return command{name: "ip", args: append([]string{"netns", "exec", r.name, program(r.t, agentName)}, args...)}.start(r.t)
}

// start starts the API and the agent, which serves the coordinator at a port of the cable's other end.
func (r *region) start(port string) {
	r.t.Helper()
	r.api = &sandbox{callLog: filepath.Join(r.t.TempDir(), "calls.jsonl")}
	r.api.process = r.inside("sandbox", "--listen", "127.0.0.1:0", "--call-log", r.api.callLog, "--latency", honestLatency.String())
	r.api.addr = r.api.says(`msg=serving .*\bhttp=(\S+)`)[1]
	r.agent = r.inside("run", "--coordinator", net.JoinHostPort(r.far, port), "--api-endpoint", "http://"+r.api.addr,
		"--max-idle-cycles", "0", "--agent-id", r.agentID, "--slots", "1")
}

// drop cuts the cable for what leaves the region ("output"), for what comes in ("input"), or both.
func (r *region) drop(ways ...string) {
	r.t.Helper()
	rules := "add table inet cut; delete table inet cut; add table inet cut;"
	for _, way := range ways {
		rules += fmt.Sprintf(" add chain inet cut %s { type filter hook %s priority 0; }; add rule inet cut %s meta %s out drop;",
			way, way, way, map[string]string{"input": "iifname", "output": "oifname"}[way])
	}
	tool(r.t, "ip", "netns", "exec", r.name, "nft", rules)
}

func (r *region) heal() {
	r.t.Helper()
	tool(r.t, "ip", "netns", "exec", r.name, "nft", "delete table inet cut")
}

const (
	partitionTTL = 2 * time.Second
	flaps        = 5
	flapTime     = 150 * time.Millisecond
)

// TestPartitions cuts agents in networks of their own off: both ways, one way, the other way, on and off (L1–L4, L6, L8, C1,
// C2, W1). Then all but one are healed. The agent that was never cut keeps its rate, the others come back by themselves, and
// nothing is recorded twice.
func TestPartitions(t *testing.T) {
	needNetworks(t)
	c := startCoordinatorAt(t, "0.0.0.0:0", "--insecure", "--lease-ttl", partitionTTL.String())
	_, port, err := net.SplitHostPort(c.grpc)
	if err != nil {
		t.Fatal(err)
	}
	c.grpc = net.JoinHostPort("127.0.0.1", port)
	var regions []*region
	for n := range 3 {
		r := newRegion(t, n+1)
		r.start(port)
		regions = append(regions, r)
	}
	steady, cut := regions[0], regions[1:]
	l, b := c.dial(t), newBook()
	ctx, cancel := context.WithTimeout(t.Context(), sized(4*time.Minute, 20*time.Minute))
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	w := l.watch(ctx, t, &watching, nil)
	for n := range sized(2, 20) {
		var tasks []*stintv1.Task
		for i := range 1000 {
			tasks = append(tasks, task(fmt.Sprintf("n%02d-%03d", n, i)))
		}
		l.submit(t, tasks...)
		b.submit(nil, tasks...)
	}
	by := func(r *region) func(*stintv1.Event) bool {
		return func(e *stintv1.Event) bool { return e.GetKind() == completedEvent && e.GetAgentId() == r.agentID }
	}
	rate := func(from, to time.Time) float64 {
		n := 0
		for _, e := range w.seen() {
			if at := e.GetTime().AsTime(); by(steady)(e) && at.After(from) && at.Before(to) {
				n++
			}
		}
		return float64(n) / to.Sub(from).Seconds()
	}
	for _, r := range regions {
		w.counts(ctx, t, "work of "+r.agentID, 20, by(r))
	}
	start := time.Now()
	w.more(ctx, t, 60, by(steady))
	connected := sockets(t, c.process)
	began := time.Now()
	before := rate(start, began)

	ways := map[string][]string{"both ways": {"input", "output"}, "what it hears": {"input"}, "what it says": {"output"}}
	for name, way := range ways {
		fires := injected(t, "cut off: "+name)
		for _, r := range cut {
			r.drop(way...)
		}
		// the lease of one that is cut off ends, and its task goes on elsewhere
		w.more(ctx, t, 1, func(e *stintv1.Event) bool {
			return e.GetKind() == endedEvent && e.GetAgentId() != steady.agentID
		})
		fires.fired()
		for _, r := range cut {
			r.heal()
		}
		for _, r := range cut {
			w.more(ctx, t, 3, by(r))
		}
	}
	flapping := injected(t, "cut off and healed again and again")
	for range sized(1, 40) {
		for range flaps {
			for _, r := range cut {
				r.drop("input", "output")
			}
			waitOut(t, flapTime)
			for _, r := range cut {
				r.heal()
			}
			waitOut(t, flapTime)
			flapping.fired()
		}
	}
	over := time.Now()
	last := cut[len(cut)-1]
	last.drop("input", "output") // this one stays away
	w.more(ctx, t, 30, by(cut[0]))
	w.more(ctx, t, 60, by(steady))
	during, after := rate(began, over), rate(over, time.Now())
	t.Logf("the steady agent: %.1f a second before, %.1f meanwhile, %.1f after", before, during, after)
	if during < 0.9*min(before, after) { // of both, since the machine may have other work
		t.Errorf("the agent that was not cut off did %.1f a second, %.1f without cuts", during, min(before, after))
	}
	l.cancelRest(t)
	(&load{l: l, book: b, ctx: ctx}).terminalAll(ctx, t)
	if now := sockets(t, c.process); now > connected+len(regions) { // a cut connection may take a while to be found out
		t.Errorf("%d sockets after the cuts, %d before", now, connected)
	}
	tales := judge(t, c, l, b, steady.api, cut[0].api, last.api)
	allEnded(t, tales)
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
