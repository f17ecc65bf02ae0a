package blackbox

import (
	"context"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"google.golang.org/grpc"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Names for the answers that lies get.
const (
	lost      = stintv1.ReportOutcome_REPORT_OUTCOME_LEASE_LOST
	recorded  = stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED
	duplicate = stintv1.ReportOutcome_REPORT_OUTCOME_DUPLICATE

	whyExpired    = stintv1.LeaseEndReason_LEASE_END_REASON_EXPIRED
	whyUnknown    = stintv1.LeaseEndReason_LEASE_END_REASON_UNKNOWN
	whyReported   = stintv1.LeaseEndReason_LEASE_END_REASON_REPORTED
	whyReleased   = stintv1.LeaseEndReason_LEASE_END_REASON_RELEASED
	whySuperseded = stintv1.LeaseEndReason_LEASE_END_REASON_SUPERSEDED
)

// liar is an agent that lost its leases by silence, and says things about them and about others'.
type liar struct {
	t      *testing.T
	l      *link
	ctx    context.Context
	stream grpc.BidiStreamingClient[stintv1.SessionRequest, stintv1.SessionResponse]
	beats  int64
	chance *rand.Rand
}

func (x *liar) send(m *stintv1.SessionRequest) {
	x.t.Helper()
	if err := x.stream.Send(m); err != nil {
		x.t.Fatal(err)
	}
}

// read takes messages until enough.
func (x *liar) read(what string, enough func(*stintv1.SessionResponse) bool) {
	x.t.Helper()
	for {
		m, err := x.stream.Recv()
		if err != nil {
			x.t.Fatalf("%s: %v", what, err)
		}
		if enough(m) {
			return
		}
	}
}

// report says how an attempt ended, on the stream, and expects an ack.
func (x *liar) report(lease string, result *stintv1.Result, want stintv1.ReportOutcome, why stintv1.LeaseEndReason) {
	x.t.Helper()
	report := reportOf(lease, result)
	x.send(&stintv1.SessionRequest{Reports: []*stintv1.Report{report}})
	x.read("an ack", func(m *stintv1.SessionResponse) bool {
		for _, ack := range m.GetReportAcks() {
			if ack.GetLeaseId() == lease {
				if ack.GetOutcome() != want || ack.GetReason() != why {
					x.t.Errorf("L3, L4: report %v: %v, want %v %v", report, ack, want, why)
				}
				return true
			}
		}
		return false
	})
}

// reportOf is a success, or a failure after which the task is tried again if there is no result.
func reportOf(lease string, result *stintv1.Result) *stintv1.Report {
	report := &stintv1.Report{LeaseId: lease, Result: result}
	if result == nil {
		report.Failure = &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_SERVER_ERROR}
	}
	return report
}

// beat names a lease as held, and expects a cancel.
func (x *liar) beat(lease string, why stintv1.LeaseEndReason) {
	x.t.Helper()
	x.beats++
	x.send(&stintv1.SessionRequest{Heartbeat: &stintv1.Heartbeat{Number: x.beats, Leases: []*stintv1.LeaseProgress{{LeaseId: lease}}}})
	x.read("a cancel", func(m *stintv1.SessionResponse) bool {
		for _, c := range m.GetCancels() {
			if c.GetLeaseId() == lease {
				if c.GetReason() != why {
					x.t.Errorf("L9: heartbeat with %s: %v, want %v", lease, c, why)
				}
				return true
			}
		}
		return false
	})
}

// unary says the same by the calls without a stream; none of it may act.
func (x *liar) unary(lease string) {
	x.t.Helper()
	extended, err := x.l.agents.ExtendLeases(x.ctx, &stintv1.ExtendLeasesRequest{Extensions: []*stintv1.LeaseProgress{{LeaseId: lease}}})
	if err != nil || extended.GetOutcomes()[0].GetExtended() {
		x.t.Errorf("L3: extend of a lease of a session: %v %v", extended, err)
	}
	released, err := x.l.agents.ReleaseLeases(x.ctx, &stintv1.ReleaseLeasesRequest{Releases: []*stintv1.Release{{LeaseId: lease}}})
	if err != nil || released.GetOutcomes()[0].GetReleased() {
		x.t.Errorf("L3: release of a lease of a session: %v %v", released, err)
	}
	acks, err := x.l.agents.ReportLeases(x.ctx, &stintv1.ReportLeasesRequest{Reports: []*stintv1.Report{reportOf(lease, nil)}})
	if err != nil || acks.GetAcks()[0].GetOutcome() != lost {
		x.t.Errorf("L3: failure of a lease of a session: %v %v", acks, err)
	}
}

// forged changes one bit of a lease id: of the task, the attempt or the seal.
func (x *liar) forged(lease string) string {
	b, err := base64.RawURLEncoding.DecodeString(lease)
	if err != nil {
		x.t.Fatalf("lease id %q: %v", lease, err)
	}
	b[x.chance.IntN(len(b))] ^= 1 << x.chance.IntN(8)
	return base64.RawURLEncoding.EncodeToString(b)
}

const (
	lies    = 1000
	liarTTL = 2 * time.Second
)

// TestLies: an agent falls silent, another gets all its tasks, and the first then repeats heartbeats, failures, releases and
// results, its own and the other's, with right and forged lease ids, over the stream and by the unary calls (L1–L4, L9, C3,
// C4). Only its first success of a task that is not done counts.
func TestLies(t *testing.T) {
	t.Parallel()
	r := seeded(t)
	c := startCoordinator(t, "--lease-ttl", liarTTL.String())
	ctx, cancel := context.WithTimeout(t.Context(), 2*liveness)
	defer cancel()
	x := &liar{t: t, l: c.dial(t), ctx: ctx, chance: apart(r)}
	mine := x.lose(c)

	k := newCrew(ctx, t, c, 1, lies, newBook())
	defer k.end()
	x.l.follow(t, countTo(lies*2, grantedEvent))
	confirmed(ctx, t, x.l, "liar")
	won := injected(t, "a success of a lost attempt that wins")
	did := make([]*fault, 7)
	for n := range did {
		did[n] = injected(t, fmt.Sprintf("lie %d", n))
	}
	for id, own := range mine {
		theirs, late := <-k.lease(id), whySuperseded
		n := r.IntN(len(did))
		switch own.end {
		case whyReported:
			late = whyReported
			x.report(own.lease, nil, duplicate, 0)
			x.report(own.lease, &stintv1.Result{Text: id}, lost, whyReported)
		case whyReleased:
			x.report(own.lease, &stintv1.Result{Text: id}, lost, whyReleased)
		default:
			did[n].fired()
			if x.tell(n, id, own.lease, theirs) {
				won.fired()
				continue
			}
		}
		k.let(id)
		x.l.completed(t, id)
		x.report(own.lease, &stintv1.Result{Text: "late"}, lost, late)
	}
	tales, err := fold(x.l.history(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for id, f := range tales {
		if f.state == 0 || len(f.grants) != 2 {
			t.Errorf("L3: %s: %+v, want two attempts and an end", id, *f)
		}
	}
}

// own is a lease that the liar had, and how it ended.
type own struct {
	lease string
	end   stintv1.LeaseEndReason
}

// lose gets leases for all tasks, gives some up by a failure and some by a release, and falls silent until the others have
// ended too. It gives them by task.
func (x *liar) lose(c *coordinator) map[string]own {
	x.t.Helper()
	stream, err := c.dial(x.t).agents.Session(x.ctx)
	if err != nil {
		x.t.Fatal(err)
	}
	x.stream = stream
	x.send(&stintv1.SessionRequest{Hello: &stintv1.Hello{AgentId: "liar", InstanceId: "l1", Slots: lies}, CreditTotal: lies})
	var tasks []*stintv1.Task
	for i := range lies {
		tasks = append(tasks, task(fmt.Sprintf("l%04d", i)))
	}
	x.l.submit(x.t, tasks...)
	mine := map[string]own{}
	say := &stintv1.SessionRequest{Heartbeat: &stintv1.Heartbeat{Number: 1}}
	x.beats = 1
	x.read("grants", func(m *stintv1.SessionResponse) bool {
		for _, lease := range m.GetGrants() {
			id, end := lease.GetLeaseId(), whyExpired
			switch len(mine) % 10 {
			case 0:
				end = whyReported
				say.Reports = append(say.Reports, reportOf(id, nil))
			case 1:
				end = whyReleased
				say.Releases = append(say.Releases, &stintv1.Release{LeaseId: id})
			default:
				say.Heartbeat.Leases = append(say.Heartbeat.Leases, &stintv1.LeaseProgress{LeaseId: id})
			}
			mine[lease.GetTask().GetId()] = own{id, end}
		}
		return len(mine) == lies
	})
	x.send(say)
	acks := 0 // all of them are read here, so that no later report takes one for its own
	x.read("acks", func(m *stintv1.SessionResponse) bool {
		acks += len(m.GetReportAcks())
		return acks == len(say.Reports)
	})
	left := lies
	x.l.follow(x.t, func(e *stintv1.Event) bool {
		if e.GetKind() == endedEvent || e.GetKind() == failedAttempt {
			left--
		}
		return left == 0
	})
	return mine
}

// tell tells one lie; true if it was the success that counts.
func (x *liar) tell(n int, id, mine, theirs string) (won bool) {
	switch n {
	case 0:
		x.beat(mine, whyExpired)
	case 1:
		x.report(mine, nil, lost, whyExpired)
	case 2:
		x.report(x.forged(mine), &stintv1.Result{}, lost, whyUnknown)
		x.report(x.forged(theirs), &stintv1.Result{}, lost, whyUnknown)
	case 3:
		x.report(theirs, nil, lost, whyUnknown)
		x.beat(theirs, whyUnknown)
	case 4:
		x.send(&stintv1.SessionRequest{Releases: []*stintv1.Release{{LeaseId: theirs}, {LeaseId: mine}, {LeaseId: x.forged(theirs)}}})
		x.beat(mine, whyExpired)
	case 5:
		x.unary(mine)
		x.unary(theirs)
		x.unary(x.forged(theirs))
	default:
		x.report(mine, &stintv1.Result{Text: id}, recorded, 0)
		x.report(mine, &stintv1.Result{Text: id}, duplicate, 0)
		x.report(mine, &stintv1.Result{Text: "other"}, lost, whyReported)
		x.report(mine, nil, lost, whyReported)
		if got := x.l.get(x.t, id).GetStatus().GetResult().GetText(); got != id {
			x.t.Errorf("C3: %s: the result became %q", id, got)
		}
		return true
	}
	return false
}

// countTo is enough at so many events of a kind.
func countTo(n int, kind stintv1.EventKind) func(*stintv1.Event) bool {
	return func(e *stintv1.Event) bool {
		if e.GetKind() == kind {
			n--
		}
		return n <= 0
	}
}
