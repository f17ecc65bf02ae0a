package faults

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

const (
	ttl          = 6 * time.Second // of session leases; heartbeats every third of it
	grantTimeout = 5 * time.Second
	unaryLength  = time.Minute // of unary leases
	folder       = "data"
)

var quiet = slog.New(slog.DiscardHandler)

// soak tells whether the long size was asked for; times makes a count of the short size longer.
var soak = os.Getenv("STINT_SOAK") != ""

func times(n int) int {
	if soak {
		return 10 * n
	}
	return n
}

// seed is SEED, or a fixed one in the short size, or a new one in the long; it is printed.
func seed(t testing.TB) uint64 {
	t.Helper()
	s := uint64(1)
	if soak {
		s = rand.Uint64()
	}
	if text := os.Getenv("SEED"); text != "" {
		var err error
		if s, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("SEED is %q: give a whole number", text)
		}
	}
	t.Logf("SEED=%d", s)
	return s
}

// life is an engine over a Pebble ledger in a file system of the memory, in a bubble.
type life struct {
	*engine.Engine
	t     *testing.T
	disk  *vfs.MemFS // to crash; nil if the ledger lies elsewhere
	gate  *gate
	store *pebbleledger.Ledger
	end   context.CancelFunc
	ended chan error
	over  bool
}

func config() engine.Config {
	return engine.Config{
		LeaseTTL: ttl, GrantTimeout: grantTimeout, MaxLive: 100000, PayloadCache: 1 << 20,
		Logger: quiet, Version: "test",
	}
}

func open(fs vfs.FS) *pebbleledger.Ledger {
	return pebbleledger.New(pebbleledger.Options{Dir: folder, FS: fs, Logger: quiet, CacheBytes: 1 << 20})
}

// start begins a life on a disk; change may alter its settings.
func start(t *testing.T, disk *vfs.MemFS, change ...func(*engine.Config)) *life {
	t.Helper()
	l := startOn(t, open(disk), change...)
	l.disk = disk
	return l
}

// startOn begins a life on any ledger.
func startOn(t *testing.T, store *pebbleledger.Ledger, change ...func(*engine.Config)) *life {
	t.Helper()
	c := config()
	for _, f := range change {
		f(&c)
	}
	g := &gate{Ledger: store, t: t}
	e, err := engine.New(c, g)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	l := &life{Engine: e, t: t, gate: g, store: store, end: end, ended: make(chan error, 1)}
	go func() { l.ended <- e.Run(ctx) }()
	select {
	case <-e.Active():
	case err := <-l.ended:
		end()
		t.Fatalf("Run: %v", err)
	}
	t.Cleanup(l.stop)
	return l
}

// stop ends the life in good order. It may be called again.
func (l *life) stop() {
	if l.over {
		return
	}
	l.over = true
	l.end()
	if err := <-l.ended; err != nil {
		l.t.Errorf("Run: %v", err)
	}
	if err := l.store.Close(); err != nil {
		l.t.Error(err)
	}
}

// crash gives the disk as a power cut leaves it, with a percentage of what was not synced, and
// ends the life, whose later doings are lost.
func (l *life) crash(unsynced int, rng *rand.Rand) *vfs.MemFS {
	left := l.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rng})
	l.stop()
	return left
}

// bubble runs a test with a life of its own.
func bubble(t *testing.T, test func(t *testing.T, l *life), change ...func(*engine.Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := start(t, vfs.NewCrashableMem(), change...)
		test(t, l)
		l.stop()
	})
}

func spec(id string, change ...func(*queue.Spec)) queue.Spec {
	s := queue.Spec{
		ID: id, Queue: "default", OnFailure: queue.PolicyCancel, AttemptTimeout: 24 * time.Hour,
		Retry: queue.Retry{MaxAttempts: 100}, Payload: []byte("payload of " + id),
	}
	for _, f := range change {
		f(&s)
	}
	s.Digest = digest(fmt.Sprint(s.ID, string(s.Payload), s.DependsOn))
	return s
}

func digest(text string) (d queue.Digest) {
	sum := sha256.Sum256([]byte(text))
	copy(d[:], sum[:])
	return d
}

func (l *life) submit(specs ...queue.Spec) {
	l.t.Helper()
	if _, err := l.Submit(l.t.Context(), specs, nil); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) acquire(agent string, n int) []engine.Lease {
	l.t.Helper()
	leases, err := l.Acquire(l.t.Context(), engine.Acquire{Agent: agent, Max: n, Length: unaryLength})
	if err != nil {
		l.t.Fatal(err)
	}
	return leases
}

// one acquires the one lease that there must be.
func (l *life) one(agent string) engine.Lease {
	l.t.Helper()
	leases := l.acquire(agent, 1)
	if len(leases) != 1 {
		l.t.Fatalf("%d leases for %s, want 1", len(leases), agent)
	}
	return leases[0]
}

func success(lease, text string) engine.Report {
	return engine.Report{LeaseID: lease, Success: true, Result: []byte(text), Digest: digest("r" + text)}
}

func failure(lease string, class queue.Class) engine.Report {
	text := fmt.Sprint("failure ", class)
	return engine.Report{LeaseID: lease, Failure: queue.Failure{Class: class, Message: text}, Digest: digest(text)}
}

func (l *life) report(r engine.Report) engine.ReportAck {
	l.t.Helper()
	acks, err := l.Report(l.t.Context(), []engine.Report{r})
	if err != nil {
		l.t.Fatal(err)
	}
	return acks[0]
}

func (l *life) task(id string) *engine.Task {
	l.t.Helper()
	task, err := l.Task(l.t.Context(), id)
	if err != nil {
		l.t.Fatalf("task %s: %v", id, err)
	}
	return task
}

// settle has the machine forget what has ended: afterwards only the ledger knows of it.
func (l *life) settle() {
	l.t.Helper()
	for range 2 {
		if _, err := l.Status(l.t.Context()); err != nil {
			l.t.Fatal(err)
		}
	}
}

// history gives all events, from the oldest kept to the newest (W1).
func (l *life) history() []queue.Event {
	l.t.Helper()
	status, err := l.Status(l.t.Context())
	if err != nil {
		l.t.Fatal(err)
	}
	w, err := l.Watch(l.t.Context(), new(int64), engine.EventFilter{})
	if err != nil {
		l.t.Fatal(err)
	}
	defer w.Close()
	var all []queue.Event
	for at := status.Oldest - 1; at < status.Newest; {
		events, bookmark, err := w.Next(l.t.Context())
		if err != nil {
			l.t.Fatal(err)
		}
		for _, e := range events {
			if at++; e.Sequence != at {
				l.t.Fatalf("W1: event %d where %d is due", e.Sequence, at)
			}
		}
		if len(events) > 0 && bookmark != at {
			l.t.Fatalf("W1: bookmark %d after event %d", bookmark, at)
		}
		all = append(all, events...)
	}
	return all
}

// wantHistory checks what holds for the events of any task: L2, C1.
func wantHistory(t *testing.T, events []queue.Event) {
	t.Helper()
	type passage struct {
		run, attempt int32
		over         bool
	}
	at := map[string]*passage{}
	for _, e := range events {
		p := at[e.Task]
		switch e.Kind {
		case queue.EventSubmitted:
			if p != nil {
				t.Errorf("C3: %s was submitted twice", e.Task)
			}
			at[e.Task] = &passage{run: 1}
		case queue.EventRetried:
			if !p.over {
				t.Errorf("C1: %s began run %d before run %d ended", e.Task, e.Run, p.run)
			}
			p.run, p.over = p.run+1, false
		case queue.EventGranted:
			if p.attempt++; e.Attempt != p.attempt || p.over {
				t.Errorf("L2: %s was granted attempt %d where %d was due (run over: %v)", e.Task, e.Attempt, p.attempt, p.over)
			}
		case queue.EventCompleted, queue.EventFailed, queue.EventCancelled, queue.EventExpired, queue.EventQuarantined:
			if p.over || e.Run != p.run {
				t.Errorf("C1: %s ended again: %+v, in run %d", e.Task, e, p.run)
			}
			p.over = true
		}
	}
}

var _ ledger.Ledger = (*gate)(nil)
