package blackbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// TestSlowWatchers: one watcher never reads, one reads 10 bytes a second, and one pauses until all has happened, while another
// sees everything at once (W1, W2). The slow ones are cut with a place to resume from, and what they get before and after
// that is whole; the one that pauses gets all that it missed.
func TestSlowWatchers(t *testing.T) {
	t.Parallel()
	cuts := injected(t, "a slow watcher cut")
	c := startCoordinator(t)
	l := c.dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()

	var narrow throttle
	slow := throttled(t, c, &narrow).dial(t)
	narrow.on.Store(true)
	never := open(ctx, t, c.dial(t))
	trickle := open(ctx, t, slow)
	pausing := open(ctx, t, c.dial(t))
	w := l.watch(ctx, t, &watching, nil)

	const batches, batch = 100, 100
	for n := range batches {
		var tasks []*stintv1.Task
		for i := range batch {
			tasks = append(tasks, task(fmt.Sprintf("w%d-%d", n, i), func(t *stintv1.Task) { t.Queue = "somewhat-long-name-to-fill-buffers" }))
		}
		l.submit(t, tasks...)
	}
	newest := l.status(t).GetNewestSequence()
	w.upTo(ctx, t, newest)
	missed := c.dial(t).rest(ctx, t, pausing, newest)
	partOf(t, missed, w.seen(), 1)
	if len(missed) != int(newest) {
		t.Errorf("W2: the watcher that paused got %d events of %d", len(missed), newest)
	}
	waitOut(t, slowerThanAllowed)
	narrow.on.Store(false)
	for name, stream := range map[string]grpc.ServerStreamingClient[stintv1.WatchEventsResponse]{"never reads": never, "10 B/s": trickle} {
		got, err := drain(stream)
		reason, meta := reasonOf(err)
		if status.Code(err) != codes.ResourceExhausted || reason != "WATCHER_TOO_SLOW" {
			t.Fatalf("W2: the watcher that %s: %d events, then %v %s", name, len(got), err, reason)
		}
		cuts.fired()
		resume, err := strconv.ParseInt(meta["resume_after_sequence"], 10, 64)
		if err != nil || resume != int64(len(got)) {
			t.Errorf("W2: the watcher that %s got %d events and is told to resume after %q", name, len(got), meta["resume_after_sequence"])
		}
		partOf(t, got, w.seen(), 1)
		partOf(t, l.from(ctx, t, resume, newest), w.seen(), resume+1)
		t.Logf("the watcher that %s was cut after %d of %d events", name, resume, newest)
	}
}

// slowerThanAllowed is longer than one message of a stream may take to be sent, 30 s.
const slowerThanAllowed = 32 * time.Second

// open starts a watch from the first event, and does not read.
func open(ctx context.Context, t *testing.T, l *link) grpc.ServerStreamingClient[stintv1.WatchEventsResponse] {
	t.Helper()
	stream, err := l.tasks.WatchEvents(ctx, &stintv1.WatchEventsRequest{AfterSequence: new(int64)}, patient)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// drain reads a watch to its end.
func drain(stream grpc.ServerStreamingClient[stintv1.WatchEventsResponse]) (events []*stintv1.Event, err error) {
	for {
		m, err := stream.Recv()
		if err != nil {
			return events, err
		}
		events = append(events, m.GetEvents()...)
	}
}

// from reads the events after a sequence up to another.
func (l *link) from(ctx context.Context, t *testing.T, after, newest int64) []*stintv1.Event {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := l.tasks.WatchEvents(ctx, &stintv1.WatchEventsRequest{AfterSequence: &after}, patient)
	if err != nil {
		t.Fatalf("watch from %d: %v", after, err)
	}
	return l.rest(ctx, t, stream, newest)
}

// rest reads a watch up to a sequence. One that is cut because the machine was busy is resumed where it is told to.
func (l *link) rest(ctx context.Context, t *testing.T, stream grpc.ServerStreamingClient[stintv1.WatchEventsResponse], newest int64) (events []*stintv1.Event) {
	t.Helper()
	for {
		m, err := stream.Recv()
		if reason, meta := reasonOf(err); reason == "WATCHER_TOO_SLOW" {
			after, bad := strconv.ParseInt(meta["resume_after_sequence"], 10, 64)
			if bad != nil {
				t.Fatalf("cut, to be resumed after %q", meta["resume_after_sequence"])
			}
			return append(events, l.from(ctx, t, after, newest)...)
		}
		if err != nil {
			t.Fatalf("watch broke after %d events: %v", len(events), err)
		}
		events = append(events, m.GetEvents()...)
		if m.GetBookmarkSequence() >= newest {
			return events
		}
	}
}

// partOf: got is what the whole history, which begins with sequence 1, has from a sequence on.
func partOf(t *testing.T, got, whole []*stintv1.Event, first int64) {
	t.Helper()
	for i, e := range got {
		at := int(first) - 1 + i
		if at >= len(whole) || !proto.Equal(e, whole[at]) {
			t.Errorf("W1: event %d after resuming is %v, the history has %v", i+1, e, whole[max(0, at-2):min(len(whole), at+3)])
			return
		}
	}
}

// throttle slows what a proxy carries while it is on.
type throttle struct{ on atomic.Bool }

// throttled puts a TCP proxy before a coordinator that gives its clients 10 bytes a second while the throttle is on.
func throttled(t *testing.T, c *coordinator, slow *throttle) *coordinator {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", c.grpc)
			if err != nil {
				_ = client.Close()
				continue
			}
			stop := context.AfterFunc(ctx, func() { _ = errors.Join(client.Close(), server.Close()) })
			conns.Go(func() { _, _ = io.Copy(server, client) })
			conns.Go(func() {
				defer stop()
				slow.copy(ctx, client, server)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = listener.Close()
		conns.Wait()
	})
	seen := *c
	seen.grpc = listener.Addr().String()
	return &seen
}

func (s *throttle) copy(ctx context.Context, to io.Writer, from io.Reader) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		size := 32 << 10
		if s.on.Load() {
			size = 1
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		buf := make([]byte, size)
		n, err := from.Read(buf)
		if _, failed := to.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

const (
	shortRetain  = 6 * time.Second
	watcherKills = 6
)

// TestWatchersThroughKillsAndPruning: watchers are cut at random and resume, events are pruned, the coordinator is killed
// (W1, W2, W3, D4). Each sees one and the same history without gap or repeat; what was pruned is refused with its floor.
func TestWatchersThroughKillsAndPruning(t *testing.T) {
	r := seeded(t)
	kills, pruned := injected(t, "kill -9 of the coordinator"), injected(t, "events pruned before a resume")
	breaks := injected(t, "a watch cut and resumed")
	c := startCoordinator(t, "--retain", shortRetain.String(), "--lease-ttl", "2s")
	b, l := newBook(), c.dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), sized(3*time.Minute, 15*time.Minute))
	var parts, watching sync.WaitGroup
	defer watching.Wait()
	defer parts.Wait()
	defer cancel()
	for i := range 4 {
		h := newHand(t, c, fmt.Sprintf("hand-%d", i), 4, b, r)
		h.work = func(_ context.Context, lease *stintv1.Lease) *stintv1.Report {
			return &stintv1.Report{LeaseId: lease.GetLeaseId(), Result: &stintv1.Result{}}
		}
		parts.Go(func() { h.run(ctx) })
	}
	steady := l.watch(ctx, t, &watching, nil)
	chance := apart(r)
	choppy := c.dial(t).watch(ctx, t, &watching, func() bool { return breaks.happens(chance, 0.3) })
	x := newLoad(ctx, c.dial(t), b, 50*time.Millisecond)
	x.start(2, r)
	parts.Go(func() { readAfterWrite(ctx, t, c, x.stop) })
	for n := 0; n < sized(watcherKills, 40) || pruned.fires.Load() < 2; n++ {
		seen, more := len(steady.seen()), 300+r.IntN(300)
		steady.until(ctx, t, "events between two kills", func(e []*stintv1.Event) bool { return len(e) >= seen+more })
		c.kill()
		c.serve(t)
		kills.fired()
		floor(ctx, t, c, steady, pruned, r)
	}
	x.end()
	newest := l.status(t).GetNewestSequence()
	steady.upTo(ctx, t, newest)
	choppy.upTo(ctx, t, newest)
	history := steady.seen()
	choppy.same(t, history[:newest])
	if _, err := fold(history, b.submitted); err != nil {
		t.Error(err)
	}
}

// floor asks for what may have been pruned: an old sequence is refused with the floor, 0 begins at the floor.
func floor(ctx context.Context, t *testing.T, c *coordinator, steady *watcher, pruned *fault, r *rand.Rand) {
	t.Helper()
	l := c.dial(t)
	var oldest int64
	eventually(t, "the coordinator's status", func() bool { // pruning may be under way
		oldest = l.status(t).GetOldestSequence()
		return oldest > 0
	})
	if oldest <= 2 {
		return
	}
	after := 1 + r.Int64N(oldest-2)
	stream, err := l.tasks.WatchEvents(ctx, &stintv1.WatchEventsRequest{AfterSequence: &after}, patient)
	if err == nil {
		_, err = stream.Recv()
	}
	reason, meta := reasonOf(err)
	told, bad := strconv.ParseInt(meta["oldest_sequence"], 10, 64)
	if status.Code(err) != codes.OutOfRange || reason != "SEQUENCE_PRUNED" || bad != nil || told < oldest {
		t.Errorf("W2: watch after %d of %d kept: %v %s %v", after, oldest, err, reason, meta)
	}
	pruned.fired()
	newest := l.status(t).GetNewestSequence()
	steady.upTo(ctx, t, newest)
	got := l.from(ctx, t, 0, newest)
	if len(got) == 0 || got[0].GetSequence() < oldest {
		t.Errorf("W2: a watch from 0 begins with %v, the oldest kept is %d", got[:min(1, len(got))], oldest)
		return
	}
	for len(got) > 1 && got[len(got)-1].GetSequence() > newest { // the steady watcher need not have these yet
		got = got[:len(got)-1]
	}
	partOf(t, got, steady.seen(), got[0].GetSequence())
}

// readAfterWrite submits, and reads each task at once over another connection (W3).
func readAfterWrite(ctx context.Context, t *testing.T, c *coordinator, stop <-chan struct{}) {
	conn, err := grpc.NewClient(c.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Error(err)
		return
	}
	defer func() { _ = conn.Close() }() // nothing is left to lose
	one, other := c.dial(t).tasks, stintv1.NewTaskServiceClient(conn)
	for n := 0; ctx.Err() == nil; n++ {
		select {
		case <-stop:
			return
		default:
		}
		resp, err := one.SubmitTask(ctx, &stintv1.SubmitTaskRequest{Task: &stintv1.Task{Instruction: "read me", Queue: "read"}}, patient)
		if err != nil {
			continue // the coordinator is away
		}
		if _, err := other.GetTask(ctx, &stintv1.GetTaskRequest{TaskId: resp.GetTask().GetId()}, patient); status.Code(err) == codes.NotFound {
			t.Errorf("W3: %s was submitted, and a read after that does not find it", resp.GetTask().GetId())
		}
	}
}
