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
	churners   = 8    // that open streams and leave
	memoryRoom = 1.05 // of the live heap before, after a long run
	// heapGrows is to how many times its live size the runtime lets a heap grow, and may keep what that took.
	heapGrows = 2
	// ballast are tasks of ballastSize bytes, several times what the ledger's buffers and cache hold.
	ballast     = 600
	ballastSize = 500 << 10
	// collectWithin is for two collections of a process that does nothing: the runtime forces one every 2 minutes.
	collectWithin = 8 * time.Minute
)

// churnTime is how long streams come and go at least, churnWarm the same before memory is taken down in the long size.
var churnTime, churnWarm = sized(8*time.Second, 24*time.Minute), time.Minute

// TestChurn: streams of all kinds come and go by the hundreds, by the ten thousands in the long size, under mixed load (L11,
// W1). What they took is given back: goroutines, files and, in the long size, memory.
func TestChurn(t *testing.T) {
	x := &churn{t: t, r: seeded(t), gone: injected(t, "a stream opened and left")}
	x.c = &coordinator{dir: filepath.Join(t.TempDir(), "data"), grpc: "127.0.0.1:0", http: "127.0.0.1:0",
		flags: []string{"--lease-ttl", "2s", "--retain", "30s"}, env: []string{"GODEBUG=gctrace=1"}}
	x.c.serve(t)
	x.api = startSandbox(t, "--fail-rate", "0.1")
	x.l = x.c.dial(t)
	x.l.status(t) // connects
	alone := sockets(t, x.c.process)
	if !soak {
		x.mixed(churnTime, 400)
		gaveBack(t, x.c, alone)
		return
	}
	x.fill()
	x.mixed(churnWarm, 0)
	before := settled(t, x.c.process)
	x.mixed(churnTime, 10_000)
	after := settled(t, x.c.process)
	t.Logf("before %v, after %v", before, after)
	most := memoryRoom * float64(before.live)
	if float64(after.live) > most || float64(after.resident) > heapGrows*most {
		t.Errorf("memory was not given back: before %v, after %v", before, after)
	}
	gaveBack(t, x.c, alone)
}

// churn is a coordinator under mixed load, to which streams come that do not stay.
type churn struct {
	t      *testing.T
	r      *rand.Rand
	c      *coordinator
	api    *sandbox
	l      *link
	number atomic.Int64 // of streams
	gone   *fault
}

// fill has the ledger's write buffers grow to their full size, which they keep, and fills its cache, which may be in use to
// any part later: what comes on top of that is lost.
func (x *churn) fill() {
	x.t.Helper()
	text := make([]byte, ballastSize)
	for i := range text {
		text[i] = 'a' + byte(x.r.IntN(26))
	}
	for i := range ballast {
		x.l.submit(x.t, task(fmt.Sprintf("ballast-%d", i), func(t *stintv1.Task) { t.Instruction = string(text) }))
	}
	x.l.cancelRest(x.t)
}

// mixed has agents work, submitters submit, and streams come and go, for a time and until there were enough streams. When it
// returns nobody is left.
func (x *churn) mixed(length time.Duration, streams int64) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), length+4*liveness)
	var agents, guests sync.WaitGroup
	defer agents.Wait()
	defer cancel()
	b := newBook()
	for i := range 10 {
		h := newHand(x.t, x.c, fmt.Sprintf("hand-%d", i), 2, b, x.r)
		h.work = caller(x.api.addr)
		agents.Go(func() { h.run(ctx) })
	}
	work := newLoad(ctx, x.l, b, 200*time.Millisecond)
	work.start(4, x.r)
	until, first := time.Now().Add(length), x.number.Load()
	for range churners {
		r := apart(x.r)
		guests.Go(func() {
			for n := x.number.Add(1); ctx.Err() == nil && (n <= first+streams || time.Now().Before(until)); n = x.number.Add(1) {
				if err := come(ctx, x.c, n, r); err != nil {
					x.t.Error(err)
					return
				}
				x.gone.fired()
			}
		})
	}
	guests.Wait()
	work.end()
	work.terminalAll(ctx, x.t)
	x.t.Log(b)
	cancel()
	agents.Wait()
	eventually(x.t, "no agent left", func() bool {
		resp, err := x.l.agents.ListAgents(bounded(x.t), &stintv1.ListAgentsRequest{})
		return err == nil && len(resp.GetAgents()) == 0
	})
}

// use is what a process holds while it does nothing.
type use struct{ live, resident, files int }

func (u use) String() string {
	return fmt.Sprintf("%d MiB live, %d MiB resident, %d files", u.live, u.resident, u.files)
}

// collected is a line of the runtime after a collection, with the MiB that are live.
var collected = regexp.MustCompile(`^gc \d+ @.* \d+->\d+->(\d+) MB`)

// settled waits until a process that does nothing has collected its garbage twice, which empties its pools too.
func settled(t *testing.T, p *process) use {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), collectWithin)
	defer cancel()
	line := p.stderr.find(ctx, collected, p.stderr.count(collected)+2)
	if line == nil {
		t.Fatal("the garbage was not collected")
	}
	live, err := strconv.Atoi(line[1])
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return use{live: live, resident: memory(t, p), files: len(files)}
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
