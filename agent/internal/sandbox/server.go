package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// headerTimeout and maxHeaderBytes bound what a caller can hold before it has said anything.
	headerTimeout  = 10 * time.Second
	maxHeaderBytes = 16 << 10

	// idleTimeout is longer than an agent's pause between two tasks usually is.
	idleTimeout = 2 * time.Minute

	// stopGrace is for callers slow to send or to read; waiting calls are cut at once.
	stopGrace = 5 * time.Second
)

// Server is one stand-in API. Its methods may be called from any goroutine.
type Server struct {
	cfg      Config
	log      *slog.Logger
	calls    *callLog // nil: no call log
	number   atomic.Uint64
	started  atomic.Bool
	addr     string        // written before ready is closed
	ready    chan struct{} // closed when bound
	stopping chan struct{} // closed when Run is told to end: cuts what waits
	ended    chan struct{} // closed when Run returns
}

// New checks cfg and builds a Server; it opens and binds nothing. The error joins all faults found, one a line,
// each with the field, its value and the remedy.
func New(cfg Config) (*Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Server{
		cfg:      cfg,
		log:      cfg.Logger,
		ready:    make(chan struct{}),
		stopping: make(chan struct{}),
		ended:    make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if cfg.CallLog != "" {
		s.calls = newCallLog(cfg.CallLog)
	}
	return s, nil
}

// Run opens the call log, binds, logs "serving" with the address as http=, and serves until ctx ends. Then it cuts the
// calls that hang or wait out their latency, lets the others finish for at most 5 s, and returns nil. It returns an error
// if the log or the address cannot be had, if serving breaks, or if it was called before.
func (s *Server) Run(ctx context.Context) (err error) {
	if !s.started.CompareAndSwap(false, true) {
		return errors.New("sandbox: run was called twice; build a new server")
	}
	defer close(s.ended)
	if s.calls != nil {
		if err := s.calls.open(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.calls.close()) }()
	}
	ln, err := net.Listen("tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("sandbox: listen %s: %w; give an address of this machine that is free, port 0 picks one", s.cfg.Listen, err)
	}
	s.addr = ln.Addr().String()
	close(s.ready)
	s.log.Info("serving", "http", s.addr, "api", "stand-in, no model")
	return s.serveUntil(ctx, ln)
}

// serveUntil returns after the accept loop and all calls have ended.
func (s *Server) serveUntil(ctx context.Context, ln net.Listener) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		IdleTimeout:       idleTimeout,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()

	var broken error
	select {
	case <-ctx.Done():
	case broken = <-served:
		broken = fmt.Errorf("sandbox: serve %s: %w", s.addr, broken)
	}
	close(s.stopping)
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopGrace)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		s.log.Warn("slow callers cut", "after", stopGrace)
		_ = srv.Close() // the listener is closed already, and the rest is being thrown away
	}
	if broken == nil {
		<-served //nolint:errcheck // Shutdown ended it
	}
	s.log.Info("stopped", "http", s.addr, "task_calls", s.number.Load())
	return broken
}

// Ready is closed once Run has bound its address; it stays open for ever if that fails.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Addr waits until Run has bound and returns HOST:PORT; "" if Run ended without having bound.
func (s *Server) Addr() string {
	select {
	case <-s.ready:
		return s.addr
	case <-s.ended:
	}
	select {
	case <-s.ready:
		return s.addr
	default:
		return ""
	}
}
