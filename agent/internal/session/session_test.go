package session

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

func TestOneTask(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, hello := a.meet("l")
		h := hello.GetHello()
		if h.GetAgentId() != "a1" || h.GetInstanceId() == "" || h.GetVersion() != "v" || h.GetProtocolVersion() != 1 ||
			h.GetSlots() != 2 || h.GetLabels()["gpu"] != "true" || h.GetQueues()[0] != "q" {
			t.Errorf("hello = %v", h)
		}
		if m := s.next(); m.GetCreditTotal() != 2 {
			t.Errorf("message = %v; want a credit of 2", m)
		}
		c := a.grant(s, "x")[0]
		c.succeed()
		m := s.until(hasReports)
		if m.GetReports()[0].GetResult().GetText() != "of x" || m.GetCreditTotal() != 3 {
			t.Errorf("message = %v; want the result of x and a credit of 3", m)
		}
		if len(a.Pending("l")) != 1 {
			t.Error("report sent without being in the outbox")
		}
		s.recorded("x")
		synctest.Wait()
		if len(a.Pending("l")) != 0 {
			t.Error("report in the outbox after its acknowledgement")
		}
		for _, line := range []string{"connected", "granted", `msg=finished agent=a1 task=task-x attempt=1 outcome=success`} {
			if !a.log.has(line) {
				t.Errorf("log lacks %q", line)
			}
		}
	})
}

func TestReportsThatEndWhileTheDiskIsBusyGoTogether(t *testing.T) {
	launch(t, func(c *Config) { c.Slots = 3 }, func(a *agent) {
		s, _ := a.meet("l")
		a.busy = make(chan struct{})
		calls := a.grant(s, "x", "y", "z")
		for _, c := range calls {
			c.succeed()
			synctest.Wait()
		}
		for _, want := range []int{1, 2} {
			a.busy <- struct{}{}
			if m := s.until(hasReports); len(m.GetReports()) != want {
				t.Errorf("reports = %v; want %d of them", m.GetReports(), want)
			}
		}
	})
}

// The first report finds nobody to wait for. Those after it wait while a call is under way that may end in time, no longer.
func TestReportsInQuickSuccessionGoTogether(t *testing.T) {
	for _, tt := range []struct {
		name      string
		underWay  bool
		afterMost time.Duration
	}{
		{"while a call is under way", true, keepPause},
		{"all calls have ended", false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			launch(t, func(c *Config) { c.Slots = 4 }, func(a *agent) {
				s, _ := a.meet("l")
				calls := a.grant(s, "w", "x", "y", "z")
				began := time.Now()
				for i, c := range calls {
					if i < len(calls)-1 || !tt.underWay {
						c.succeed()
						synctest.Wait()
					}
				}
				got, want := 1, 4
				if tt.underWay {
					want = 3
				}
				if m := s.until(hasReports); len(m.GetReports()) != got || time.Since(began) != 0 {
					t.Errorf("after %v: reports = %v; want one at once", time.Since(began), m.GetReports())
				}
				m := s.until(hasReports)
				if got += len(m.GetReports()); got != want || time.Since(began) != tt.afterMost {
					t.Errorf("after %v: %d reports in all; want %d after %v", time.Since(began), got, want, tt.afterMost)
				}
			})
		})
	}
}

// TestHeartbeatsListAllHeld shows L9's half of the agent: running and finished leases, until the acknowledgement.
func TestHeartbeatsListAllHeld(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		calls := a.grant(s, "x", "y")
		calls[0].succeed()
		s.until(hasReports)
		last := time.Now()
		for range 3 {
			m := s.until(func(m *stintv1.SessionRequest) bool { return m.GetHeartbeat() != nil })
			s.reply(&stintv1.SessionResponse{HeartbeatAck: &stintv1.HeartbeatAck{Number: m.GetHeartbeat().GetNumber()}})
			if gap := time.Since(last); gap > 10*time.Second || gap < 8*time.Second {
				t.Errorf("heartbeat after %v; want 10 s less up to a tenth", gap)
			}
			if last = time.Now(); !names(m, "x", "y") {
				t.Errorf("heartbeat = %v; want x and y", m.GetHeartbeat())
			}
		}
		s.recorded(calls[0].lease.GetLeaseId())
		m := s.until(func(m *stintv1.SessionRequest) bool { return m.GetHeartbeat() != nil })
		if n := len(m.GetHeartbeat().GetLeases()); n != 1 {
			t.Errorf("%d leases held; want 1", n)
		}
	})
}

func TestReportGoesOutAgainAfterTwoIntervals(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		a.grant(s, "x")[0].succeed()
		s.until(hasReports)
		sends := 0
		for _, m := range s.ackHeartbeats(35 * time.Second) {
			sends += len(m.GetReports())
		}
		if sends != 1 {
			t.Errorf("sent %d times more within 35 s; want once", sends)
		}
	})
}

// TestReportGoesOutAgainOnEveryLink also shows that a report is sent to its own ledger only.
func TestReportGoesOutAgainOnEveryLink(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		a.grant(s, "x")[0].succeed()
		s.until(hasReports)
		s.broken <- io.EOF
		other, _ := a.meet("another")
		for _, m := range other.ackHeartbeats(time.Minute) {
			if hasReports(m) || names(m, "x") {
				t.Errorf("to another ledger: %v", m)
			}
		}
		other.broken <- io.EOF
		s, _ = a.meet("l")
		if m := s.next(); !hasReports(m) {
			t.Errorf("first message after the welcome = %v; want the report", m)
		}
	})
}

// TestReportOfAnEarlierLifeGoesOutBeforeCredit keeps the coordinator from granting a task whose result is on its way.
func TestReportOfAnEarlierLifeGoesOutBeforeCredit(t *testing.T) {
	launch(t, nil, func(a *agent) {
		a.Put("l", success("old"))
		s, hello := a.meet("l")
		if hello.GetCreditTotal() != 0 || len(hello.GetHeartbeat().GetLeases()) != 0 {
			t.Errorf("hello = %v; want neither credit nor leases", hello)
		}
		if m := s.next(); !hasReports(m) || m.GetCreditTotal() != 0 {
			t.Errorf("message = %v; want the report alone", m)
		}
		if synctest.Wait(); len(s.in) != 0 {
			t.Errorf("message = %v; want none before the acknowledgement", s.next())
		}
		s.recorded("old")
		if m := s.next(); m.GetCreditTotal() != 2 {
			t.Errorf("message = %v; want credit", m)
		}
	})
}

// TestCreditWaitsOneIntervalForAcks: a coordinator that records nothing for now does not stop the work for good.
func TestCreditWaitsOneIntervalForAcks(t *testing.T) {
	launch(t, nil, func(a *agent) {
		a.Put("l", success("old"))
		s, _ := a.meet("l")
		began := time.Now()
		s.until(func(m *stintv1.SessionRequest) bool { return m.GetCreditTotal() == 2 })
		if waited := time.Since(began); waited < 9*time.Second || waited > 10*time.Second {
			t.Errorf("credit after %v; want one interval", waited)
		}
	})
}

func TestManyReportsAreSplit(t *testing.T) {
	launch(t, nil, func(a *agent) {
		const each, n = 1 << 20, 100
		for i := range n {
			r := success(strings.Repeat("x", i+1))
			r.Result.Text = strings.Repeat("a", each)
			a.Put("l", r)
		}
		s, _ := a.meet("l")
		synctest.Wait()
		if len(s.in) > 3 {
			t.Errorf("%d messages sent without an acknowledgement; want hello's heartbeat and one report", len(s.in))
		}
		for got := 0; got < n; {
			m := s.until(hasReports)
			if len(m.GetReports()) > 1 {
				t.Fatalf("%d MiB in one message; want one report", len(m.GetReports()))
			}
			for _, r := range m.GetReports() {
				if got++; len(r.GetLeaseId()) != got {
					t.Fatalf("report %d comes as number %d; want the oldest first", len(r.GetLeaseId()), got)
				}
				s.recorded(r.GetLeaseId())
			}
		}
	})
}

// TestSlowLinkTakesAllReports: reports that wait for a link of a megabit a second must not cost it the link itself, time and
// again, nor its leases.
func TestSlowLinkTakesAllReports(t *testing.T) {
	launch(t, nil, func(a *agent) {
		a.rate.Store(125_000)
		const each, n = 200 << 10, 20
		for i := range n {
			r := success(fmt.Sprint("x", i))
			r.Result.Text = strings.Repeat("a", each)
			a.Put("l", r)
		}
		s, _ := a.meet("l")
		s.ackAll(time.Minute)
		if left := len(a.Pending("l")); left > 0 {
			t.Errorf("%d reports are left after a minute, of %d", left, n)
		}
		if a.log.has("redial") {
			t.Error("the link was given up")
		}
	})
}

// TestGrantIsConfirmedBeforeReports: a grant that is confirmed late is taken back while its call runs (L8).
func TestGrantIsConfirmedBeforeReports(t *testing.T) {
	launch(t, func(c *Config) { c.Slots = 40 }, func(a *agent) {
		s, _ := a.meet("l")
		var ids []string
		for i := range 30 {
			ids = append(ids, fmt.Sprint("x", i))
		}
		calls := a.grant(s, ids...)
		s.rate.Store(125_000)
		for _, c := range calls {
			report := success(c.lease.GetLeaseId())
			report.Result.Text = strings.Repeat("a", 200<<10)
			c.answer <- report
		}
		s.until(hasReports)
		began := time.Now()
		s.reply(&stintv1.SessionResponse{Grants: []*stintv1.Lease{{LeaseId: "y", Attempt: 1, Run: 1, Task: &stintv1.Task{Id: "t"}}}})
		s.until(func(m *stintv1.SessionRequest) bool { return names(m, "y") })
		if waited := time.Since(began); waited > 5*time.Second {
			t.Errorf("confirmed after %v; a coordinator waits for 5 s", waited)
		}
	})
}

// TestConfirmationCarriesNoLargeReport: it would come as late as behind one (L8).
func TestConfirmationCarriesNoLargeReport(t *testing.T) {
	launch(t, func(c *Config) { c.Slots = 3 }, func(a *agent) {
		s, _ := a.meet("l")
		for _, c := range a.grant(s, "x", "z") {
			report := success(c.lease.GetLeaseId())
			report.Result.Text = strings.Repeat("a", maxInFlight)
			c.answer <- report
		}
		first := s.until(hasReports).GetReports()[0].GetLeaseId()
		both := ack(stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED, first)
		both.Grants = []*stintv1.Lease{{LeaseId: "y", Attempt: 1, Run: 1, Task: &stintv1.Task{Id: "t"}}}
		s.reply(both)
		if m := s.until(func(m *stintv1.SessionRequest) bool { return names(m, "y") }); hasReports(m) {
			t.Errorf("confirmed with a report of %d bytes", proto.Size(m))
		}
		s.until(hasReports)
	})
}

func TestAcks(t *testing.T) {
	lost, bad := stintv1.ReportOutcome_REPORT_OUTCOME_LEASE_LOST, stintv1.ReportOutcome_REPORT_OUTCOME_INVALID
	launch(t, nil, func(a *agent) {
		failure := &stintv1.Report{LeaseId: "failure", Failure: &stintv1.Failure{}}
		for _, r := range []*stintv1.Report{success("duplicate"), success("lost"), success("invalid"), success("new outcome"), failure} {
			a.Put("l", r)
		}
		s, _ := a.meet("l")
		s.until(hasReports)
		s.reply(ack(stintv1.ReportOutcome_REPORT_OUTCOME_DUPLICATE, "duplicate"))
		s.reply(ack(lost, "lost", "failure", "never sent"))
		s.reply(ack(bad, "invalid"))
		s.reply(ack(99, "new outcome"))
		synctest.Wait()
		if left := a.Pending("l"); len(left) != 0 {
			t.Errorf("left in the outbox: %v", left)
		}
		if len(a.refused) != 1 || a.refused["lost"] != "LEASE_END_REASON_SUPERSEDED" {
			t.Errorf("refused = %v; want the success that was lost", a.refused)
		}
		if !a.log.has(`level=WARN msg="success refused`) || !a.log.has(`level=ERROR msg="report refused" agent=a1 lease=invalid`) {
			t.Error("log lacks a line")
		}
	})
}

func TestSilentCoordinatorIsRedialledAndWorkGoesOn(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		c := a.grant(s, "x")[0]
		began := time.Now()
		<-s.ctx.Done()
		if silent := time.Since(began); silent != 20*time.Second {
			t.Errorf("link given up after %v; want two intervals", silent)
		}
		began = time.Now()
		next, hello := a.meet("l")
		if waited := time.Since(began); waited < minRedial || waited > maxRedial {
			t.Errorf("redialled after %v; want %v to %v", waited, minRedial, maxRedial)
		}
		if next.address != "two:2" || !names(hello, "x") || c.ctx.Err() != nil {
			t.Errorf("to %s: %v, call %v; want the other address, x held and still running", next.address, hello, c.ctx.Err())
		}
		if m := next.next(); m.GetCreditTotal() != 1 {
			t.Errorf("message = %v; want credit for the free slot", m)
		}
		c.succeed()
		next.until(hasReports)
	})
}

func TestRedialIsSpreadFromTheFirstOn(t *testing.T) {
	launch(t, nil, func(a *agent) {
		if dialled := time.Now(); true {
			a.meet("l")
			if time.Since(dialled) != 0 {
				t.Error("the very first dial waits; nothing is to be spread there")
			}
		}
	})
	var least, most = maxRedial, time.Duration(0)
	for range 40 {
		launch(t, nil, func(a *agent) {
			s, _ := a.meet("l")
			s.broken <- errors.New("reset")
			began := time.Now()
			<-a.dials
			least, most = min(least, time.Since(began)), max(most, time.Since(began))
		})
	}
	if least < minRedial || most > maxRedial || most-least < maxRedial/4 {
		t.Errorf("first redials after %v to %v; want them spread over %v to %v", least, most, minRedial, maxRedial)
	}
}

func TestRefusedHelloIsFatalOrNot(t *testing.T) {
	detailed := func(code codes.Code, reason string, retry time.Duration) error {
		s, err := status.New(code, reason).WithDetails(
			&errdetails.ErrorInfo{Reason: reason, Domain: "stint.dev"}, &errdetails.RetryInfo{RetryDelay: durationpb.New(retry)})
		if err != nil {
			t.Fatal(err)
		}
		return s.Err()
	}
	for _, c := range []struct {
		err   error
		fatal bool
		wait  time.Duration
	}{
		{detailed(codes.InvalidArgument, "FIELD_INVALID", 0), true, 0},
		{detailed(codes.FailedPrecondition, "VERSION_UNSUPPORTED", 0), true, 0},
		{detailed(codes.AlreadyExists, "AGENT_ID_IN_USE", time.Minute), false, time.Minute},
		{detailed(codes.Aborted, "SESSION_REPLACED", 0), false, 0},
		{detailed(codes.Unavailable, "SHUTTING_DOWN", 0), false, 0},
		{errors.New("reset"), false, 0},
		{io.EOF, false, 0},
	} {
		launch(t, nil, func(a *agent) {
			s := <-a.dials
			s.next()
			s.broken <- c.err
			if c.fatal {
				a.wantEnd("coordinator refuses this agent")
				return
			}
			began := time.Now()
			a.meet("l")
			if waited := time.Since(began); waited < c.wait {
				t.Errorf("%v: redialled after %v; want at least %v", c.err, waited, c.wait)
			}
		})
	}
}

func TestInvalidArgumentLaterIsNotFatal(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		s.next()
		s.broken <- status.Error(codes.InvalidArgument, "odd message")
		a.meet("l")
	})
}

func TestNoWelcomeIsRedialled(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s := <-a.dials
		s.next()
		<-s.ctx.Done()
		s = <-a.dials
		s.next()
		s.reply(&stintv1.SessionResponse{HeartbeatAck: &stintv1.HeartbeatAck{}})
		a.meet("l")
	})
}

func TestStreamThatTakesNothingIsGivenUp(t *testing.T) {
	launch(t, func(c *Config) { c.Slots = 1000 }, func(a *agent) {
		a.stuck.Store(true)
		s := <-a.dials
		a.stuck.Store(false)
		s.reply(welcome("l"))
		for i := range 2 * outQueue {
			select {
			case s.out <- &stintv1.SessionResponse{Grants: []*stintv1.Lease{{LeaseId: strings.Repeat("x", i+1)}}}:
			case <-s.ctx.Done():
			}
			synctest.Wait()
		}
		if s.ctx.Err() == nil || !a.log.has("the stream takes no messages") {
			t.Error("link kept though its queue overflowed")
		}
		if _, hello := a.meet("l"); len(hello.GetHeartbeat().GetLeases()) < outQueue/2 {
			t.Errorf("hello = %v; want what was granted", hello)
		}
	})
}

func TestGoingAwayChangesNothingUntilTheStreamEnds(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		c := a.grant(s, "x")[0]
		s.reply(&stintv1.SessionResponse{GoingAway: true})
		c.succeed()
		s.until(hasReports)
		s.broken <- status.Error(codes.Unavailable, "shutting down")
		if s, _ := a.meet("l"); !hasReports(s.next()) {
			t.Error("report not sent again")
		}
	})
}
