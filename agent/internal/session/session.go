package session

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Session is one process life of an agent. Drain may be called from any goroutine, at any time.
type Session struct {
	cfg      Config
	log      *slog.Logger
	instance string
	started  atomic.Bool
	drainOne sync.Once
	drain    chan struct{}
}

// New checks cfg and builds a Session; it dials nothing. The error joins all faults found.
func New(cfg Config) (*Session, error) {
	err := cfg.Check()
	if cfg.AgentID == "" || cfg.Runner == nil || cfg.Outbox == nil {
		err = errors.Join(err, errors.New("session: agent id, runner or outbox is missing; give all three"))
	}
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Dial == nil {
		cfg.Dial = dialGRPC
	}
	return &Session{
		cfg: cfg, log: cfg.Logger.With("agent", cfg.AgentID), instance: rand.Text(), drain: make(chan struct{}),
	}, nil
}

// Drain asks Run to take no more, finish within Config.DrainTime, release the rest, and return. Repeated calls change
// nothing.
func (s *Session) Drain() { s.drainOne.Do(func() { close(s.drain) }) }

// Run serves until there is a reason to end: MaxTasks attempts, MaxIdleCycles idle checks, a drain, or the end of ctx,
// which stops all work at once. For all of these it returns nil. The error is of a coordinator that refuses the agent for
// good, or of a second call.
func (s *Session) Run(ctx context.Context) error {
	if !s.started.CompareAndSwap(false, true) {
		return errors.New("session: run was called twice; build a new session")
	}
	return newLoop(s).run(ctx)
}
