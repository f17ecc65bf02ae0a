package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/reflection"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// Engine is what the server needs of the coordinator's one writer; *engine.Engine is one.
type Engine interface {
	engine.API
	// Active is closed when the engine answers.
	Active() <-chan struct{}
	// GoingAway ends grants, answers those who wait, and tells the sessions.
	GoingAway()
}

// Config is what the server is told from outside.
type Config struct {
	Engine  Engine
	Version string           // of the program, shown by GetStatus
	Drain   time.Duration    // how long Run waits for calls under way when its context ends
	Logger  *slog.Logger     // nil: slog.Default()
	Now     func() time.Time // nil: time.Now
	Stall   time.Duration    // how long one send of a stream may take; 0: 30 s
}

// Server serves stint.v1, health and reflection. It is for one Run.
type Server struct {
	engine   Engine
	drain    time.Duration
	logger   *slog.Logger
	health   *health.Server
	stopping chan struct{} // closed when Run leaves
	options  []grpc.ServerOption
	register func(reflection.GRPCServer) // all services
	grpc     *grpc.Server                // made by Run
}

// New builds a server. It fails if a method has no policy or a rule of the contract does not
// compile.
func New(c Config) (*Server, error) {
	if c.Engine == nil {
		return nil, errors.New("server: Config.Engine is not set")
	}
	if c.Drain < 0 || c.Stall < 0 {
		return nil, fmt.Errorf("server: Drain is %v, Stall is %v: give 0s or more", c.Drain, c.Stall)
	}
	c.fillIn()
	rules, err := newRules()
	if err != nil {
		return nil, err
	}
	s := &Server{
		engine: c.Engine, drain: c.Drain, logger: c.Logger,
		health: health.NewServer(), stopping: make(chan struct{}),
	}
	buffers, err := newBuffers()
	if err != nil {
		return nil, err
	}
	around := &chain{logger: c.Logger, rules: rules, stopping: s.stopping}
	s.options = append(transport(buffers), around.options()...)
	ids := newIDs(c.Now)
	ids.defaults = c.Engine.RetryDefaults
	tasks := &taskService{engine: c.Engine, ids: ids, now: c.Now, stall: c.Stall, stopping: s.stopping}
	agents := &agentService{engine: c.Engine, rules: rules, stall: c.Stall, stopping: s.stopping}
	queues := &queueService{engine: c.Engine, version: c.Version}
	s.register = func(g reflection.GRPCServer) {
		stintv1.RegisterTaskServiceServer(g, tasks)
		stintv1.RegisterAgentServiceServer(g, agents)
		stintv1.RegisterQueueServiceServer(g, queues)
		healthpb.RegisterHealthServer(g, s.health)
		reflection.Register(g)
	}
	if missing := unlisted(s.methods()); len(missing) > 0 {
		return nil, fmt.Errorf("server: methods without a policy: %s", strings.Join(missing, ", "))
	}
	s.setHealth(healthpb.HealthCheckResponse_NOT_SERVING)
	return s, nil
}

func (c *Config) fillIn() {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Stall == 0 {
		c.Stall = stallAfter
	}
}

// transport is all that is set of gRPC itself; nothing is left to its defaults that protects
// the process or finds a peer that is gone.
func transport(buffers mem.BufferPool) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec(buffers)),
		experimental.BufferPool(buffers),
		grpc.NumStreamWorkers(streamWorkers),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.MaxRecvMsgSize(maxReceive),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(handshake),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingEvery, Timeout: pingWait}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: pingMin, PermitWithoutStream: true}),
		grpc.ReadBufferSize(ioBuffer),
		grpc.WriteBufferSize(ioBuffer),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.WaitForHandlers(true),
	}
}

// methods are all that are registered, as /service/method.
func (s *Server) methods() []string {
	var out []string
	g := grpc.NewServer() // only to be asked
	s.register(g)
	for service, info := range g.GetServiceInfo() {
		for _, m := range info.Methods {
			out = append(out, "/"+service+"/"+m.Name)
		}
	}
	return out
}

// setHealth sets the health of the server as a whole and of each of its services.
func (s *Server) setHealth(to healthpb.HealthCheckResponse_ServingStatus) {
	for _, name := range []string{
		"", stintv1.TaskService_ServiceDesc.ServiceName,
		stintv1.AgentService_ServiceDesc.ServiceName, stintv1.QueueService_ServiceDesc.ServiceName,
	} {
		s.health.SetServingStatus(name, to)
	}
}

// Run serves on the listener, which it closes, until ctx ends; then it leaves in good order,
// within Config.Drain, or at once when abort is closed. It returns nil if it was told to end.
// The engine has to run until Run has returned.
func (s *Server) Run(ctx context.Context, abort <-chan struct{}, l net.Listener) error {
	s.grpc = grpc.NewServer(s.options...) // it starts its workers at once
	s.register(s.grpc)
	served := make(chan error, 1)
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { served <- s.grpc.Serve(l) })
	defer s.grpc.Stop()
	select {
	case <-s.engine.Active():
		s.setHealth(healthpb.HealthCheckResponse_SERVING)
	case <-ctx.Done():
	case err := <-served:
		return fmt.Errorf("server: serve: %w", err)
	}
	select {
	case <-ctx.Done():
	case err := <-served:
		return fmt.Errorf("server: serve: %w", err)
	}
	s.leave(abort)
	return nil
}

// leave tells all who are connected, and waits for calls under way.
func (s *Server) leave(abort <-chan struct{}) {
	s.health.Shutdown()
	s.engine.GoingAway()
	close(s.stopping)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.grpc.GracefulStop()
	}()
	limit := time.NewTimer(s.drain)
	defer limit.Stop()
	select {
	case <-done:
		return
	case <-limit.C:
		s.logger.Warn("calls cut", slog.String("reason", "drain time is up"), slog.Duration("drain", s.drain))
	case <-abort:
		s.logger.Warn("calls cut", slog.String("reason", "told to stop at once"))
	}
	s.grpc.Stop()
	<-done
}
