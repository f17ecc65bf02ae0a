package server

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the time that tests live in.
var noon = time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)

// fakeEngine answers what a test sets; a call of what is not set panics, which the server
// answers as INTERNAL.
type fakeEngine struct {
	engine.API
	active chan struct{}
	away   chan struct{}

	submit  func([]queue.Spec, []bool) ([]bool, error)
	made    queue.Status // by SubmitOne
	task    func(id string) (*engine.Task, error)
	list    func(ledger.Query) ([]*engine.Task, []byte, error)
	wait    func(ctx context.Context, id string, d time.Duration) (*engine.Task, error)
	cancel  func([]queue.Choice, string) (int, error)
	retry   func([]queue.Choice, queue.Instant) (int, error)
	explain func(string) (queue.State, []queue.Why, error)
	acquire func(context.Context, engine.Acquire) ([]engine.Lease, error)
	extend  func([]engine.Extension) ([]engine.ExtendOutcome, error)
	report  func([]engine.Report) ([]engine.ReportAck, error)
	release func([]engine.Release) ([]engine.ReleaseOutcome, error)
	connect func(engine.Hello) error
	agents  func(after string, limit int) ([]queue.AgentView, error)
	drain   func(string, time.Duration) (queue.AgentView, error)
	queues  func(after string, limit int) ([]queue.QueueView, error)
	paused  func(string, bool) (queue.QueueView, error)
	update  func(*queue.UpdateQueue) (queue.QueueView, error)
	spend   func(name string, by queue.SpendBy, after queue.SpendKey, limit int) ([]queue.SpendRecord, error)
	retries map[string]queue.RetryDefaults
	status  func() (engine.Status, error)
	watch   func(*int64, engine.EventFilter) error
}

func newFake() *fakeEngine {
	f := &fakeEngine{active: make(chan struct{}), away: make(chan struct{})}
	close(f.active)
	return f
}

func (f *fakeEngine) Active() <-chan struct{} { return f.active }
func (f *fakeEngine) GoingAway()              { close(f.away) }

func (f *fakeEngine) Submit(_ context.Context, s []queue.Spec, g []bool) ([]bool, error) {
	return f.submit(s, g)
}
func (f *fakeEngine) SubmitOne(_ context.Context, s queue.Spec, g bool) (queue.Status, bool, error) {
	existed, err := f.submit([]queue.Spec{s}, []bool{g})
	return f.made, at(existed, 0), err
}
func (f *fakeEngine) Task(_ context.Context, id string) (*engine.Task, error) { return f.task(id) }
func (f *fakeEngine) List(_ context.Context, q ledger.Query) ([]*engine.Task, []byte, error) {
	return f.list(q)
}
func (f *fakeEngine) Wait(ctx context.Context, id string, d time.Duration) (*engine.Task, error) {
	return f.wait(ctx, id, d)
}
func (f *fakeEngine) Cancel(_ context.Context, c []queue.Choice, reason string) (int, error) {
	return f.cancel(c, reason)
}
func (f *fakeEngine) Retry(_ context.Context, c []queue.Choice, expire queue.Instant) (int, error) {
	return f.retry(c, expire)
}
func (f *fakeEngine) Explain(_ context.Context, id string) (queue.State, []queue.Why, error) {
	return f.explain(id)
}
func (f *fakeEngine) Acquire(ctx context.Context, a engine.Acquire) ([]engine.Lease, error) {
	return f.acquire(ctx, a)
}
func (f *fakeEngine) Extend(_ context.Context, x []engine.Extension) ([]engine.ExtendOutcome, error) {
	return f.extend(x)
}
func (f *fakeEngine) Report(_ context.Context, r []engine.Report) ([]engine.ReportAck, error) {
	return f.report(r)
}
func (f *fakeEngine) Release(_ context.Context, r []engine.Release) ([]engine.ReleaseOutcome, error) {
	return f.release(r)
}
func (f *fakeEngine) Connect(_ context.Context, h engine.Hello) (*engine.Stream, error) {
	return nil, f.connect(h)
}
func (f *fakeEngine) Agents(_ context.Context, after string, n int) ([]queue.AgentView, error) {
	return f.agents(after, n)
}
func (f *fakeEngine) DrainAgent(_ context.Context, id string, d time.Duration) (queue.AgentView, error) {
	return f.drain(id, d)
}
func (f *fakeEngine) Queues(_ context.Context, after string, n int) ([]queue.QueueView, error) {
	return f.queues(after, n)
}
func (f *fakeEngine) SetPaused(_ context.Context, name string, p bool) (queue.QueueView, error) {
	return f.paused(name, p)
}
func (f *fakeEngine) UpdateQueue(_ context.Context, u *queue.UpdateQueue) (queue.QueueView, error) {
	return f.update(u)
}
func (f *fakeEngine) Spend(_ context.Context, name string, by queue.SpendBy, after queue.SpendKey, n int) ([]queue.SpendRecord, error) {
	return f.spend(name, by, after, n)
}
func (f *fakeEngine) RetryDefaults(name string) queue.RetryDefaults { return f.retries[name] }
func (f *fakeEngine) Status(context.Context) (engine.Status, error) { return f.status() }
func (f *fakeEngine) Watch(_ context.Context, after *int64, x engine.EventFilter) (*engine.Watcher, error) {
	return nil, f.watch(after, x)
}

// served runs a server over the fake and gives a connection to it. stop ends it, and gives
// what Run returned.
func served(t testing.TB, f *fakeEngine, drain time.Duration) (conn *grpc.ClientConn, stop func() error) {
	t.Helper()
	s, err := New(Config{
		Engine: f, Version: "test", Drain: drain, Logger: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return noon },
	})
	if err != nil {
		t.Fatal(err)
	}
	l := bufconn.Listen(1 << 20)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, nil, l) }()
	conn, err = grpc.NewClient("passthrough:///fake",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	stop = func() error {
		ended = true
		cancel()
		return <-done
	}
	t.Cleanup(func() {
		_ = conn.Close()
		if !ended {
			if err := stop(); err != nil {
				t.Error(err)
			}
		}
	})
	return conn, stop
}

// details are what a client reads of an error.
type details struct {
	code   codes.Code
	reason string
	fields []string
	retry  bool
	info   *errdetails.ErrorInfo
	status *status.Status
}

func read(t *testing.T, err error) details {
	t.Helper()
	st, ok := status.FromError(err)
	if err == nil || !ok {
		t.Fatalf("not a status error: %v", err)
	}
	d := details{code: st.Code(), status: st}
	for _, x := range st.Details() {
		switch x := x.(type) {
		case *errdetails.ErrorInfo:
			if x.GetDomain() != domain {
				t.Errorf("domain %q", x.GetDomain())
			}
			d.reason, d.info = x.GetReason(), x
		case *errdetails.BadRequest:
			for _, v := range x.GetFieldViolations() {
				d.fields = append(d.fields, v.GetField())
			}
		case *errdetails.RetryInfo:
			d.retry = true
		}
	}
	return d
}
