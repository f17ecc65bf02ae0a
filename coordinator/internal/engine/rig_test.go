package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an engine that runs over a ledger in memory, in a synctest bubble.
type rig struct {
	*Engine
	t      *testing.T
	ledger *memledger.Ledger
	cancel context.CancelFunc
	ended  chan error
	over   bool
}

func config() Config {
	return Config{
		LeaseTTL: 6 * time.Second, GrantTimeout: 5 * time.Second, MaxLive: 10000,
		PayloadCache: 1 << 20, Logger: slog.New(slog.DiscardHandler), Version: "test",
	}
}

// start runs an engine; change may set it up before.
func start(t *testing.T, l *memledger.Ledger, change ...func(*Engine)) *rig {
	t.Helper()
	e, err := New(config(), l)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(e)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &rig{Engine: e, t: t, ledger: l, cancel: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- e.Run(ctx) }()
	synctest.Wait()
	t.Cleanup(cancel)
	return r
}

// stop ends the engine cleanly and closes its ledger.
func (r *rig) stop() {
	r.t.Helper()
	if r.over {
		return
	}
	r.over = true
	r.cancel()
	if err := <-r.ended; err != nil {
		r.t.Errorf("Run: %v", err)
	}
	if err := r.ledger.Close(); err != nil {
		r.t.Error(err)
	}
}

// bubble runs a test with an engine of its own.
func bubble(t *testing.T, test func(t *testing.T, r *rig), change ...func(*Engine)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := start(t, memledger.New(), change...)
		test(t, r)
		r.stop()
	})
}

// failing is a ledger that can be written but not be looked up.
type failing struct {
	ledger.Ledger
	err error
}

func (f failing) Get(context.Context, ledger.Keys) (ledger.Found, error) {
	return ledger.Found{}, f.err
}

func spec(id string, change ...func(*queue.Spec)) queue.Spec {
	s := queue.Spec{
		ID: id, Queue: "default", OnFailure: queue.PolicyCancel, AttemptTimeout: 120 * time.Second,
		Retry:   queue.Retry{MaxAttempts: 3, InitialBackoff: time.Second, MaxBackoff: time.Minute},
		Payload: []byte("payload of " + id),
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

func specs(ids ...string) []queue.Spec {
	out := make([]queue.Spec, len(ids))
	for i, id := range ids {
		out[i] = spec(id)
	}
	return out
}

func (r *rig) submit(ids ...string) {
	r.t.Helper()
	if _, err := r.Submit(r.t.Context(), specs(ids...), nil); err != nil {
		r.t.Fatalf("submit %v: %v", ids, err)
	}
}

func (r *rig) acquire(n int) []Lease {
	r.t.Helper()
	l, err := r.Acquire(r.t.Context(), Acquire{Agent: "unary", Max: n, Length: 5 * time.Minute})
	if err != nil {
		r.t.Fatal(err)
	}
	return l
}

func success(l Lease) Report {
	return Report{LeaseID: l.ID, Success: true, Result: []byte("result of " + l.TaskID), Digest: digest(l.TaskID)}
}

func (r *rig) report(reports ...Report) []ReportAck {
	r.t.Helper()
	acks, err := r.Report(r.t.Context(), reports)
	if err != nil {
		r.t.Fatal(err)
	}
	return acks
}

// complete runs tasks that are READY to their end.
func (r *rig) complete(n int) {
	r.t.Helper()
	for _, l := range r.acquire(n) {
		if a := r.report(success(l))[0]; a.Ack != queue.AckRecorded {
			r.t.Fatalf("report of %s: %+v", l.TaskID, a)
		}
	}
}

func (r *rig) task(id string) *Task {
	r.t.Helper()
	t, err := r.Task(r.t.Context(), id)
	if err != nil {
		r.t.Fatalf("task %s: %v", id, err)
	}
	return t
}

// settle has the machine forget what has ended: afterwards only the ledger knows it.
func (r *rig) settle() {
	r.t.Helper()
	for range 2 {
		if _, err := r.Status(r.t.Context()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// going is a call under way.
type going[T any] struct {
	t    *testing.T
	done chan struct{}
	got  T
	err  error
}

func begin[T any](t *testing.T, f func() (T, error)) *going[T] {
	g := &going[T]{t: t, done: make(chan struct{})}
	go func() {
		defer close(g.done)
		g.got, g.err = f()
	}()
	return g
}

// waits fails the test if the call has been answered.
func (g *going[T]) waits(what string) {
	g.t.Helper()
	synctest.Wait()
	select {
	case <-g.done:
		g.t.Errorf("%s: answered %v, %v", what, g.got, g.err)
	default:
	}
}

// ends waits for the answer.
func (g *going[T]) ends(what string) T {
	g.t.Helper()
	<-g.done
	if g.err != nil {
		g.t.Errorf("%s: %v", what, g.err)
	}
	return g.got
}

func wantReason(t *testing.T, err error, reason queue.Reason) {
	t.Helper()
	var refusal *queue.Error
	if !errors.As(err, &refusal) || refusal.Reason != reason {
		t.Errorf("error is %v, want %s", err, reason)
	}
}
