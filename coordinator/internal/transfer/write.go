package transfer

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// The settings of the engine that writes. It serves nobody, so that its times are nobody's, and
// what it holds is bounded by what a coordinator holds.
const (
	writerTTL   = time.Hour
	writerGrant = 5 * time.Second
	writerLive  = 10_000_000
)

// Write brings the plan into a ledger that nobody leads, in one change; Err must be nil. It
// leads and closes the ledger. Errors are those of the ledger and of queue.Submit; after any
// of them nothing was imported, unless ctx ended: then it may have been, and a repeat is safe.
func (p *Plan) Write(ctx context.Context, l ledger.Ledger, logger *slog.Logger) (err error) {
	if err := p.Err(); err != nil || len(p.tasks) == 0 {
		return err
	}
	e, err := engine.New(engine.Config{LeaseTTL: writerTTL, GrantTimeout: writerGrant, MaxLive: writerLive, Offline: true, Logger: logger}, l)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- e.Run(running) }()
	led := false
	defer func() {
		stop()
		if !led {
			_ = l.Close() // an error of the lead or the load comes before one of giving it up
			return
		}
		if ran := <-ended; err == nil {
			err = ran
		}
		if closed := l.Close(); err == nil {
			err = closed
		}
	}()
	select {
	case <-e.Active():
		led = true
	case err := <-ended:
		return err
	}
	return p.bring(ctx, e)
}

// bring hands all tasks to the engine at once.
func (p *Plan) bring(ctx context.Context, e *engine.Engine) error {
	tasks := make([]queue.Imported, len(p.tasks))
	for i := range p.tasks {
		tasks[i] = p.tasks[i].Imported
	}
	existed, err := e.Import(ctx, tasks)
	if err != nil {
		return fmt.Errorf("transfer: import: %w", err)
	}
	clear(p.existed)
	for i, was := range existed {
		if was {
			p.existed[tasks[i].Spec.ID] = true
		}
	}
	return nil
}
