package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/signal"
	"syscall"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/server"
	"github.com/stint-dev/stint/coordinator/internal/web"
)

// serve is the coordinator itself. Its fields are all of its settings.
type serve struct {
	Listen       string        `default:"127.0.0.1:7070" placeholder:"HOST:PORT" help:"Address of the gRPC port; port 0 picks a free one (${default})."`
	HTTP         string        `name:"http" default:"127.0.0.1:7071" placeholder:"HOST:PORT" help:"Address of the HTTP port, for health; port 0 picks a free one (${default})."`
	DataDir      string        `default:"./stint-data" placeholder:"FOLDER" help:"Folder of the ledger, made if it is missing (${default})."`
	LeaseTTL     time.Duration `name:"lease-ttl" default:"30s" placeholder:"DURATION" help:"How long a session's lease lives without a heartbeat, 1s to 1h (${default})."`
	GrantTimeout time.Duration `default:"5s" placeholder:"DURATION" help:"How long an agent may take to confirm a grant, 100ms to 1h (${default})."`
	Retain       time.Duration `default:"168h" placeholder:"DURATION" help:"How long tasks that have ended, and events, are kept; 0s: for ever (${default})."`
	Drain        time.Duration `default:"20s" placeholder:"DURATION" help:"How long calls under way may take after SIGTERM or an interrupt; a second signal cuts them (${default})."`
	MaxLiveTasks int           `default:"10000000" placeholder:"TASKS" help:"Tasks that have not ended, at most; above it submits are refused (${default})."`
	MinFree      bytesize      `default:"256MiB" placeholder:"BYTES" help:"Free disk below which submits are refused, in bytes or with KiB, MiB, GiB (${default})."`
	LogLevel     string        `default:"info" placeholder:"LEVEL" help:"Least level that is logged: debug, info, warn or error (${default})."`
	LogFormat    string        `default:"text" placeholder:"FORM" help:"Form of the log on standard error: text or json (${default})."`
	CPUProfile   string        `name:"cpu-profile" placeholder:"FILE" help:"File that a CPU profile of the whole run is written to, for go tool pprof (none)."`
	Insecure     bool          `help:"Allow plain text on addresses that other machines can reach (off)."`
}

// payloadCache is the memory, in bytes, for the payloads of tasks between submit and their
// first grant: tens of thousands of tasks, so that fresh ones are granted without a read.
const payloadCache = 16 << 20

// Run serves until a signal comes.
func (s *serve) Run(c *console) error {
	if err := s.check(); err != nil {
		return err
	}
	logger := newLogger(c.Err, s.LogLevel, s.LogFormat)
	soft, hard, stop := signals()
	defer stop()
	signal.Ignore(syscall.SIGPIPE) // whoever reads the log may go; what is served is not to end with that
	if err := profiled(s.CPUProfile, func() error { return s.serve(soft, hard, logger) }); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	logger.Info("stopped")
	return nil
}

// serve wires the parts and runs them until ctx ends, politely until hard does.
func (s *serve) serve(ctx, hard context.Context, logger *slog.Logger) error {
	ports, err := listen(ctx, s.Listen, s.HTTP)
	if err != nil {
		return err
	}
	defer ports.close()
	fatal := make(chan error, 1)
	store := pebbleledger.New(pebbleledger.Options{
		Dir: s.DataDir, Logger: logger, OnFatal: func(err error) { fatal <- err },
	})
	writer, err := engine.New(engine.Config{
		LeaseTTL: s.LeaseTTL, GrantTimeout: s.GrantTimeout, MaxLive: s.MaxLiveTasks,
		MinFree: uint64(s.MinFree), FreeBytes: func() (uint64, error) { return freeBytes(s.DataDir) },
		Retain: s.Retain, PayloadCache: payloadCache, Logger: logger, Version: version(),
	}, store)
	if err != nil {
		return err
	}
	front, err := server.New(server.Config{Engine: writer, Version: version(), Drain: s.Drain, Logger: logger})
	if err != nil {
		return err
	}
	side := web.New(func() bool { return ctx.Err() == nil && isClosed(writer.Active()) }, logger)

	hard, cut := context.WithCancel(hard)
	defer cut()
	return inOrder(ctx, cut, // in the order of shutdown
		func(ctx context.Context) error { return front.Run(ctx, hard.Done(), ports.grpc) },
		writer.Run,
		func(ctx context.Context) error { return keepHeadroom(ctx, writer.Shed) },
		func(ctx context.Context) error { return keepLedger(ctx, fatal, store) },
		func(ctx context.Context) error { return announce(ctx, writer, ports, logger) },
		func(ctx context.Context) error { return side.Run(ctx, ports.http) },
	)
}

// keepLedger ends with the ledger's first failure, or closes it once nobody uses it.
func keepLedger(ctx context.Context, fatal <-chan error, l ledger.Ledger) error {
	select {
	case err := <-fatal:
		return err
	case <-ctx.Done():
	}
	if err := l.Close(); !errors.Is(err, ledger.ErrClosed) {
		return err
	}
	return nil // it was never opened
}

// announce logs the addresses once the coordinator answers.
func announce(ctx context.Context, e *engine.Engine, p *ports, logger *slog.Logger) error {
	select {
	case <-e.Active():
		logger.Info("serving", slog.String("grpc", p.grpc.Addr().String()), slog.String("http", p.http.Addr().String()),
			slog.String("version", version()))
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil
}

// ports are the listeners.
type ports struct{ grpc, http net.Listener }

func listen(ctx context.Context, grpc, http string) (*ports, error) {
	var c net.ListenConfig
	g, err := c.Listen(ctx, "tcp", grpc)
	if err != nil {
		return nil, fmt.Errorf("--listen %s: %w; give another address or end the program that has it", grpc, err)
	}
	h, err := c.Listen(ctx, "tcp", http)
	if err != nil {
		_ = g.Close()
		return nil, fmt.Errorf("--http %s: %w; give another address or end the program that has it", http, err)
	}
	return &ports{g, h}, nil
}

// close closes what no part has closed.
func (p *ports) close() {
	_ = p.grpc.Close() // a second close is an error that says just that
	_ = p.http.Close()
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
