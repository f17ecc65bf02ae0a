package server

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// fakeLink is the engine's end of a stream.
type fakeLink struct {
	in     chan engine.Message
	bell   chan struct{}
	outs   chan engine.Out
	ended  chan error // what Poll ends with
	closed chan struct{}
}

func newLink() *fakeLink {
	return &fakeLink{
		bell: make(chan struct{}, 1), in: make(chan engine.Message, 16), outs: make(chan engine.Out, 16), ended: make(chan error, 1), closed: make(chan struct{}),
	}
}

func (l *fakeLink) Welcome() engine.Welcome {
	return engine.Welcome{LedgerID: "ledger", TTL: 30 * time.Second, Interval: 10 * time.Second}
}

func (l *fakeLink) Send(_ context.Context, m engine.Message) error { l.in <- m; return nil }

func (l *fakeLink) Ready() <-chan struct{} { return l.bell }

func (l *fakeLink) Poll(context.Context) (engine.Out, bool, error) {
	select {
	case o := <-l.outs:
		return o, true, nil
	case err := <-l.ended:
		return engine.Out{}, false, err
	default:
		return engine.Out{}, false, nil
	}
}

func (l *fakeLink) say(o engine.Out) {
	l.outs <- o
	l.bell <- struct{}{}
}

func (l *fakeLink) fail(err error) {
	l.ended <- err
	l.bell <- struct{}{}
}

func (l *fakeLink) Close() { close(l.closed) }

// talk is a session under test: what the agent sends, what it gets, how it ended.
type talk struct {
	link     *fakeLink
	stopping chan struct{}
	said     chan *stintv1.SessionRequest // closed: half-close
	got      chan *stintv1.SessionResponse
	end      chan error
}

// converse runs a session; read is how many messages the agent takes, −1 for all. To be called
// within a synctest bubble.
func converse(t *testing.T, first engine.Message, reads int) *talk {
	t.Helper()
	x := &talk{
		newLink(), make(chan struct{}), make(chan *stintv1.SessionRequest),
		make(chan *stintv1.SessionResponse, 64), make(chan error, 1),
	}
	rules, err := newRules()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	recv := func() (*stintv1.SessionRequest, error) {
		select {
		case m, ok := <-x.said:
			if !ok {
				return nil, io.EOF
			}
			return m, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	send := func(m *stintv1.SessionResponse) error {
		if reads == 0 {
			<-ctx.Done()
			return ctx.Err()
		}
		reads--
		x.got <- received(t, m)
		return nil
	}
	s := newSession(x.link, rules, 30*time.Second, x.stopping)
	go func() {
		x.end <- s.run(ctx, first, nil, recv, send)
		cancel() // as the transport does when the handler returns
	}()
	return x
}

// received is a message as the agent gets it.
func received(t *testing.T, sent *stintv1.SessionResponse) *stintv1.SessionResponse {
	t.Helper()
	got := &stintv1.SessionResponse{}
	b, err := proto.Marshal(sent)
	if err == nil {
		err = proto.Unmarshal(b, got)
	}
	if err != nil {
		t.Error(err)
	}
	return got
}

func reasonOf(err error) string {
	r, _ := judge(err)
	if r == nil {
		return ""
	}
	return reasonName(r.reason)
}

func TestSessionWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := converse(t, engine.Message{}, -1)
		want := &stintv1.SessionResponse{Welcome: &stintv1.Welcome{
			LedgerId: "ledger", LeaseTtl: durationpb.New(30 * time.Second), HeartbeatInterval: durationpb.New(10 * time.Second),
		}}
		if got := <-x.got; !proto.Equal(got, want) {
			t.Errorf("got %v", got)
		}
		close(x.said)
		if err := <-x.end; err != nil {
			t.Errorf("half-close ends with %v", err)
		}
		<-x.link.closed
	})
}

// A message may have any combination of parts; a malformed report is refused by an ack and
// takes nothing else with it.
func TestSessionMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := converse(t, engine.Message{}, -1)
		<-x.got
		x.said <- &stintv1.SessionRequest{
			CreditTotal: 3, Draining: true,
			Reports: []*stintv1.Report{
				{LeaseId: "neither"}, {LeaseId: "ok", Failure: &stintv1.Failure{}},
				{LeaseId: "both", Result: &stintv1.Result{}, Failure: &stintv1.Failure{}}, {Result: &stintv1.Result{}},
			},
			Releases: []*stintv1.Release{{LeaseId: "R", Started: true}},
			Heartbeat: &stintv1.Heartbeat{
				Number: 9, RoundTrip: durationpb.New(time.Millisecond),
				Leases: []*stintv1.LeaseProgress{{LeaseId: "H", Progress: new(7.0)}},
			},
		}
		m := <-x.link.in
		if len(m.Reports) != 1 || m.Reports[0].LeaseID != "ok" || m.Releases[0] != (engine.Release{LeaseID: "R", Started: true}) ||
			!m.Beats || m.Number != 9 || m.RoundTrip != time.Millisecond || m.Credit != 3 || !m.Draining ||
			len(m.Held) != 1 || m.Held[0] != (engine.Extension{LeaseID: "H"}) {
			t.Errorf("the engine hears %+v", m)
		}
		var refused []string
		for len(refused) < 3 {
			for _, a := range (<-x.got).GetReportAcks() {
				if a.GetOutcome() != stintv1.ReportOutcome_REPORT_OUTCOME_INVALID || a.GetMessage() == "" {
					t.Errorf("ack %v", a)
				}
				refused = append(refused, a.GetLeaseId())
			}
		}
		if got := strings.Join(refused, ","); got != "neither,both," {
			t.Errorf("refused %q", got)
		}
		x.link.fail(engine.ErrReplaced)
		if err := <-x.end; reasonOf(err) != "SESSION_REPLACED" {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestSessionEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		by     func(*talk)
		reason string
	}{
		{"hello again", func(x *talk) { x.said <- &stintv1.SessionRequest{Hello: &stintv1.Hello{}} }, "SESSION_PROTOCOL"},
		{"replaced", func(x *talk) { x.link.fail(engine.ErrReplaced) }, "SESSION_REPLACED"},
		{"too slow", func(x *talk) { x.link.fail(engine.ErrTooSlow) }, "SESSION_TOO_SLOW"},
		{"engine stops", func(x *talk) { x.link.fail(engine.ErrStopping) }, "SHUTTING_DOWN"},
		{"server leaves", func(x *talk) { close(x.stopping) }, "SHUTTING_DOWN"},
	} {
		synctest.Test(t, func(t *testing.T) {
			x := converse(t, engine.Message{}, -1)
			<-x.got
			c.by(x)
			if err := <-x.end; reasonOf(err) != c.reason {
				t.Errorf("%s: ended with %v, want %s", c.name, err, c.reason)
			}
			<-x.link.closed
		})
	}
}

// An agent that does not read is cut, and reading from it goes on until then.
func TestSessionStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := converse(t, engine.Message{}, 0)
		began := time.Now()
		x.said <- &stintv1.SessionRequest{CreditTotal: 1}
		if m := <-x.link.in; m.Credit != 1 {
			t.Errorf("got %+v", m)
		}
		if err := <-x.end; reasonOf(err) != "SESSION_TOO_SLOW" {
			t.Errorf("ended with %v", err)
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("cut after %v", took)
		}
	})
}

// After its half-close an agent still gets the answers that it is owed, for a while.
func TestSessionHalfClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := converse(t, engine.Message{Beats: true, Number: 0}, -1)
		<-x.got
		x.said <- &stintv1.SessionRequest{Reports: []*stintv1.Report{{LeaseId: "L", Result: &stintv1.Result{}}}}
		<-x.link.in
		close(x.said)
		synctest.Wait()
		x.link.say(engine.Out{HasHeartbeatAck: true})
		if m := <-x.got; m.GetHeartbeatAck() == nil {
			t.Errorf("got %v", m)
		}
		synctest.Wait()
		x.link.say(engine.Out{Acks: []engine.ReportAck{{LeaseID: "L", Ack: queue.AckRecorded}}})
		if m := <-x.got; m.GetReportAcks()[0].GetOutcome() != stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED {
			t.Errorf("got %v", m)
		}
		if err := <-x.end; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		x := converse(t, engine.Message{Beats: true}, -1)
		<-x.got
		close(x.said)
		began := time.Now()
		if err := <-x.end; err != nil || time.Since(began) != lastWords {
			t.Errorf("an answer that never comes: ended with %v after %v", err, time.Since(began))
		}
	})
}

// What the engine says goes out whole, in messages of 2 MiB or one item.
func TestSessionCutsMessages(t *testing.T) {
	payload := specOf(t, &stintv1.Task{Id: "a", Instruction: strings.Repeat("x", maxTaskInput)}).Payload
	out := engine.Out{
		HasHeartbeatAck: true, HeartbeatAck: 4, Drain: true, DrainLeft: time.Second, GoingAway: true,
		Cancels: []engine.Cancel{{LeaseID: "C", Reason: queue.EndCancelled}},
		Acks:    []engine.ReportAck{{LeaseID: "A", Ack: queue.AckDuplicate}},
	}
	for range 9 {
		out.Grants = append(out.Grants, engine.Lease{ID: "G", Run: 1, Payload: payload})
	}
	all, messages := &stintv1.SessionResponse{}, 0
	p := packer{send: func(m *stintv1.SessionResponse) error {
		if n := proto.Size(m); n > maxReply+1<<10 {
			t.Errorf("a message of %d bytes", n)
		}
		messages++
		proto.Merge(all, received(t, m))
		return nil
	}}
	if err := p.say(out); err != nil || messages != 3 || len(all.GetGrants()) != 9 || len(all.GetCancels()) != 1 || len(all.GetReportAcks()) != 1 ||
		all.GetHeartbeatAck().GetNumber() != 4 || all.GetDrain().GetTimeLeft().AsDuration() != time.Second || !all.GetGoingAway() {
		t.Errorf("%d messages, %d grants, %v (%v)", messages, len(all.GetGrants()), all.GetDrain(), p.err)
	}
	broken := errors.New("broken")
	p = packer{send: func(*stintv1.SessionResponse) error { return broken }}
	if err := p.say(out); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// Successes are let past the rules of the contract by hand: exactly those that keep them.
func TestSuccessesAreJudgedAsByTheRules(t *testing.T) {
	rules, err := newRules()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*stintv1.Report{
		{}, {LeaseId: "x"}, {Result: &stintv1.Result{}},
		{LeaseId: "x", Result: &stintv1.Result{}},
		{LeaseId: "x", Result: &stintv1.Result{Text: "y", BudgetUsedUsd: new(-1.0)}},
		{LeaseId: "x", Failure: &stintv1.Failure{}},
		{LeaseId: "x", Result: &stintv1.Result{}, Failure: &stintv1.Failure{}},
	} {
		if kept, good := rules.Validate(r) == nil, malformed(r, rules) == ""; kept != good {
			t.Errorf("%v: the rules say %t, by hand it is %t", r, kept, good)
		}
	}
}
