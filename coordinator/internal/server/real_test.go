package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
)

// coordinator is a server over a real engine and a ledger in memory.
type coordinator struct {
	tasks  stintv1.TaskServiceClient
	agents stintv1.AgentServiceClient
	queues stintv1.QueueServiceClient
	conn   *grpc.ClientConn
	leave  func() error // ends the server; the engine goes on
}

func overEngine(t *testing.T) *coordinator {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	e, err := engine.New(engine.Config{
		LeaseTTL: time.Minute, GrantTimeout: time.Minute, MaxLive: 1000, Logger: quiet,
	}, memledger.New())
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Engine: e, Version: "v1", Drain: time.Minute, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	engineCtx, endEngine := context.WithCancel(context.Background())
	serverCtx, endServer := context.WithCancel(context.Background())
	engineDone, serverDone := make(chan error, 1), make(chan error, 1)
	l := bufconn.Listen(1 << 20)
	go func() { engineDone <- e.Run(engineCtx) }()
	go func() { serverDone <- s.Run(serverCtx, nil, l) }()
	<-e.Active()
	conn, err := grpc.NewClient("passthrough:///real",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	left := false
	leave := func() error {
		left = true
		endServer()
		return <-serverDone
	}
	t.Cleanup(func() {
		_ = conn.Close()
		if !left {
			if err := leave(); err != nil {
				t.Error(err)
			}
		}
		endEngine()
		if err := <-engineDone; err != nil {
			t.Error(err)
		}
	})
	return &coordinator{
		stintv1.NewTaskServiceClient(conn), stintv1.NewAgentServiceClient(conn), stintv1.NewQueueServiceClient(conn), conn, leave,
	}
}

// must gives the reply, or ends the test.
func must[T any](reply T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
}

// The road of a chain of two tasks with the unary calls, and the history of it.
func TestAChainByUnaryCalls(t *testing.T) {
	c, ctx := overEngine(t), t.Context()
	submitted := must(c.tasks.SubmitTasks(ctx, &stintv1.SubmitTasksRequest{Tasks: []*stintv1.Task{
		{Id: "b", Instruction: "Sum up", DependsOn: []string{"a"}}, {Id: "a", Instruction: "List three rivers"},
	}}))(t)
	if r := submitted.GetResults(); len(r) != 2 || r[0].GetTaskId() != "b" || r[1].GetAlreadyExisted() {
		t.Fatalf("submitted %v", r)
	}
	for _, want := range []string{"a", "b"} {
		leases := must(c.agents.AcquireLeases(ctx, &stintv1.AcquireLeasesRequest{
			AgentId: "me", RequestId: "r-" + want, LeaseLength: durationpb.New(time.Minute), Wait: durationpb.New(10 * time.Second),
		}))(t).GetLeases()
		if len(leases) != 1 || leases[0].GetTask().GetId() != want || leases[0].GetTask().GetQueue() != "default" ||
			leases[0].GetAttempt() != 1 || leases[0].GetExpiresIn().AsDuration() > time.Minute {
			t.Fatalf("leases %v, want one of %s", leases, want)
		}
		id := leases[0].GetLeaseId()
		extended := must(c.agents.ExtendLeases(ctx, &stintv1.ExtendLeasesRequest{
			Extensions: []*stintv1.LeaseProgress{{LeaseId: id, Progress: new(0.5), Message: "half"}},
		}))(t).GetOutcomes()[0]
		if !extended.GetExtended() || extended.GetReason() != 0 {
			t.Errorf("extended %v", extended)
		}
		running := must(c.tasks.GetTask(ctx, &stintv1.GetTaskRequest{TaskId: want}))(t).GetTask().GetStatus()
		if running.GetState() != stintv1.TaskState_TASK_STATE_RUNNING || running.GetLease().GetProgress() != 0.5 {
			t.Errorf("running %v", running)
		}
		report := &stintv1.ReportLeasesRequest{Reports: []*stintv1.Report{
			{LeaseId: id, Result: &stintv1.Result{Text: "done " + want, BudgetUsedUsd: new(0.01)}},
		}}
		for _, outcome := range []stintv1.ReportOutcome{
			stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED, stintv1.ReportOutcome_REPORT_OUTCOME_DUPLICATE,
		} {
			ack := must(c.agents.ReportLeases(ctx, report))(t).GetAcks()[0]
			if ack.GetOutcome() != outcome || ack.GetLeaseId() != id {
				t.Errorf("ack %v, want %v", ack, outcome)
			}
		}
		late := &stintv1.ReportLeasesRequest{Reports: []*stintv1.Report{
			{LeaseId: id, Failure: &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_TIMEOUT}},
		}}
		ack := must(c.agents.ReportLeases(ctx, late))(t).GetAcks()[0]
		if ack.GetOutcome() != stintv1.ReportOutcome_REPORT_OUTCOME_LEASE_LOST || ack.GetReason() != stintv1.LeaseEndReason_LEASE_END_REASON_REPORTED {
			t.Errorf("late failure: %v", ack)
		}
	}
	done := must(c.tasks.WaitTask(ctx, &stintv1.WaitTaskRequest{TaskId: "b"}))(t).GetTask().GetStatus()
	if done.GetResult().GetText() != "done b" || len(done.GetAttempts()) != 1 ||
		done.GetAttempts()[0].GetBudgetUsedUsd() != 0.01 {
		t.Errorf("done %v", done)
	}
	list := must(c.tasks.ListTasks(ctx, &stintv1.ListTasksRequest{}))(t).GetTasks()
	if len(list) != 2 || list[0].GetInstruction() != "" || list[0].GetStatus().GetResult() != nil {
		t.Errorf("list %v", list)
	}
	counts := must(c.queues.GetStatus(ctx, &stintv1.GetStatusRequest{}))(t)
	if counts.GetCounts().GetCompleted() != 2 || counts.GetOldestSequence() != 1 || counts.GetVersion() != "v1" {
		t.Errorf("status %v", counts)
	}
	wantHistory(t, c, counts.GetNewestSequence())
}

// W1: a watch from 0 begins with a bookmark, and its events rise by one.
func wantHistory(t *testing.T, c *coordinator, newest int64) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	watch := must(c.tasks.WatchEvents(ctx, &stintv1.WatchEventsRequest{AfterSequence: new(int64(0))}))(t)
	first := must(watch.Recv())(t)
	if len(first.GetEvents()) != 0 || first.GetBookmarkSequence() != 0 {
		t.Errorf("first message %v", first)
	}
	var at int64
	for at < newest {
		m := must(watch.Recv())(t)
		for _, e := range m.GetEvents() {
			if e.GetSequence() != at+1 {
				t.Errorf("after %d comes %d", at, e.GetSequence())
			}
			at = e.GetSequence()
		}
		if m.GetBookmarkSequence() != at {
			t.Errorf("bookmark %d after %d", m.GetBookmarkSequence(), at)
		}
	}
	ahead := must(c.tasks.WatchEvents(ctx, &stintv1.WatchEventsRequest{AfterSequence: new(newest + 1)}))(t)
	_, err := ahead.Recv()
	if got := read(t, err); got.reason != "SEQUENCE_AHEAD" || got.info.GetMetadata()["oldest_sequence"] != "1" ||
		ahead.Trailer().Get("newest_sequence")[0] != got.info.GetMetadata()["newest_sequence"] {
		t.Errorf("ahead: %v, trailer %v", err, ahead.Trailer())
	}
}

// A session is welcomed, granted what it has credit for, acknowledged, and ends OK when the
// agent half-closes.
func TestASession(t *testing.T) {
	c, ctx := overEngine(t), t.Context()
	must(c.tasks.SubmitTask(ctx, &stintv1.SubmitTaskRequest{Task: &stintv1.Task{Id: "one", Instruction: "x"}}))(t)
	stream := must(c.agents.Session(ctx))(t)
	say := func(m *stintv1.SessionRequest) {
		t.Helper()
		if err := stream.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	say(&stintv1.SessionRequest{
		Hello:     &stintv1.Hello{AgentId: "me", InstanceId: "i1", Slots: 1},
		Heartbeat: &stintv1.Heartbeat{}, CreditTotal: 1,
	})
	if m := must(stream.Recv())(t); m.GetWelcome().GetLeaseTtl().AsDuration() != time.Minute || m.GetWelcome().GetLedgerId() == "" {
		t.Fatalf("first message %v", m)
	}
	var grant *stintv1.Lease
	acked := false
	for grant == nil || !acked {
		m := must(stream.Recv())(t)
		for _, g := range m.GetGrants() {
			grant = g
		}
		acked = acked || m.GetHeartbeatAck() != nil
	}
	if grant.GetTask().GetInstruction() != "x" {
		t.Errorf("grant %v", grant)
	}
	say(&stintv1.SessionRequest{
		Heartbeat: &stintv1.Heartbeat{Number: 7, Leases: []*stintv1.LeaseProgress{{LeaseId: grant.GetLeaseId()}, {LeaseId: "nonsense"}}},
		Reports: []*stintv1.Report{
			{LeaseId: "bad"}, {LeaseId: grant.GetLeaseId(), Result: &stintv1.Result{Text: "y"}},
		},
	})
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	outcomes := map[string]stintv1.ReportOutcome{}
	cancels := map[string]stintv1.LeaseEndReason{}
	var number int64
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range m.GetReportAcks() {
			outcomes[a.GetLeaseId()] = a.GetOutcome()
		}
		for _, x := range m.GetCancels() {
			cancels[x.GetLeaseId()] = x.GetReason()
		}
		number = max(number, m.GetHeartbeatAck().GetNumber())
	}
	if outcomes["bad"] != stintv1.ReportOutcome_REPORT_OUTCOME_INVALID ||
		outcomes[grant.GetLeaseId()] != stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED || number != 7 ||
		cancels["nonsense"] != stintv1.LeaseEndReason_LEASE_END_REASON_UNKNOWN {
		t.Errorf("outcomes %v, cancels %v, heartbeat %d", outcomes, cancels, number)
	}
}

// Health follows the server, and reflection of both ages lists the services.
func TestHealthAndReflection(t *testing.T) {
	c, ctx := overEngine(t), t.Context()
	for _, service := range []string{"", "stint.v1.TaskService", "stint.v1.AgentService", "stint.v1.QueueService"} {
		got := must(healthpb.NewHealthClient(c.conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service}))(t)
		if got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("%q is %v", service, got)
		}
	}
	v1 := must(reflectionpb.NewServerReflectionClient(c.conn).ServerReflectionInfo(ctx))(t)
	if err := v1.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	if n := len(must(v1.Recv())(t).GetListServicesResponse().GetService()); n != 6 {
		t.Errorf("v1 lists %d services", n)
	}
	alpha := must(reflectionalpha.NewServerReflectionClient(c.conn).ServerReflectionInfo(ctx))(t)
	//nolint:staticcheck // deprecated, and still what many clients speak
	if err := alpha.Send(&reflectionalpha.ServerReflectionRequest{MessageRequest: &reflectionalpha.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	//nolint:staticcheck // as above
	if n := len(must(alpha.Recv())(t).GetListServicesResponse().GetService()); n != 6 {
		t.Errorf("v1alpha lists %d services", n)
	}
}

// On leaving, everyone who is connected hears of it and nobody holds the server up.
func TestLeaving(t *testing.T) {
	c, ctx := overEngine(t), t.Context()
	must(c.tasks.SubmitTask(ctx, &stintv1.SubmitTaskRequest{Task: &stintv1.Task{Id: "one", Requires: []string{"gpu=true"}}}))(t)
	session := must(c.agents.Session(ctx))(t)
	if err := session.Send(&stintv1.SessionRequest{Hello: &stintv1.Hello{AgentId: "me", InstanceId: "i1"}}); err != nil {
		t.Fatal(err)
	}
	must(session.Recv())(t) // welcome
	watch := must(c.tasks.WatchEvents(ctx, &stintv1.WatchEventsRequest{}))(t)
	must(watch.Recv())(t) // bookmark
	health := must(healthpb.NewHealthClient(c.conn).Watch(ctx, &healthpb.HealthCheckRequest{}))(t)
	must(health.Recv())(t)
	reflection := must(reflectionpb.NewServerReflectionClient(c.conn).ServerReflectionInfo(ctx))(t)
	if err := reflection.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: &reflectionpb.ServerReflectionRequest_ListServices{}}); err != nil {
		t.Fatal(err)
	}
	must(reflection.Recv())(t)

	left := make(chan error, 1)
	go func() { left <- c.leave() }()
	away := false
	var err error
	for err == nil {
		var m *stintv1.SessionResponse
		m, err = session.Recv()
		away = away || m.GetGoingAway()
	}
	if got := read(t, err); !away || got.code != codes.Unavailable || got.reason != "SHUTTING_DOWN" {
		t.Errorf("session: going_away %v, then %v", away, err)
	}
	if _, err := watch.Recv(); read(t, err).reason != "SHUTTING_DOWN" {
		t.Errorf("watch: %v", err)
	}
	if err := <-left; err != nil {
		t.Error(err)
	}
}
