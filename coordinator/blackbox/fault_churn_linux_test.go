package blackbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	churners   = 8                // that open streams and leave
	churnQuiet = 20 * time.Second // for what streams leave behind to go: more than a lease, a grant and a goodbye take
	memoryRoom = 1.05             // of the memory before, after a long run
)

// churnTime is how long the load goes on at least, and churnWarm the part of it before memory is taken down.
var churnTime, churnWarm = sized(10*time.Second, 25*time.Minute), sized(3*time.Second, 5*time.Minute)

// TestChurn: streams of all kinds come and go by the hundreds, by the ten thousand in the long size, under mixed load (L11,
// W1). What they took is given back: goroutines, files and, in the long size, memory.
func TestChurn(t *testing.T) {
	r := seeded(t)
	c := startCoordinator(t, "--lease-ttl", "2s", "--retain", "30s")
	api := startSandbox(t, "--fail-rate", "0.1")
	l, b := c.dial(t), newBook()
	l.status(t) // connects
	alone := sockets(t, c.process)
	ctx, cancel := context.WithTimeout(t.Context(), churnTime+4*liveness)
	var agents, watching sync.WaitGroup
	defer watching.Wait()
	defer agents.Wait()
	defer cancel()
	for i := range 10 {
		h := newHand(t, c, fmt.Sprintf("hand-%d", i), 2, b, r)
		h.work = caller(api.addr)
		agents.Go(func() { h.run(ctx) })
	}
	x := newLoad(ctx, l, b, 200*time.Millisecond)
	x.start(4, r)
	waitOut(t, churnWarm)
	memoryBefore := memory(t, c.process)
	churn(ctx, t, c, r)
	x.end()
	x.terminalAll(ctx, t)
	cancel()
	agents.Wait()
	eventually(t, "no agent left", func() bool {
		resp, err := l.agents.ListAgents(bounded(t), &stintv1.ListAgentsRequest{})
		return err == nil && len(resp.GetAgents()) == 0
	})
	if soak {
		waitOut(t, churnQuiet)
		now := memory(t, c.process)
		t.Logf("%d MiB of memory after the run, %d MiB before", now, memoryBefore)
		if float64(now) > memoryRoom*float64(memoryBefore) {
			t.Errorf("%d MiB of memory after the run, %d MiB before", now, memoryBefore)
		}
	}
	gaveBack(t, c, alone)
}

// gaveBack ends a coordinator that nobody uses any more but for so many sockets of the test, and holds what it then has
// against a fresh process on the same folder.
func gaveBack(t *testing.T, c *coordinator, alone int) {
	t.Helper()
	eventually(t, "no socket left but the test's own", func() bool { return sockets(t, c.process) <= alone })
	used := goroutines(t, c.process)
	fresh := serveFrom(t, c.dir)
	if idle := goroutines(t, fresh.process); float64(used) > 1.05*float64(idle)+goroutineRoom {
		t.Errorf("%d goroutines after the run, %d in a fresh process", used, idle)
	} else {
		t.Logf("%d goroutines after the run, %d in a fresh process", used, idle)
	}
}

// goroutineRoom is for the connection of the test, and what a library keeps for a while.
const goroutineRoom = 12

// churn opens streams and leaves until there were enough for long enough.
func churn(ctx context.Context, t *testing.T, c *coordinator, r *rand.Rand) {
	t.Helper()
	gone := injected(t, "a stream opened and left")
	var number atomic.Int64
	var all sync.WaitGroup
	until := time.Now().Add(churnTime - churnWarm)
	for range churners {
		r := apart(r)
		all.Go(func() {
			for n := number.Add(1); ctx.Err() == nil && (n <= sized[int64](400, 10_000) || time.Now().Before(until)); n = number.Add(1) {
				if err := come(ctx, c, n, r); err != nil {
					t.Error(err)
					return
				}
				gone.fired()
			}
		})
	}
	all.Wait()
}

// come connects, opens a stream or a call that waits, hears something of it, and is gone without a word.
func come(ctx context.Context, c *coordinator, n int64, r *rand.Rand) error {
	conn, err := grpc.NewClient(c.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // this is the fault
	ctx, cancel := context.WithTimeout(ctx, liveness)
	defer cancel()
	agents, tasks := stintv1.NewAgentServiceClient(conn), stintv1.NewTaskServiceClient(conn)
	switch r.IntN(3) {
	case 0:
		stream, err := agents.Session(ctx)
		if err != nil {
			return err
		}
		hello := &stintv1.Hello{AgentId: fmt.Sprintf("guest-%d", n), InstanceId: "i"}
		if err := stream.Send(&stintv1.SessionRequest{Hello: hello, CreditTotal: r.Int64N(2)}); err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	case 1:
		stream, err := tasks.WatchEvents(ctx, &stintv1.WatchEventsRequest{AfterSequence: new(int64)})
		if err != nil {
			return err
		}
		_, err = stream.Recv()
		return err
	}
	ctx, leave := context.WithTimeout(ctx, time.Duration(r.Int64N(int64(50*time.Millisecond))))
	defer leave()
	_, _ = agents.AcquireLeases(ctx, &stintv1.AcquireLeasesRequest{AgentId: "guest", Queues: []string{"none"}, Wait: durationpb.New(50 * time.Second)})
	return nil // it was left, not answered
}

// sockets is how many connections and listeners a process has.
func sockets(t *testing.T, p *process) int {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

var residentLine = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// memory is what a process has now, in MiB.
func memory(t *testing.T, p *process) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	kib, err := strconv.Atoi(string(residentLine.FindSubmatch(data)[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}

// goroutines ends a process with SIGQUIT, and counts what it says that it had.
func goroutines(t *testing.T, p *process) int {
	t.Helper()
	p.signal(syscall.SIGQUIT)
	p.wait()
	return p.stderr.count(regexp.MustCompile(`^goroutine \d+ .*\[`))
}
