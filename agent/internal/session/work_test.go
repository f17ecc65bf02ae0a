package session

import (
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

func cancel(ids ...string) *stintv1.SessionResponse {
	m := &stintv1.SessionResponse{}
	for _, id := range ids {
		m.Cancels = append(m.Cancels, &stintv1.LeaseCancel{LeaseId: id, Reason: stintv1.LeaseEndReason_LEASE_END_REASON_CANCELLED})
	}
	return m
}

// granting skips messages up to one that raises the credit.
func granting(m *stintv1.SessionRequest) bool { return m.GetCreditTotal() > 0 }

func TestCancelCutsTheCallAndNothingIsReported(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		calls := a.grant(s, "x", "y")
		s.reply(cancel("x", "never granted"))
		for _, c := range calls {
			if c.lease.GetLeaseId() == "x" {
				<-c.ctx.Done()
			}
		}
		if m := s.until(granting); m.GetCreditTotal() != 3 || hasReports(m) {
			t.Errorf("message = %v; want credit for the slot, no report", m)
		}
		for _, m := range s.ackHeartbeats(time.Minute) {
			if hasReports(m) || names(m, "x") {
				t.Errorf("message = %v; want nothing of x", m)
			}
		}
	})
}

// TestCancelOfAFinishedLeaseWaitsForItsAck: the report is on its way, and only its acknowledgement says what became of it.
func TestCancelOfAFinishedLeaseWaitsForItsAck(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		a.grant(s, "x")[0].succeed()
		s.until(hasReports)
		s.reply(cancel("x"))
		for _, m := range s.ackHeartbeats(15 * time.Second) {
			if granting(m) || (m.GetHeartbeat() != nil && !names(m, "x")) {
				t.Errorf("message = %v; want x held as before", m)
			}
		}
		if len(a.Pending("l")) != 1 {
			t.Error("report dropped by a cancel")
		}
	})
}

// TestCreditNeverExceedsMaxTasks counts attempts that ended, failed or not.
func TestCreditNeverExceedsMaxTasks(t *testing.T) {
	launch(t, func(c *Config) { c.MaxTasks = 3 }, func(a *agent) {
		s, _ := a.meet("l")
		if m := s.next(); m.GetCreditTotal() != 2 {
			t.Errorf("credit = %d; want 2, the slots", m.GetCreditTotal())
		}
		calls := a.grant(s, "x", "y")
		calls[0].fail(stintv1.FailureClass_FAILURE_CLASS_SERVER_ERROR)
		if m := s.until(granting); m.GetCreditTotal() != 3 {
			t.Errorf("credit = %d; want 3", m.GetCreditTotal())
		}
		calls[1].succeed()
		if m := s.until(hasReports); m.GetCreditTotal() != 0 {
			t.Errorf("credit = %d; want it unchanged", m.GetCreditTotal())
		}
		s.broken <- io.EOF
		s, _ = a.meet("l")
		if m := s.until(granting); m.GetCreditTotal() != 1 {
			t.Errorf("credit after a redial = %d; want 1, what is left", m.GetCreditTotal())
		}
		s.recorded("x", "y")
		a.grant(s, "z")[0].succeed()
		if m := s.until(hasReports); !m.GetDraining() {
			t.Errorf("message = %v; want it to say that no more is taken", m)
		}
		if s.ackHeartbeats(time.Minute); len(a.ended) != 0 {
			t.Fatal("ended before the last acknowledgement")
		}
		s.recorded("z")
		s.ackHeartbeats(time.Second)
		a.wantEnd("")
	})
}

func TestPanicOfTheRunnerIsReported(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		c := a.grant(s, "x")[0]
		c.answer <- panics
		r := s.until(hasReports).GetReports()[0]
		if r.GetLeaseId() != "x" || r.GetFailure().GetFailureClass() != stintv1.FailureClass_FAILURE_CLASS_INTERNAL {
			t.Errorf("report = %v; want INTERNAL of x", r)
		}
		c = a.grant(s, "y")[0]
		c.answer <- nil
		if r := s.until(hasReports).GetReports()[0]; r.GetLeaseId() != "y" || r.GetFailure() == nil {
			t.Errorf("report = %v; want a failure of y", r)
		}
	})
}

// TestWokenAgentStartsNoCallForAnOldGrant: what was granted before the sleep has gone to somebody else.
func TestWokenAgentStartsNoCallForAnOldGrant(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		c := a.grant(s, "x")[0]
		s.next()
		a.slept.Store(int64(31 * time.Second))
		s.reply(&stintv1.SessionResponse{Grants: []*stintv1.Lease{{LeaseId: "y"}}})
		<-s.ctx.Done()
		s, hello := a.meet("l")
		if len(a.calls) != 0 || names(hello, "y") || !names(hello, "x") || c.ctx.Err() != nil {
			t.Errorf("%d calls, hello %v; want no call for y, and x still there", len(a.calls), hello)
		}
		s.reply(cancel("x"))
		<-c.ctx.Done()
	})
}

// TestQueuedWorkWaitsForTheCoordinatorAfterARedial shows that one over the slots starts only once it cannot have been
// cancelled meanwhile.
func TestQueuedWorkWaitsForTheCoordinatorAfterARedial(t *testing.T) {
	launch(t, func(c *Config) { c.Slots = 1 }, func(a *agent) {
		s, _ := a.meet("l")
		s.reply(&stintv1.SessionResponse{Grants: []*stintv1.Lease{{LeaseId: "x"}, {LeaseId: "y"}, {LeaseId: "z"}}})
		c := <-a.calls
		s.broken <- io.EOF
		s, hello := a.meet("l")
		if !names(hello, "x", "y", "z") {
			t.Errorf("hello = %v; want all three", hello)
		}
		c.succeed()
		s.until(hasReports)
		synctest.Wait()
		if len(a.calls) != 0 {
			t.Error("queued work started before the coordinator had answered")
		}
		s.reply(cancel("y"))
		s.reply(&stintv1.SessionResponse{HeartbeatAck: &stintv1.HeartbeatAck{Number: hello.GetHeartbeat().GetNumber()}})
		if c := <-a.calls; c.lease.GetLeaseId() != "z" {
			t.Errorf("started %s; want z", c.lease.GetLeaseId())
		}
	})
}

// offers plays n failing calls of a class and returns how long each next offer took, and its size.
func offers(a *agent, s *stream, class stintv1.FailureClass, n int) (waits []time.Duration, total int64) {
	for range n {
		c := a.grant(s, time.Now().String())[0]
		c.fail(class)
		s.recorded(s.until(hasReports).GetReports()[0].GetLeaseId())
		began := time.Now()
		for {
			m := s.next()
			if h := m.GetHeartbeat(); h != nil {
				s.reply(&stintv1.SessionResponse{HeartbeatAck: &stintv1.HeartbeatAck{Number: h.GetNumber()}})
			}
			if granting(m) {
				waits, total = append(waits, time.Since(began)), m.GetCreditTotal()
				break
			}
		}
	}
	return waits, total
}

// TestBrokenAgentOffersOneSlotAtATime: it must not eat the queue.
func TestBrokenAgentOffersOneSlotAtATime(t *testing.T) {
	second, minute := time.Second, time.Minute
	for class, want := range map[stintv1.FailureClass][]time.Duration{
		stintv1.FailureClass_FAILURE_CLASS_CONNECT: {second, 2 * second, 4 * second, 8 * second, 16 * second, 32 * second, minute, minute},
		stintv1.FailureClass_FAILURE_CLASS_AUTH:    {minute, 2 * minute, 4 * minute, 8 * minute, 15 * minute, 15 * minute},
	} {
		launch(t, func(c *Config) { c.Slots = 1 }, func(a *agent) {
			s, _ := a.meet("l")
			s.until(granting)
			got, total := offers(a, s, class, len(want))
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%v: waits %v; want %v", class, got, want)
					break
				}
			}
			if total != int64(len(want))+1 {
				t.Errorf("credit %d after %d grants; want one slot on offer", total, len(want))
			}
		})
	}
}

// TestBrokenAgentGivesBackWhatEarlierCreditBrings: the third refusal ends a task, and an idle agent has offered many slots.
func TestBrokenAgentGivesBackWhatEarlierCreditBrings(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		s.until(granting)
		a.grant(s, "x")[0].fail(stintv1.FailureClass_FAILURE_CLASS_AUTH)
		s.until(hasReports)
		s.recorded("x")
		s.reply(&stintv1.SessionResponse{Grants: []*stintv1.Lease{{LeaseId: "y", Task: &stintv1.Task{Id: "t"}}}})
		m := s.until(func(m *stintv1.SessionRequest) bool { return len(m.GetReleases()) > 0 })
		if r := m.GetReleases()[0]; r.GetLeaseId() != "y" || r.GetStarted() || names(m, "y") {
			t.Errorf("message = %v; want y released, not started", m)
		}
		if slices.ContainsFunc(s.ackHeartbeats(59*time.Second), granting) {
			t.Error("credit within the first minute")
		}
		if !slices.ContainsFunc(s.ackHeartbeats(2*time.Second), func(m *stintv1.SessionRequest) bool { return m.GetCreditTotal() == 3 }) {
			t.Error("no credit for one slot after a minute")
		}
	})
}

func TestCallsThatFailTogetherCountOnceAndSuccessEndsTheTrouble(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		calls := a.grant(s, "x", "y")
		began := time.Now()
		for _, c := range calls {
			c.fail(stintv1.FailureClass_FAILURE_CLASS_CONNECT)
			s.until(hasReports)
		}
		if m := s.until(granting); m.GetCreditTotal() != 3 || time.Since(began) != time.Second {
			t.Errorf("credit %d after %v; want one slot after 1 s", m.GetCreditTotal(), time.Since(began))
		}
		a.grant(s, "z")[0].succeed()
		if m := s.until(granting); m.GetCreditTotal() != 5 {
			t.Errorf("credit = %d; want both slots", m.GetCreditTotal())
		}
	})
}

func TestDrainFinishesAndReleasesTheRest(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		calls := a.grant(s, "x", "y")
		a.Drain()
		a.Drain()
		if m := s.until((*stintv1.SessionRequest).GetDraining); m.GetCreditTotal() != 0 {
			t.Errorf("message = %v; want no credit", m)
		}
		began := time.Now()
		s.reply(&stintv1.SessionResponse{Grants: []*stintv1.Lease{{LeaseId: "late"}}})
		if m := s.next(); len(m.GetReleases()) != 1 || m.GetReleases()[0].GetStarted() {
			t.Errorf("message = %v; want the late grant back, not started", m)
		}
		calls[0].succeed()
		s.until(hasReports)
		s.recorded(calls[0].lease.GetLeaseId())
		var releases []*stintv1.Release
		for _, m := range s.ackHeartbeats(25 * time.Second) {
			releases = append(releases, m.GetReleases()...)
			if m.GetCreditTotal() != 0 {
				t.Errorf("message = %v; want no credit", m)
			}
		}
		if len(releases) != 1 || releases[0].GetLeaseId() != calls[1].lease.GetLeaseId() || !releases[0].GetStarted() {
			t.Errorf("releases = %v; want what was cut, started", releases)
		}
		s.broken <- io.EOF
		a.wantEnd("")
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("drain took %v", took)
		}
	})
}

func TestDrainWithNothingToFinishEndsAtOnce(t *testing.T) {
	for _, connected := range []bool{true, false} {
		launch(t, nil, func(a *agent) {
			began := time.Now()
			if connected {
				s, _ := a.meet("l")
				s.next()
				s.broken <- io.EOF
				synctest.Wait()
			}
			a.Drain()
			a.wantEnd("")
			if time.Since(began) != 0 {
				t.Errorf("took %v", time.Since(began))
			}
		})
	}
}

// TestGrantThatCrossesTheDrainGoesBack: nobody would confirm it, and its task would stand still for the grant timeout (L8).
func TestGrantThatCrossesTheDrainGoesBack(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		s.until(granting)
		a.Drain()
		m := s.until((*stintv1.SessionRequest).GetDraining)
		s.reply(&stintv1.SessionResponse{Grants: []*stintv1.Lease{{LeaseId: "y", Task: &stintv1.Task{Id: "t"}}}})
		s.reply(&stintv1.SessionResponse{HeartbeatAck: &stintv1.HeartbeatAck{Number: m.GetHeartbeat().GetNumber()}})
		m = s.until(func(m *stintv1.SessionRequest) bool { return len(m.GetReleases()) > 0 })
		if r := m.GetReleases()[0]; r.GetLeaseId() != "y" || r.GetStarted() {
			t.Errorf("message = %v; want y released, not started", m)
		}
		s.broken <- io.EOF
		a.wantEnd("")
	})
}

// TestDrainDoesNotWaitForASilentCoordinator bounds the wait for what may cross, and for the end of the stream.
func TestDrainDoesNotWaitForASilentCoordinator(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		s.until(granting)
		began := time.Now()
		a.Drain()
		a.wantEnd("")
		if took := time.Since(began); took != minTelling+farewellTime {
			t.Errorf("took %v; want %v", took, minTelling+farewellTime)
		}
	})
}

// TestReleasesAreToldThoughTheLinkIsDown: untold, they would cost each task a lost lease (Q3).
func TestReleasesAreToldThoughTheLinkIsDown(t *testing.T) {
	launch(t, func(c *Config) { c.Coordinators, c.DrainTime = c.Coordinators[:1], 5*time.Second }, func(a *agent) {
		s, _ := a.meet("l")
		a.grant(s, "x")
		s.broken <- status.Error(codes.Unavailable, "restarting")
		synctest.Wait()
		a.Drain()
		began := time.Now()
		for time.Since(began) < 4500*time.Millisecond { // down until the calls are cut
			select {
			case s := <-a.dials:
				s.broken <- io.EOF
			case <-time.After(4500*time.Millisecond - time.Since(began)):
			}
		}
		s, _ = a.meet("l")
		m := s.until(func(m *stintv1.SessionRequest) bool { return len(m.GetReleases()) > 0 })
		if r := m.GetReleases()[0]; r.GetLeaseId() != "x" || !r.GetStarted() {
			t.Errorf("message = %v; want x released, started", m)
		}
		s.broken <- io.EOF
		a.wantEnd("")
	})
}

// TestAnotherLedgerHoldsNothingBack: what only an earlier ledger could acknowledge must not keep an idle agent for ever.
func TestAnotherLedgerHoldsNothingBack(t *testing.T) {
	launch(t, func(c *Config) { c.MaxIdleCycles = 3 }, func(a *agent) {
		s, _ := a.meet("one")
		c := a.grant(s, "x")[0]
		s.broken <- io.EOF
		synctest.Wait()
		c.succeed()
		s, hello := a.meet("two")
		if !names(hello, "x") {
			t.Errorf("hello = %v; want x", hello)
		}
		s.ackHeartbeats(time.Minute)
		a.wantEnd("")
		if len(a.Pending("one")) != 1 {
			t.Errorf("outbox = %v; want the report", a.Pending("one"))
		}
	})
}

// TestDrainEndsWithoutAcks leaves the report where the next process finds it.
func TestDrainEndsWithoutAcks(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		a.grant(s, "x")[0].succeed()
		s.until(hasReports)
		began := time.Now()
		a.Drain()
		s.ackHeartbeats(30 * time.Second)
		a.wantEnd("")
		if took := time.Since(began); len(a.Pending("l")) != 1 || took > 30*time.Second {
			t.Errorf("%d reports left after %v; want the one", len(a.Pending("l")), took)
		}
	})
}

func TestDrainByAnOperator(t *testing.T) {
	for name, left := range map[string]*durationpb.Duration{"with a limit": durationpb.New(5 * time.Second), "without": nil} {
		t.Run(name, func(t *testing.T) {
			launch(t, func(c *Config) { c.MaxIdleCycles = 10 }, func(a *agent) {
				s, _ := a.meet("l")
				c := a.grant(s, "x")[0]
				s.reply(&stintv1.SessionResponse{Drain: &stintv1.Drain{TimeLeft: left}})
				if left == nil {
					s.ackHeartbeats(10 * time.Minute)
					c.succeed()
					s.until(hasReports)
					s.recorded("x")
				} else if m := s.until(func(m *stintv1.SessionRequest) bool { return len(m.GetReleases()) > 0 }); !m.GetReleases()[0].GetStarted() {
					t.Errorf("message = %v; want x released as started", m)
				}
				s.broken <- io.EOF
				a.wantEnd("")
			})
		})
	}
}

func TestEndOfContextStopsAtOnce(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		c := a.grant(s, "x")[0]
		began := time.Now()
		a.stop()
		<-c.ctx.Done()
		a.wantEnd("")
		if time.Since(began) != 0 || len(a.Pending("l")) != 0 {
			t.Errorf("took %v, outbox %v", time.Since(began), a.Pending("l"))
		}
	})
}

func TestIdleCyclesEndTheAgent(t *testing.T) {
	launch(t, func(c *Config) { c.MaxIdleCycles = 10 }, func(a *agent) {
		s, _ := a.meet("l")
		s.ackHeartbeats(19 * time.Second)
		c := a.grant(s, "x")[0] // begins the count anew, and holds it while held
		s.ackHeartbeats(time.Minute)
		c.succeed()
		s.ackHeartbeats(time.Minute) // not acknowledged: nothing counts
		if len(a.ended) != 0 {
			t.Fatal("ended while something was held")
		}
		s.recorded("x")
		s.ackHeartbeats(time.Minute)
		a.wantEnd("")
		if !a.log.has(`msg="nothing to do" agent=a1 cycle=10 of=10`) {
			t.Error("log lacks the cycles")
		}
	})
}

func TestIdleCyclesDoNotCountWithoutALink(t *testing.T) {
	launch(t, func(c *Config) { c.MaxIdleCycles = 10 }, func(a *agent) {
		s, _ := a.meet("l")
		s.ackHeartbeats(11 * time.Second)
		s.broken <- io.EOF
		s = <-a.dials
		s.ackHeartbeats(14 * time.Second)
		if len(a.ended) != 0 || a.log.has("cycle=6 ") {
			t.Error("a cycle counted without a link")
		}
	})
}

func TestIdleCyclesDoNotCountWhileNothingIsOffered(t *testing.T) {
	launch(t, func(c *Config) { c.MaxIdleCycles = 10 }, func(a *agent) {
		s, _ := a.meet("l")
		for _, c := range a.grant(s, "x", "y") {
			c.fail(stintv1.FailureClass_FAILURE_CLASS_AUTH)
			s.recorded(s.until(hasReports).GetReports()[0].GetLeaseId())
		}
		s.ackHeartbeats(59 * time.Second)
		if a.log.has("nothing to do") {
			t.Error("a cycle counted though no work could come")
		}
	})
}

func TestNoIdleCyclesMeansForEver(t *testing.T) {
	launch(t, nil, func(a *agent) {
		s, _ := a.meet("l")
		s.ackHeartbeats(24 * time.Hour)
		if len(a.ended) != 0 || a.log.has("nothing to do") {
			t.Error("ended, or counted")
		}
	})
}
