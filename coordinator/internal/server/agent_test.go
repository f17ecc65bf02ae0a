package server

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func TestAcquire(t *testing.T) {
	f := newFake()
	var got engine.Acquire
	payload := specOf(t, &stintv1.Task{Id: "a", Instruction: "x"}).Payload
	f.acquire = func(_ context.Context, a engine.Acquire) ([]engine.Lease, error) {
		got = a
		return []engine.Lease{{ID: "L", Attempt: 2, Run: 1, Left: time.Minute, Payload: payload}}, nil
	}
	conn, _ := served(t, f, time.Minute)
	c := stintv1.NewAgentServiceClient(conn)
	for _, x := range []struct {
		request *stintv1.AcquireLeasesRequest
		want    engine.Acquire
	}{
		{&stintv1.AcquireLeasesRequest{AgentId: "me"}, engine.Acquire{Agent: "me", Max: 1, Length: 5 * time.Minute}},
		{
			&stintv1.AcquireLeasesRequest{
				AgentId: "me", RequestId: "r", MaxLeases: 7, LeaseLength: durationpb.New(time.Minute),
				Wait: durationpb.New(time.Second), Queues: []string{"q"}, Labels: map[string]string{"b": "2", "a": "1"},
			},
			engine.Acquire{
				Agent: "me", Request: "r", Max: 7, Length: time.Minute, Wait: time.Second, Queues: []string{"q"},
				Labels: []queue.Label{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}},
			},
		},
	} {
		reply := must(c.AcquireLeases(t.Context(), x.request))(t)
		if fmt.Sprint(got) != fmt.Sprint(x.want) {
			t.Errorf("got %+v, want %+v", got, x.want)
		}
		l := reply.GetLeases()[0]
		if l.GetLeaseId() != "L" || l.GetAttempt() != 2 || l.GetExpiresIn().AsDuration() != time.Minute || l.GetTask().GetInstruction() != "x" {
			t.Errorf("lease %v", l)
		}
	}
}

// Leases that do not fit into the reply go back: their caller would never know of them.
func TestAcquireGivesBackWhatDoesNotFit(t *testing.T) {
	f := newFake()
	payload := specOf(t, &stintv1.Task{Id: "a", Instruction: strings.Repeat("x", maxTaskInput)}).Payload
	f.acquire = func(context.Context, engine.Acquire) ([]engine.Lease, error) {
		var out []engine.Lease
		for i := range 5 {
			out = append(out, engine.Lease{ID: fmt.Sprint("L", i), Run: 1, Payload: payload})
		}
		return out, nil
	}
	var back []engine.Release
	f.release = func(r []engine.Release) ([]engine.ReleaseOutcome, error) { back = r; return nil, nil }
	conn, _ := served(t, f, time.Minute)
	reply := must(stintv1.NewAgentServiceClient(conn).AcquireLeases(t.Context(), &stintv1.AcquireLeasesRequest{AgentId: "me", MaxLeases: 5}))(t)
	if len(reply.GetLeases()) != 3 || proto.Size(reply) > maxReply || !slices.Equal(back, []engine.Release{{LeaseID: "L3"}, {LeaseID: "L4"}}) {
		t.Errorf("%d leases, given back %v", len(reply.GetLeases()), back)
	}
}

// A repeat gives nothing back, however large it is: the caller may be running what it names (C4, L5). What
// fitted into the first answer fits into this one, which has more to say of the time left.
func TestAcquireRepeatedGivesNothingBack(t *testing.T) {
	f := newFake()
	lease := engine.Lease{ID: "L", Run: 1, Left: time.Minute}
	filled := func(n int) int {
		lease.Payload = specOf(t, &stintv1.Task{Id: "a", Instruction: strings.Repeat("x", n)}).Payload
		return proto.Size(must(grantedLease(&lease))(t))
	}
	if n := filled(maxTaskInput - 100 - filled(maxTaskInput-100) + maxReply/4); 4*n != maxReply {
		t.Fatalf("four leases have %d bytes", 4*n)
	}
	most := 5
	f.acquire = func(context.Context, engine.Acquire) ([]engine.Lease, error) {
		return slices.Repeat([]engine.Lease{lease}, most), nil
	}
	f.release = func(r []engine.Release) ([]engine.ReleaseOutcome, error) {
		most -= len(r)
		return nil, nil
	}
	conn, _ := served(t, f, time.Minute)
	acquire := func() int {
		reply := must(stintv1.NewAgentServiceClient(conn).AcquireLeases(t.Context(), &stintv1.AcquireLeasesRequest{AgentId: "me", RequestId: "r", MaxLeases: 5}))(t)
		return len(reply.GetLeases())
	}
	if n := acquire(); n != 4 || most != 4 {
		t.Fatalf("%d leases, %d left", n, most)
	}
	lease.Repeated, lease.Left = true, 59*time.Second+999_999_999
	if n := acquire(); n != 4 || most != 4 {
		t.Errorf("repeated, %d leases, %d left", n, most)
	}
}

// Outcomes stand in the order of the request, each with the lease as it was named.
func TestLeaseOutcomes(t *testing.T) {
	f := newFake()
	f.extend = func(x []engine.Extension) ([]engine.ExtendOutcome, error) {
		return []engine.ExtendOutcome{{LeaseID: x[0].LeaseID, Extended: true, Left: time.Minute}, {LeaseID: x[1].LeaseID, End: queue.EndUnknown}}, nil
	}
	f.release = func(r []engine.Release) ([]engine.ReleaseOutcome, error) {
		return []engine.ReleaseOutcome{{LeaseID: r[0].LeaseID, Released: r[0].Started}, {LeaseID: r[1].LeaseID, End: queue.EndExpired}}, nil
	}
	f.report = func(r []engine.Report) ([]engine.ReportAck, error) {
		return []engine.ReportAck{{LeaseID: r[0].LeaseID, Ack: queue.AckLeaseLost, End: queue.EndReported}, {LeaseID: r[1].LeaseID, Ack: queue.AckInvalid, Message: r[1].Invalid}}, nil
	}
	conn, _ := served(t, f, time.Minute)
	c, ctx := stintv1.NewAgentServiceClient(conn), t.Context()
	extended := must(c.ExtendLeases(ctx, &stintv1.ExtendLeasesRequest{Extensions: []*stintv1.LeaseProgress{{LeaseId: "A"}, {LeaseId: "B"}}}))(t)
	if want := (&stintv1.ExtendLeasesResponse{Outcomes: []*stintv1.ExtendLeaseOutcome{
		{LeaseId: "A", Extended: true, ExpiresIn: durationpb.New(time.Minute)},
		{LeaseId: "B", Reason: stintv1.LeaseEndReason_LEASE_END_REASON_UNKNOWN},
	}}); !proto.Equal(extended, want) {
		t.Errorf("extended %v", extended)
	}
	released := must(c.ReleaseLeases(ctx, &stintv1.ReleaseLeasesRequest{Releases: []*stintv1.Release{{LeaseId: "A", Started: true}, {LeaseId: "B"}}}))(t)
	if want := (&stintv1.ReleaseLeasesResponse{Outcomes: []*stintv1.ReleaseLeaseOutcome{
		{LeaseId: "A", Released: true}, {LeaseId: "B", Reason: stintv1.LeaseEndReason_LEASE_END_REASON_EXPIRED},
	}}); !proto.Equal(released, want) {
		t.Errorf("released %v", released)
	}
	acks := must(c.ReportLeases(ctx, &stintv1.ReportLeasesRequest{Reports: []*stintv1.Report{
		{LeaseId: "A", Result: &stintv1.Result{}}, {LeaseId: "B", Result: &stintv1.Result{Output: nested(31)}},
	}}))(t).GetAcks()
	if acks[0].GetReason() != stintv1.LeaseEndReason_LEASE_END_REASON_REPORTED ||
		acks[1].GetOutcome() != stintv1.ReportOutcome_REPORT_OUTCOME_INVALID || acks[1].GetMessage() == "" {
		t.Errorf("acks %v", acks)
	}
}

func TestAgents(t *testing.T) {
	f := newFake()
	view := func(id string) queue.AgentView {
		return queue.AgentView{
			ID: id, Instance: "i", Version: "v", State: queue.AgentOnline, Labels: []queue.Label{{Key: "gpu", Value: "true"}},
			Queues: []string{"q"}, Slots: 4, Held: 2, Connected: after(0), Heard: after(1), RoundTrip: time.Millisecond,
		}
	}
	f.agents = func(after string, limit int) (out []queue.AgentView, _ error) {
		for _, id := range []string{"a", "b", "c"} {
			if id > after && len(out) < limit {
				out = append(out, view(id))
			}
		}
		return out, nil
	}
	var timeouts []time.Duration
	f.drain = func(id string, d time.Duration) (queue.AgentView, error) {
		timeouts = append(timeouts, d)
		return view(id), nil
	}
	conn, _ := served(t, f, time.Minute)
	c, ctx := stintv1.NewAgentServiceClient(conn), t.Context()
	first := must(c.ListAgents(ctx, &stintv1.ListAgentsRequest{PageSize: 2}))(t)
	second := must(c.ListAgents(ctx, &stintv1.ListAgentsRequest{PageSize: 2, PageToken: first.GetNextPageToken()}))(t)
	if len(first.GetAgents()) != 2 || len(second.GetAgents()) != 1 || second.GetNextPageToken() != "" {
		t.Errorf("pages %v, %v", first, second)
	}
	a := first.GetAgents()[0]
	if a.GetLabels()["gpu"] != "true" || a.GetSlots() != 4 || a.GetHeld() != 2 || !a.GetConnectTime().AsTime().Equal(noon) ||
		a.GetState() != stintv1.AgentState_AGENT_STATE_ONLINE || a.GetRoundTrip().AsDuration() != time.Millisecond {
		t.Errorf("agent %v", a)
	}
	for _, timeout := range []*durationpb.Duration{nil, durationpb.New(0), durationpb.New(time.Minute)} {
		must(c.DrainAgent(ctx, &stintv1.DrainAgentRequest{AgentId: "a", Timeout: timeout}))(t)
	}
	if timeouts[0] != 0 || timeouts[1] <= 0 || timeouts[2] != time.Minute {
		t.Errorf("timeouts %v: unset is no limit, 0 is at once", timeouts)
	}
}

func TestQueues(t *testing.T) {
	f := newFake()
	v := queue.QueueView{Name: "q", Paused: true, OldestReady: time.Minute}
	v.Counts = queue.Counts{Submitted: 45, Pruned: 0}
	for s := queue.Blocked; s <= queue.Quarantined; s++ {
		v.Counts.States[s] = int64(s)
	}
	f.paused = func(name string, p bool) (queue.QueueView, error) { v.Paused = p; return v, nil }
	f.queues = func(after string, limit int) ([]queue.QueueView, error) {
		if after == "q" {
			return nil, nil
		}
		return []queue.QueueView{v}, nil
	}
	f.status = func() (engine.Status, error) {
		return engine.Status{LedgerID: "l", Oldest: 1, Newest: 0, Counts: v.Counts, Uptime: time.Hour}, nil
	}
	conn, _ := served(t, f, time.Minute)
	c, ctx := stintv1.NewQueueServiceClient(conn), t.Context()
	paused := must(c.PauseQueue(ctx, &stintv1.PauseQueueRequest{Queue: "q"}))(t).GetQueue()
	resumed := must(c.ResumeQueue(ctx, &stintv1.ResumeQueueRequest{Queue: "q"}))(t).GetQueue()
	if !paused.GetPaused() || resumed.GetPaused() || paused.GetStatus().GetOldestReadyAge().AsDuration() != time.Minute {
		t.Errorf("paused %v, resumed %v", paused, resumed)
	}
	want := &stintv1.TaskCounts{
		Submitted: 45, Blocked: 1, Scheduled: 2, Ready: 3, Running: 4, Completed: 5, Failed: 6, Cancelled: 7, Expired: 8, Quarantined: 9,
	}
	if got := paused.GetStatus().GetCounts(); !proto.Equal(got, want) {
		t.Errorf("counts %v", got)
	}
	page := must(c.ListQueues(ctx, &stintv1.ListQueuesRequest{PageSize: 1}))(t)
	rest := must(c.ListQueues(ctx, &stintv1.ListQueuesRequest{PageSize: 1, PageToken: page.GetNextPageToken()}))(t)
	if len(page.GetQueues()) != 1 || len(rest.GetQueues()) != 0 || rest.GetNextPageToken() != "" {
		t.Errorf("pages %v, %v", page, rest)
	}
	s := must(c.GetStatus(ctx, &stintv1.GetStatusRequest{}))(t)
	if s.GetOldestSequence() != 0 || s.GetRole() != stintv1.CoordinatorRole_COORDINATOR_ROLE_ACTIVE || s.GetVersion() != "test" || s.GetUptime().AsDuration() != time.Hour {
		t.Errorf("status %v", s)
	}
}

// A stream begins with a good hello, or ends with a reason that tells an agent what to do.
func TestHello(t *testing.T) {
	f := newFake()
	f.connect = func(engine.Hello) error {
		return &queue.Error{Reason: queue.AgentIDInUse, Names: []string{"me"}, RetryAfter: 3 * time.Second}
	}
	conn, _ := served(t, f, time.Minute)
	good := func() *stintv1.Hello { return &stintv1.Hello{AgentId: "me", InstanceId: "i"} }
	with := func(change func(*stintv1.Hello)) *stintv1.SessionRequest {
		h := good()
		change(h)
		return &stintv1.SessionRequest{Hello: h}
	}
	tooMany := map[string]string{}
	for i := range maxLabels + 1 {
		tooMany[fmt.Sprint("k", i)] = ""
	}
	for _, c := range []struct {
		name   string
		first  *stintv1.SessionRequest
		code   codes.Code
		reason string
		fields []string
	}{
		{"nothing", nil, codes.InvalidArgument, "SESSION_PROTOCOL", []string{"hello"}},
		{"no hello", &stintv1.SessionRequest{CreditTotal: 1}, codes.InvalidArgument, "SESSION_PROTOCOL", []string{"hello"}},
		{"version", with(func(h *stintv1.Hello) { h.ProtocolVersion = 2 }), codes.FailedPrecondition, "VERSION_UNSUPPORTED", nil},
		{"empty", with(func(h *stintv1.Hello) { h.AgentId, h.InstanceId = "", "" }), codes.InvalidArgument, "FIELD_INVALID", []string{"hello.agent_id", "hello.instance_id"}},
		{"shape", with(func(h *stintv1.Hello) { h.AgentId = "ä" }), codes.InvalidArgument, "FIELD_INVALID", []string{"hello.agent_id"}},
		{"slots", with(func(h *stintv1.Hello) { h.Slots = -1 }), codes.InvalidArgument, "FIELD_INVALID", []string{"hello.slots"}},
		{"key", with(func(h *stintv1.Hello) { h.Labels = map[string]string{"=": ""} }), codes.InvalidArgument, "FIELD_INVALID", []string{`hello.labels["="]`}},
		{"value", with(func(h *stintv1.Hello) { h.Labels = map[string]string{"k": " "} }), codes.InvalidArgument, "FIELD_INVALID", []string{`hello.labels["k"]`}},
		{"labels", with(func(h *stintv1.Hello) { h.Labels = tooMany }), codes.InvalidArgument, "FIELD_INVALID", []string{"hello.labels"}},
		{"queue", with(func(h *stintv1.Hello) { h.Queues = []string{"q", "-"} }), codes.InvalidArgument, "FIELD_INVALID", []string{"hello.queues[1]"}},
		{"good", with(func(h *stintv1.Hello) { h.ProtocolVersion = 1 }), codes.AlreadyExists, "AGENT_ID_IN_USE", nil},
	} {
		stream := must(stintv1.NewAgentServiceClient(conn).Session(t.Context()))(t)
		if c.first != nil {
			if err := stream.Send(c.first); err != nil {
				t.Fatal(err)
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Fatal(err)
		}
		_, err := stream.Recv()
		got := read(t, err)
		if got.code != c.code || got.reason != c.reason || !slices.Equal(got.fields, c.fields) {
			t.Errorf("%s: %s %s %q (%v)", c.name, got.code, got.reason, got.fields, err)
		}
		if got.retry != (c.reason == "AGENT_ID_IN_USE") {
			t.Errorf("%s: RetryInfo %v", c.name, got.retry)
		}
	}
}
