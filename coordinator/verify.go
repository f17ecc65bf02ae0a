package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
)

// verifying reads a whole ledger and checks it.
type verifying struct {
	dataDir
}

// progressEvery is how often progress is told: often enough to see that it goes on.
const progressEvery = 2 * time.Second

// Run tells what was found on standard output and progress on standard error. Anything wrong
// is an error.
func (v *verifying) Run(c *console) error {
	ctx, _, stop := signals()
	defer stop()
	if err := v.run(ctx, c); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

func (v *verifying) run(ctx context.Context, c *console) error {
	if err := v.must(); err != nil {
		return err
	}
	report, err := pebbleledger.Verify(ctx, v.DataDir, newLogger(c.Err, "error", "text"), told(c.Err))
	if report.ID != "" {
		if err := found(c.Out, &report); err != nil {
			return err
		}
	}
	for _, f := range report.Faults {
		if _, err := fmt.Fprintf(c.Out, "fault: %v\n", f); err != nil {
			return err
		}
	}
	if more := report.Faulty - len(report.Faults); more > 0 {
		_, _ = fmt.Fprintf(c.Out, "fault: and %d more\n", more) // the error that follows counts
	}
	return err
}

// told writes the progress now and then, and at the end.
func told(w io.Writer) pebbleledger.Progress {
	last := time.Now()
	return func(what string, done, total int64) {
		if now := time.Now(); done == total || now.Sub(last) >= progressEvery {
			last = now
			_, _ = fmt.Fprintf(w, "verified %d of %d %s\n", done, total, what) // progress is no result
		}
	}
}

func found(w io.Writer, r *pebbleledger.Report) error {
	c := &r.Census
	_, err := fmt.Fprintf(w, "ledger %s in %s, batch %d\n"+
		"%d tables with %d bytes and %d records\n"+
		"%d queues, %d tasks (%d live, %d terminal, %d awaiting pruning), %d attempts, %d sums of spend, %d events\n"+
		"%d faults\n",
		r.ID, r.Dir, r.Head, r.Tables, r.Bytes, r.Records,
		c.Queues, c.Specs, c.Live, c.Terminal, c.Deferred, c.Attempts, c.Spends, c.Events, r.Faulty)
	return err
}
