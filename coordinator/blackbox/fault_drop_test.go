package blackbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	dropChance = 0.10
	dropSurely = 3 // the answer of a method that is lost if none of it was before
	// snapChance is that of a session's stream to break, at each message: on a real path a lost message takes the stream with
	// it, and credit that was used for a lost grant is free again only with the next stream.
	snapChance = 0.03
	dropTTL    = 2 * time.Second
	dropUnary  = 4 // agents of the unary calls
	dropHands  = 8
)

// dropper loses messages by chance. Any goroutine may use it.
type dropper struct {
	mu     sync.Mutex
	chance *rand.Rand
	faults map[string]*fault // by method; others lose nothing
	grants *fault
	snaps  *fault
	lost   map[string]bool // leases whose grant was lost
	asked  map[string]int
}

// dropped are the calls whose answers get lost.
var dropped = []string{
	"/stint.v1.TaskService/SubmitTask", "/stint.v1.TaskService/SubmitTasks", "/stint.v1.TaskService/CancelTask",
	"/stint.v1.TaskService/RetryTask", "/stint.v1.AgentService/AcquireLeases", "/stint.v1.AgentService/ReportLeases", sessionMethod,
}

func newDropper(t *testing.T, r *rand.Rand) *dropper {
	d := &dropper{chance: apart(r), faults: map[string]*fault{}, grants: injected(t, "lost: a session's grants"),
		snaps: injected(t, "a session's stream broken"), lost: map[string]bool{}, asked: map[string]int{}}
	for _, method := range dropped {
		d.faults[method] = injected(t, "lost: a message of "+method)
	}
	return d
}

func (d *dropper) lose(method string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.faults[method]
	if f == nil {
		return false
	}
	d.asked[method]++
	if d.asked[method] == dropSurely && f.fires.Load() == 0 { // a rare method must have its turn too
		f.fired()
		return true
	}
	return f.happens(d.chance, dropChance)
}

// down loses answers and what sessions are told.
func (d *dropper) down(method string, _ int, message []byte) bool {
	if !d.lose(method) {
		return true
	}
	if method == sessionMethod {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, lease := range sessionResponse(message).GetGrants() {
			d.grants.fired()
			d.lost[key(lease.GetTask().GetId(), lease.GetAttempt())] = true
		}
	}
	return false
}

// up loses what sessions say, but not their first message: without it there is no stream.
func (d *dropper) up(method string, number int, _ []byte) bool {
	return method != sessionMethod || number == 1 || !d.lose(method)
}

func (d *dropper) snap(method string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return method == sessionMethod && d.snaps.happens(d.chance, snapChance)
}

// TestAnswersLost drops one answer in ten of submits, cancels, acquires, reports and session messages (C3, C4, L8, D1, D2):
// repeats converge, an Acquire repeated gets the same leases, and a grant that was lost costs no retry.
func TestAnswersLost(t *testing.T) {
	r := seeded(t)
	d := newDropper(t, r)
	c := startCoordinator(t, "--lease-ttl", dropTTL.String(), "--grant-timeout", "1s")
	api := startSandbox(t, "--latency", "10ms", "--fail-rate", "0.05", "--seed", "2")
	between := startRelay(t, c, d.down, d.up)
	between.snap = d.snap
	far := between.through(c)
	b := newBook()
	direct, l := c.dial(t), far.dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), sized(3*time.Minute, 10*time.Minute))
	var agents, watching sync.WaitGroup
	defer watching.Wait()
	defer agents.Wait()
	defer cancel()
	for i := range 2 {
		startAgent(t, far, api.addr, "--agent-id", fmt.Sprintf("real-%d", i), "--log-level", "error")
	}
	for i := range dropHands {
		h := newHand(t, far, fmt.Sprintf("hand-%d", i), 2, b, r)
		h.work = caller(api.addr)
		agents.Go(func() { h.run(ctx) })
	}
	same := injected(t, "an Acquire repeated with its request_id")
	for i := range dropUnary {
		u := &unaryAgent{t: t, id: fmt.Sprintf("unary-%d", i), l: l, direct: direct, book: b, work: caller(api.addr), same: same}
		agents.Go(func() { u.run(ctx) })
	}
	w := direct.watch(ctx, t, &watching, nil)
	x := newLoad(ctx, l, b, 200*time.Millisecond)
	x.meddles = 0.7 // for answers to lose
	x.start(6, r)
	w.counts(ctx, t, "enough submits", sized(300, 3000), ofKind(submittedEvent))
	x.end()
	(&load{l: direct, book: b, ctx: ctx}).terminalAll(ctx, t)
	w.upTo(ctx, t, direct.status(t).GetNewestSequence())
	cancel()
	agents.Wait()
	watching.Wait()

	tales := judge(t, c, direct, b, api)
	allEnded(t, tales)
	w.same(t, direct.history(t))
	d.grantsCostNothing(t, direct, tales)
}

// grantsCostNothing: a grant that was lost ended unconfirmed, or was heard of after all, and counts nowhere.
func (d *dropper) grantsCostNothing(t *testing.T, l *link, tales map[string]*folded) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	free := []stintv1.LeaseEndReason{stintv1.LeaseEndReason_LEASE_END_REASON_UNCONFIRMED,
		stintv1.LeaseEndReason_LEASE_END_REASON_CANCELLED, stintv1.LeaseEndReason_LEASE_END_REASON_SUPERSEDED}
	for id, f := range tales {
		lost := int32(0)
		for i, g := range f.grants {
			switch {
			case g.reason == stintv1.LeaseEndReason_LEASE_END_REASON_EXPIRED && g.run == f.run:
				lost++
			case d.lost[key(id, int32(i+1))] && !slices.Contains(free, g.reason):
				t.Errorf("L8: %s: the grant of attempt %d was lost, and it ended %+v", id, i+1, *g)
			}
		}
		if n := l.get(t, id).GetStatus().GetLostLeases(); n > lost {
			t.Errorf("Q3: %s: %d lost leases, %d expired", id, n, lost)
		}
	}
}

// unaryAgent is an agent of the unary calls, one lease at a time; it repeats each call until it is answered.
type unaryAgent struct {
	t         *testing.T
	id        string
	l, direct *link
	book      *book
	work      func(context.Context, *stintv1.Lease) *stintv1.Report
	same      *fault
}

func (u *unaryAgent) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		req := &stintv1.AcquireLeasesRequest{AgentId: u.id, RequestId: fmt.Sprintf("r%d", n), MaxLeases: 2,
			LeaseLength: durationpb.New(time.Minute), Wait: durationpb.New(500 * time.Millisecond)}
		got := repeated(ctx, req, u.l.agents.AcquireLeases)
		if len(got.GetLeases()) > 0 {
			u.again(ctx, req, got)
		}
		for _, lease := range got.GetLeases() {
			if report := u.work(ctx, lease); report != nil {
				u.report(ctx, lease, report)
			}
		}
	}
}

// again asks the same once more past the relay: as long as a lease of the first answer lives, it gets no others (C4). After
// that, which takes a cancel, it may be granted anew, and has those to run.
func (u *unaryAgent) again(ctx context.Context, req *stintv1.AcquireLeasesRequest, first *stintv1.AcquireLeasesResponse) {
	second := repeated(ctx, req, u.direct.agents.AcquireLeases)
	u.same.fired()
	var others []*stintv1.Lease
	for _, lease := range second.GetLeases() {
		if !slices.ContainsFunc(first.GetLeases(), func(x *stintv1.Lease) bool { return x.GetLeaseId() == lease.GetLeaseId() }) {
			others = append(others, lease)
		}
	}
	if len(others) == 0 {
		return
	}
	for _, lease := range first.GetLeases() {
		if u.isLive(ctx, lease) {
			u.t.Errorf("C4: %s %s: repeated, it got %d others while %s attempt %d lives", u.id, req.GetRequestId(), len(others),
				lease.GetTask().GetId(), lease.GetAttempt())
		}
	}
	for _, lease := range others {
		if report := u.work(ctx, lease); report != nil {
			u.report(ctx, lease, report)
		}
	}
}

func (u *unaryAgent) isLive(ctx context.Context, lease *stintv1.Lease) bool {
	got := repeated(ctx, &stintv1.GetTaskRequest{TaskId: lease.GetTask().GetId()}, u.direct.tasks.GetTask)
	return got.GetTask().GetStatus().GetLease().GetAttempt() == lease.GetAttempt()
}

func (u *unaryAgent) report(ctx context.Context, lease *stintv1.Lease, report *stintv1.Report) {
	req := &stintv1.ReportLeasesRequest{Reports: []*stintv1.Report{report}}
	for _, ack := range repeated(ctx, req, u.l.agents.ReportLeases).GetAcks() {
		u.book.ack(u.t, lease, report, ack)
	}
}

// repeated repeats a call until it is answered, or ctx ends; nil then.
func repeated[Q, A any](ctx context.Context, req Q, call func(context.Context, Q, ...grpc.CallOption) (A, error)) (answer A) {
	for ctx.Err() == nil {
		a, err := call(ctx, req, patient)
		if err == nil {
			return a
		}
	}
	return answer
}
