package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func (r *rig) connect(agent string, first Message) *Stream {
	r.t.Helper()
	s, err := r.Connect(r.t.Context(), Hello{Agent: agent, Instance: "i1", Slots: 4, First: first})
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (r *rig) receive(s *Stream) Out {
	r.t.Helper()
	o, err := s.Receive(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return o
}

func held(leases []Lease) []Extension {
	x := make([]Extension, len(leases))
	for i := range leases {
		x[i].LeaseID = leases[i].ID
	}
	return x
}

// A session from welcome to ack: grants with payloads, heartbeat acks, report acks, cancels.
func TestSession(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		s := r.connect("agent", Message{Credit: 2})
		defer s.Close()
		if w := s.Welcome(); w.LedgerID == "" || w.TTL != 6*time.Second || w.Interval != 2*time.Second {
			t.Errorf("welcome %+v", w)
		}
		r.submit("a", "b", "c")
		o := r.receive(s)
		if len(o.Grants) != 2 || o.HasHeartbeatAck {
			t.Fatalf("grants %+v", o)
		}
		err := s.Send(ctx, Message{
			Beats: true, Held: held(o.Grants), Credit: 3,
			Reports: []Report{success(o.Grants[0]), {LeaseID: "forged", Success: true}},
		})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		next := r.receive(s)
		if !next.HasHeartbeatAck || len(next.Acks) != 2 || len(next.Grants) != 1 || len(next.Cancels) != 1 {
			t.Fatalf("answer %+v", next)
		}
		if a := next.Acks[0]; a.Ack != queue.AckRecorded || a.LeaseID != o.Grants[0].ID {
			t.Errorf("ack %+v", a)
		}
		if a := next.Acks[1]; a.Ack != queue.AckLeaseLost || a.End != queue.EndUnknown || a.LeaseID != "forged" {
			t.Errorf("ack %+v", a)
		}
		if c := next.Cancels[0]; c.LeaseID != o.Grants[0].ID { // still listed, though reported
			t.Errorf("cancel %+v", c)
		}
		if _, err := r.Cancel(ctx, []queue.Choice{{ID: o.Grants[1].TaskID}}, "enough"); err != nil {
			t.Fatal(err)
		}
		if o = r.receive(s); len(o.Cancels) != 1 || o.Cancels[0].Reason != queue.EndCancelled {
			t.Errorf("cancel %+v", o)
		}
	})
}

// A lease id that is nobody's is answered under the very text that the agent sent.
func TestForgedLeaseHeldIsCancelled(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		s := r.connect("agent", Message{Held: []Extension{{LeaseID: "no lease of ours"}}})
		defer s.Close()
		want := Cancel{LeaseID: "no lease of ours", Reason: queue.EndUnknown}
		if o := r.receive(s); len(o.Cancels) != 1 || o.Cancels[0] != want {
			t.Errorf("told %+v", o)
		}
	})
}

// Reports that only the ledger can judge are looked up, and acknowledged with the others.
func TestSessionReportFromTheLedger(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		s := r.connect("agent", Message{Credit: 1})
		defer s.Close()
		r.submit("a")
		l := r.receive(s).Grants[0]
		for range 2 {
			if err := s.Send(t.Context(), Message{Reports: []Report{success(l)}}); err != nil {
				t.Fatal(err)
			}
			o := r.receive(s)
			if len(o.Acks) != 1 {
				t.Fatalf("told %+v", o)
			}
			r.settle()
		}
		if err := s.Send(t.Context(), Message{Beats: true, Number: 7, Reports: []Report{success(l)}}); err != nil {
			t.Fatal(err)
		}
		if o := r.receive(s); len(o.Acks) != 1 || o.Acks[0].Ack != queue.AckDuplicate || o.HeartbeatAck != 7 {
			t.Errorf("told %+v", o)
		}
	})
}

func TestStreamsEnd(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		old := r.connect("agent", Message{})
		_, err := r.Connect(ctx, Hello{Agent: "agent", Instance: "i2"})
		wantReason(t, err, queue.AgentIDInUse)
		if n := len(r.streams.byID); n != 1 {
			t.Errorf("%d streams after a refusal", n)
		}
		s := r.connect("agent", Message{})
		if _, err := old.Receive(ctx); !errors.Is(err, ErrReplaced) {
			t.Errorf("Receive of a replaced stream: %v", err)
		}
		if err := old.Send(ctx, Message{}); !errors.Is(err, ErrReplaced) {
			t.Errorf("Send on a replaced stream: %v", err)
		}
		old.Close()
		old.Close()
		if v, err := r.Agent(ctx, "agent"); err != nil || v.State != queue.AgentOnline {
			t.Errorf("the newer stream after the older was closed: %+v, %v", v, err)
		}
		s.Close()
		if _, err := r.Agent(ctx, "agent"); err == nil {
			t.Error("an agent without stream and leases is still there")
		}
		if n := len(r.streams.byID); n != 0 {
			t.Errorf("%d streams left behind", n)
		}
	})
}

// A reader that does not read loses its stream, and holds nobody up.
func TestSlowStreamIsCut(t *testing.T) {
	b := newOutbox()
	b.put(&Out{Acks: make([]ReportAck, outboxItems)}, nil)
	if err := b.error(); err != nil {
		t.Fatalf("full: %v", err)
	}
	b.put(&Out{Cancels: make([]Cancel, 1)}, nil)
	if err := b.error(); !errors.Is(err, ErrTooSlow) {
		t.Errorf("over full: %v", err)
	}
	if _, _, err := b.take(); !errors.Is(err, ErrTooSlow) {
		t.Errorf("take: %v", err)
	}
}

// S5: what waits for a reader is bounded by its bytes too, and what was taken counts no more.
func TestOutboxWeighsTexts(t *testing.T) {
	b := newOutbox()
	half := strings.Repeat("x", outboxBytes/2)
	for range 5 {
		b.put(&Out{Acks: []ReportAck{{LeaseID: half}}, Cancels: []Cancel{{LeaseID: half}}}, nil)
		if _, _, err := b.take(); err != nil {
			t.Fatalf("full: %v", err)
		}
	}
	b.put(&Out{Acks: []ReportAck{{Message: half}}}, make([]queue.Granted, outGrants+1))
	b.put(&Out{Cancels: []Cancel{{LeaseID: half}}}, nil)
	if _, _, err := b.take(); err != nil { // the cancel stays, behind a grant
		t.Fatalf("full: %v", err)
	}
	b.put(&Out{Acks: []ReportAck{{Message: half}, {Message: "x"}}}, nil)
	if err := b.error(); !errors.Is(err, ErrTooSlow) {
		t.Errorf("over full: %v", err)
	}
}

// An Out is bounded, and a cancel never overtakes the grant that it is about.
func TestOutboxCuts(t *testing.T) {
	b := newOutbox()
	b.put(&Out{Cancels: []Cancel{{LeaseID: "x"}}, HasHeartbeatAck: true}, make([]queue.Granted, outGrants+1))
	o, grants, _ := b.take()
	if len(grants) != outGrants || len(o.Cancels) != 0 || !o.HasHeartbeatAck {
		t.Errorf("first: %d grants, %+v", len(grants), o)
	}
	o, grants, _ = b.take()
	if len(grants) != 1 || len(o.Cancels) != 1 || o.HasHeartbeatAck {
		t.Errorf("second: %d grants, %+v", len(grants), o)
	}
	if o, grants, _ = b.take(); len(grants) != 0 || !o.empty() {
		t.Errorf("third: %d grants, %+v", len(grants), o)
	}
}

// What nobody waits for is handed in without a wait, so that a leave gets on while the loop is stuck.
func TestGoingAwayWhileTheLoopIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, err := New(config(), memledger.New())
		if err != nil {
			t.Fatal(err)
		}
		close(e.active) // and nobody takes calls
		for range cap(e.calls) {
			e.calls <- newCall(&queue.Read{})
		}
		e.GoingAway()
		for range cap(e.calls) {
			<-e.calls
		}
		if _, ok := (<-e.calls).cmd.(*queue.Quiesce); !ok {
			t.Error("the machine is not told")
		}
	})
}

func TestGoingAway(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		s := r.connect("agent", Message{Credit: 5})
		defer s.Close()
		r.submit("a")
		l := r.receive(s).Grants[0]
		wait := begin(t, func() (*Task, error) { return r.Wait(ctx, "a", time.Hour) })
		acquire := begin(t, func() ([]Lease, error) {
			return r.Acquire(ctx, Acquire{Agent: "unary", Max: 1, Length: time.Minute, Wait: 50 * time.Second})
		})
		wait.waits("wait")
		acquire.waits("acquire")

		began := time.Now()
		r.GoingAway()
		r.GoingAway()
		if o := r.receive(s); !o.GoingAway {
			t.Errorf("the stream is told %+v", o)
		}
		if got := wait.ends("wait"); got.Status.State != queue.Running {
			t.Errorf("the wait answers %+v", got)
		}
		if got := acquire.ends("acquire"); len(got) != 0 {
			t.Errorf("the acquire answers %+v", got)
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("they waited %v more", d)
		}
		if _, err := r.Submit(ctx, specs("b"), nil); !errors.Is(err, ErrStopping) {
			t.Errorf("submit: %v", err)
		}
		if err := s.Send(ctx, Message{Reports: []Report{success(l)}}); err != nil {
			t.Fatal(err)
		}
		if o := r.receive(s); len(o.Acks) != 1 || o.Acks[0].Ack != queue.AckRecorded {
			t.Errorf("the last report: %+v", o)
		}
		r.stop()
		if _, err := s.Receive(ctx); !errors.Is(err, ErrStopping) {
			t.Errorf("after the stop: %v", err)
		}
	})
}

// A repeat whose caller has gone takes nothing back of what the first call was answered with, and says
// of each lease that it repeats it (C4, L5).
func TestRepeatedAcquireOfACallerThatHasGone(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ask := func(ctx context.Context) ([]Lease, error) {
			return r.Acquire(ctx, Acquire{Agent: "unary", Request: "r", Max: 1, Length: time.Minute})
		}
		r.submit("a")
		first, err := ask(t.Context())
		if err != nil || len(first) != 1 || first[0].Repeated {
			t.Fatalf("%+v, error %v", first, err)
		}
		ctx, hangUp := context.WithCancel(t.Context())
		r.ledger.Hold()
		submit := begin(t, func() ([]bool, error) { return r.Submit(t.Context(), specs("b"), nil) })
		submit.waits("submit")
		gone := begin(t, func() ([]Lease, error) { return ask(ctx) })
		gone.waits("the repeat, behind it")
		hangUp()
		if err := gone.failed(); !errors.Is(err, context.Canceled) {
			t.Errorf("the repeat: %v", err)
		}
		r.ledger.Release()
		submit.ends("submit")
		synctest.Wait()
		again, err := ask(t.Context())
		if err != nil || len(again) != 1 || again[0].ID != first[0].ID || !again[0].Repeated {
			t.Errorf("again: %+v, error %v", again, err)
		}
	})
}

// What was granted to a caller that has gone goes back at no cost.
func TestAcquireOfACallerThatHasGone(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ctx, hangUp := context.WithCancel(t.Context())
		gone := begin(t, func() ([]Lease, error) {
			return r.Acquire(ctx, Acquire{Agent: "gone", Max: 1, Length: time.Minute, Wait: 50 * time.Second})
		})
		gone.waits("acquire")
		r.ledger.Hold()
		submit := begin(t, func() ([]bool, error) { return r.Submit(t.Context(), specs("a"), nil) })
		submit.waits("submit") // and granted, but the grant has not left
		hangUp()
		if err := gone.failed(); !errors.Is(err, context.Canceled) {
			t.Errorf("acquire: %v", err)
		}
		r.ledger.Release()
		submit.ends("submit")
		synctest.Wait()
		got := r.task("a")
		if got.Status.State != queue.Ready || got.Status.Lost != 0 || got.Attempts[0].Outcome != queue.OutcomeUnconfirmed {
			t.Errorf("the task is %+v", got)
		}
	})
}

func TestAcquireWaits(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		ask := func() ([]Lease, error) {
			return r.Acquire(t.Context(), Acquire{Agent: "unary", Max: 2, Length: time.Minute, Wait: 30 * time.Second})
		}
		began := time.Now()
		if got, err := ask(); len(got) != 0 || err != nil || time.Since(began) != 30*time.Second {
			t.Errorf("nothing there: %v, %v after %v", got, err, time.Since(began))
		}
		g := begin(t, ask)
		g.waits("acquire")
		r.submit("a")
		if got := g.ends("acquire"); len(got) != 1 || string(got[0].Payload) != "payload of a" {
			t.Errorf("granted %+v", got)
		}
	})
}

// What one turn has for a stream wakes its reader once, when all of it is there.
func TestATurnRingsOnce(t *testing.T) {
	e := &Engine{}
	s := &Stream{engine: e, outbox: newOutbox()}
	s.tell(&Out{Acks: make([]ReportAck, 1)}, nil)
	s.tell(&Out{}, make([]queue.Granted, 1))
	if len(s.outbox.bell) != 0 || len(e.told) != 1 {
		t.Errorf("rung %d times before the turn has left; %d streams were told", len(s.outbox.bell), len(e.told))
	}
	e.ring()
	if o, grants, _ := s.outbox.take(); len(s.outbox.bell) != 1 || len(o.Acks) != 1 || len(grants) != 1 || len(e.told) != 0 {
		t.Errorf("rung %d times: %+v, %d grants", len(s.outbox.bell), o, len(grants))
	}
	s.tell(&Out{}, nil)
	if len(e.told) != 1 {
		t.Error("the next turn does not ring")
	}
}

// Many small messages of a stream are under way at once, but few large ones.
func TestWindowWeighsMessages(t *testing.T) {
	heavy := strings.Repeat("x", windowBytes)
	for _, c := range []struct {
		m    Message
		want int
	}{
		{Message{}, 1},
		{Message{Reports: make([]Report, 64)}, 1},
		{Message{Reports: []Report{{Result: make([]byte, windowBytes)}}}, 2},
		{Message{Reports: make([]Report, 2*windowBytes/itemBytes)}, 3},
		{Message{Held: make([]Extension, windowBytes/itemBytes), Releases: make([]Release, windowBytes/itemBytes)}, 3},
		{Message{Reports: []Report{{Result: make([]byte, 1<<30)}}}, window / 4},
		{Message{Reports: []Report{{LeaseID: heavy}}, Releases: []Release{{LeaseID: heavy}}}, 3},
		{Message{Held: []Extension{{LeaseID: heavy}, {Message: heavy}}}, 3},
	} {
		if got := c.m.slots(); got != c.want {
			t.Errorf("%d reports, %d held: %d slots, want %d", len(c.m.Reports), len(c.m.Held), got, c.want)
		}
	}
}

// Who waits by Ready hears of all that was put, and of the end behind it.
func TestReadyUntilTheEnd(t *testing.T) {
	e := &Engine{}
	s, _ := e.streams.open(e)
	poll := func() (Out, bool, error) {
		<-s.Ready()
		return s.Poll(t.Context())
	}
	s.tell(&Out{Acks: make([]ReportAck, outItems+1)}, nil)
	e.ring()
	e.streams.end(ErrStopping)
	for _, want := range []int{outItems, 1} {
		if out, some, err := poll(); len(out.Acks) != want || !some || err != nil {
			t.Errorf("got %d acks, %t, %v; want %d", len(out.Acks), some, err, want)
		}
	}
	if _, some, err := poll(); some || !errors.Is(err, ErrStopping) {
		t.Errorf("at the end: %t, %v", some, err)
	}
	other, _ := e.streams.open(e)
	<-other.Ready()
	if _, some, err := other.Poll(t.Context()); some || !errors.Is(err, ErrStopping) {
		t.Errorf("opened after the end: %t, %v", some, err)
	}
}
