package server

import (
	"context"
	"log/slog"
	"testing"
	"time"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/test/bufconn"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// Health says SERVING only between the engine's start and the leave.
func TestHealthFollowsTheEngine(t *testing.T) {
	f := newFake()
	f.active = make(chan struct{})
	s, err := New(Config{Engine: f, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	want := func(status healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for _, service := range []string{"", "stint.v1.TaskService", "stint.v1.AgentService", "stint.v1.QueueService"} {
			got, err := s.health.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
			if err != nil || got.GetStatus() != status {
				t.Errorf("%q: %v (%v), want %v", service, got, err, status)
			}
		}
	}
	want(healthpb.HealthCheckResponse_NOT_SERVING)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, nil, bufconn.Listen(1)) }()
	close(f.active)
	cancel()
	<-f.away
	if err := <-done; err != nil {
		t.Error(err)
	}
	want(healthpb.HealthCheckResponse_NOT_SERVING)
	s.setHealth(healthpb.HealthCheckResponse_SERVING) // too late: it has left
	want(healthpb.HealthCheckResponse_NOT_SERVING)
}

// The time for leaving is bounded: a call that does not end is cut.
func TestDrainIsBounded(t *testing.T) {
	f := newFake()
	parked := make(chan struct{})
	f.wait = func(ctx context.Context, _ string, _ time.Duration) (*engine.Task, error) {
		close(parked)
		<-ctx.Done() // as an engine that does not heed GoingAway
		return nil, ctx.Err()
	}
	conn, stop := served(t, f, 0)
	done := make(chan error, 1)
	go func() {
		_, err := stintv1.NewTaskServiceClient(conn).WaitTask(t.Context(), &stintv1.WaitTaskRequest{TaskId: "a"})
		done <- err
	}()
	<-parked
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil {
		t.Error("the call was answered")
	}
}

func TestBadConfig(t *testing.T) {
	for name, c := range map[string]Config{"engine": {}, "drain": {Engine: newFake(), Drain: -1}, "stall": {Engine: newFake(), Stall: -1}} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
