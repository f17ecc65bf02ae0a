package session

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/agent/internal/outbox"
)

// server answers over real gRPC: it welcomes, grants one lease, and acknowledges its report if it is told to.
type server struct {
	stintv1.UnimplementedAgentServiceServer
	grant    bool
	ack      bool
	reported chan *stintv1.Report
}

func (s *server) Session(stream grpc.BidiStreamingServer[stintv1.SessionRequest, stintv1.SessionResponse]) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	first := welcome("l")
	if s.grant {
		first.Grants = []*stintv1.Lease{{LeaseId: "x", Attempt: 1, Task: &stintv1.Task{Id: "a"}}}
	}
	if err := stream.Send(first); err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil
		}
		for _, r := range m.GetReports() {
			if s.ack {
				if err := stream.Send(ack(stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED, r.GetLeaseId())); err != nil {
					return err
				}
			}
			s.reported <- r
		}
	}
}

func (s *server) serve(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	stintv1.RegisterAgentServiceServer(g, s)
	ended := make(chan error)
	go func() { ended <- g.Serve(ln) }()
	t.Cleanup(func() { g.Stop(); <-ended }) //nolint:errcheck // Stop ends it with an error
	return ln.Addr().String()
}

type instantRunner struct{}

func (instantRunner) Run(_ context.Context, lease *stintv1.Lease) *stintv1.Report {
	return success(lease.GetLeaseId())
}

// live runs a session with a real outbox until the server has seen a report, or until it ends by itself.
func live(t *testing.T, s *server, dir string, maxTasks int) {
	t.Helper()
	box, err := outbox.Open(outbox.Config{Dir: dir, AgentID: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	session, err := New(Config{Coordinators: []string{s.serve(t)}, AgentID: "a1", Slots: 1, MaxTasks: maxTasks, DrainTime: time.Minute,
		Runner: instantRunner{}, Outbox: box, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- session.Run(ctx) }()
	if r := <-s.reported; r.GetLeaseId() != "x" || r.GetResult().GetText() != "of x" {
		t.Errorf("report = %v", r)
	}
	if !s.ack {
		stop()
	} else if maxTasks == 0 {
		session.Drain()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	stop()
	if err := box.Close(); err != nil {
		t.Error(err)
	}
}

func TestOneTaskOverGRPC(t *testing.T) {
	live(t, &server{grant: true, ack: true, reported: make(chan *stintv1.Report, 10)}, t.TempDir(), 1)
}

// TestReportOutlivesTheAgent stops an agent at once whose report nobody has acknowledged; the next life delivers it.
func TestReportOutlivesTheAgent(t *testing.T) {
	dir := t.TempDir()
	live(t, &server{grant: true, reported: make(chan *stintv1.Report, 10)}, dir, 0)
	live(t, &server{ack: true, reported: make(chan *stintv1.Report, 10)}, dir, 0)
	box, err := outbox.Open(outbox.Config{Dir: dir, AgentID: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	if box.Len() != 0 {
		t.Error("report still in the outbox")
	}
	if err := box.Close(); err != nil {
		t.Error(err)
	}
}
