package session

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stream is the coordinator's end of a fake stream: tests play the coordinator.
type stream struct {
	t       *testing.T
	address string
	ctx     context.Context
	in      chan *stintv1.SessionRequest
	out     chan *stintv1.SessionResponse
	broken  chan error
	stuck   bool         // Send blocks
	rate    atomic.Int64 // bytes a second that Send takes; 0: any
}

func (s *stream) Send(m *stintv1.SessionRequest) error {
	if s.stuck {
		<-s.ctx.Done()
		return io.EOF
	}
	if rate := s.rate.Load(); rate > 0 {
		time.Sleep(time.Duration(proto.Size(m)) * time.Second / time.Duration(rate))
	}
	select {
	case s.in <- m:
		return nil
	case <-s.ctx.Done():
		return io.EOF
	}
}

func (s *stream) Recv() (*stintv1.SessionResponse, error) {
	select {
	case m := <-s.out:
		return m, nil
	case err := <-s.broken:
		return nil, err
	case <-s.ctx.Done():
		return nil, s.ctx.Err()
	}
}

func (s *stream) CloseSend() error { close(s.in); return nil }
func (s *stream) Close() error     { return nil }

// next is the agent's next message; the fake clock runs until it comes.
func (s *stream) next() *stintv1.SessionRequest {
	s.t.Helper()
	m, ok := <-s.in
	if !ok {
		s.t.Fatal("stream half-closed; want a message")
	}
	return m
}

// until skips the agent's messages up to one that has what is wanted.
func (s *stream) until(wanted func(*stintv1.SessionRequest) bool) *stintv1.SessionRequest {
	s.t.Helper()
	for range 1000 {
		if m := s.next(); wanted(m) {
			return m
		}
	}
	s.t.Fatal("the message never came")
	return nil
}

func hasReports(m *stintv1.SessionRequest) bool { return len(m.GetReports()) > 0 }

func (s *stream) reply(m *stintv1.SessionResponse) { s.out <- m }

// call is one that the agent's runner has under way.
type call struct {
	lease  *stintv1.Lease
	ctx    context.Context
	answer chan *stintv1.Report
}

func (c *call) succeed() { c.answer <- success(c.lease.GetLeaseId()) }

func (c *call) fail(class stintv1.FailureClass) {
	c.answer <- &stintv1.Report{LeaseId: c.lease.GetLeaseId(), Failure: &stintv1.Failure{FailureClass: class}}
}

func success(leaseID string) *stintv1.Report {
	return &stintv1.Report{LeaseId: leaseID, Result: &stintv1.Result{Text: "of " + leaseID}}
}

// agent is a running session with everything around it under the test's hand.
type agent struct {
	*Session
	t     *testing.T
	dials chan *stream
	calls chan *call
	stop  context.CancelFunc
	ended chan error
	slept atomic.Int64 // how far the wall clock is ahead
	stuck atomic.Bool  // the next stream takes no messages
	rate  atomic.Int64 // of the next stream, in bytes a second; 0: any
	log   *logs
	busy  chan struct{} // not nil: each Put waits for one

	mu      sync.Mutex
	kept    map[string][]*stintv1.Report // the outbox, by ledger
	refused map[string]string
}

// logs collects lines from several goroutines.
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

func (a *agent) Run(ctx context.Context, lease *stintv1.Lease) *stintv1.Report {
	c := &call{lease: lease, ctx: ctx, answer: make(chan *stintv1.Report)}
	a.calls <- c
	select {
	case report := <-c.answer:
		if report == panics {
			panic("no such thing")
		}
		return report
	case <-ctx.Done():
		return nil
	}
}

// panics, given as a report, makes the runner panic.
var panics = &stintv1.Report{}

func (a *agent) Put(ledgerID string, reports ...*stintv1.Report) {
	if a.busy != nil {
		<-a.busy
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.kept[ledgerID] = append(a.kept[ledgerID], reports...)
}

func (a *agent) Pending(ledgerID string) []*stintv1.Report {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*stintv1.Report(nil), a.kept[ledgerID]...)
}

func (a *agent) Remove(leaseIDs ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for ledgerID, reports := range a.kept {
		var left []*stintv1.Report
		for _, r := range reports {
			if !slices.Contains(leaseIDs, r.GetLeaseId()) {
				left = append(left, r)
			}
		}
		a.kept[ledgerID] = left
	}
}

func (a *agent) Refuse(leaseID, reason string) {
	a.Remove(leaseID)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused[leaseID] = reason
}

func (a *agent) Retry() {}

func (a *agent) dial(ctx context.Context, address string) (Stream, error) {
	s := &stream{t: a.t, address: address, ctx: ctx, stuck: a.stuck.Load(),
		in: make(chan *stintv1.SessionRequest, 100), out: make(chan *stintv1.SessionResponse), broken: make(chan error, 1)}
	s.rate.Store(a.rate.Load())
	select {
	case a.dials <- s:
		return s, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// launch starts an agent of two slots in a bubble of fake time, and plays the coordinator with play.
func launch(t *testing.T, change func(*Config), play func(*agent)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &agent{t: t, dials: make(chan *stream), calls: make(chan *call, 100), ended: make(chan error, 1),
			log: &logs{}, kept: map[string][]*stintv1.Report{}, refused: map[string]string{}}
		cfg := Config{
			Coordinators: []string{"one:1", "two:2"}, AgentID: "a1", Version: "v", Slots: 2, DrainTime: 20 * time.Second,
			IdleInterval: 2 * time.Second, Dial: a.dial, Runner: a, Outbox: a,
			Labels: map[string]string{"gpu": "true"}, Queues: []string{"q"},
			Logger: slog.New(slog.NewTextHandler(a.log, nil)),
			Now:    func() time.Time { return time.Now().Add(time.Duration(a.slept.Load())) },
		}
		if change != nil {
			change(&cfg)
		}
		s, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		a.Session = s
		ctx, stop := context.WithCancel(context.Background())
		a.stop = stop
		go func() { a.ended <- s.Run(ctx) }()
		play(a)
		stop()
		if t.Failed() {
			t.Log(a.log.text.String())
		}
		synctest.Wait()
	})
}

func welcome(ledgerID string) *stintv1.SessionResponse {
	return &stintv1.SessionResponse{Welcome: &stintv1.Welcome{LedgerId: ledgerID,
		LeaseTtl: durationpb.New(30 * time.Second), HeartbeatInterval: durationpb.New(10 * time.Second)}}
}

// meet takes the agent's next stream up to its hello, and welcomes it.
func (a *agent) meet(ledgerID string) (*stream, *stintv1.SessionRequest) {
	a.t.Helper()
	s := <-a.dials
	hello := s.next()
	if hello.GetHello() == nil || hello.GetHeartbeat() == nil {
		a.t.Fatalf("first message = %v; want hello and heartbeat", hello)
	}
	s.reply(welcome(ledgerID))
	return s, hello
}

// grant grants leases, checks that they are confirmed at once, and returns their calls.
func (a *agent) grant(s *stream, ids ...string) []*call {
	a.t.Helper()
	m := &stintv1.SessionResponse{}
	for _, id := range ids {
		m.Grants = append(m.Grants, &stintv1.Lease{LeaseId: id, Attempt: 1, Run: 1, Task: &stintv1.Task{Id: "task-" + id}})
	}
	began := time.Now()
	s.reply(m)
	s.until(func(m *stintv1.SessionRequest) bool { return names(m, ids...) })
	if waited := time.Since(began); waited != 0 {
		a.t.Errorf("confirmed after %v; want at once", waited)
	}
	var calls []*call
	for range ids {
		calls = append(calls, <-a.calls)
	}
	return calls
}

// names is true if the message's heartbeat lists all of ids.
func names(m *stintv1.SessionRequest, ids ...string) bool {
	listed := map[string]bool{}
	for _, p := range m.GetHeartbeat().GetLeases() {
		listed[p.GetLeaseId()] = true
	}
	for _, id := range ids {
		if !listed[id] {
			return false
		}
	}
	return m.GetHeartbeat() != nil
}

func ack(outcome stintv1.ReportOutcome, ids ...string) *stintv1.SessionResponse {
	m := &stintv1.SessionResponse{}
	for _, id := range ids {
		m.ReportAcks = append(m.ReportAcks, &stintv1.ReportAck{LeaseId: id, Outcome: outcome,
			Reason: stintv1.LeaseEndReason_LEASE_END_REASON_SUPERSEDED})
	}
	return m
}

func (s *stream) recorded(ids ...string) {
	s.reply(ack(stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED, ids...))
}

// ackAll answers the agent's heartbeats and reports for a while of fake time and returns what it sent meanwhile.
func (s *stream) ackAll(d time.Duration) (heard []*stintv1.SessionRequest) {
	until := time.Now().Add(d)
	for time.Now().Before(until) {
		for _, m := range s.ackHeartbeats(min(time.Second, time.Until(until))) {
			heard = append(heard, m)
			for _, r := range m.GetReports() {
				s.recorded(r.GetLeaseId())
			}
		}
	}
	return heard
}

// ackHeartbeats answers the agent's heartbeats for a while of fake time and returns what it sent meanwhile.
func (s *stream) ackHeartbeats(d time.Duration) []*stintv1.SessionRequest {
	timer := time.NewTimer(d)
	var seen []*stintv1.SessionRequest
	for {
		select {
		case m, ok := <-s.in:
			if !ok {
				return seen
			}
			seen = append(seen, m)
			if h := m.GetHeartbeat(); h != nil {
				s.reply(&stintv1.SessionResponse{HeartbeatAck: &stintv1.HeartbeatAck{Number: h.GetNumber()}})
			}
		case <-timer.C:
			return seen
		}
	}
}

// wantEnd takes the end of Run, which may come later in fake time.
func (a *agent) wantEnd(want string) {
	a.t.Helper()
	err := <-a.ended
	switch {
	case want == "" && err != nil:
		a.t.Errorf("run = %v; want nil", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		a.t.Errorf("run = %v; want %q", err, want)
	}
}
