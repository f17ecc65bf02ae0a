package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
	"github.com/stint-dev/stint/coordinator/internal/server"
	"github.com/stint-dev/stint/coordinator/internal/transfer"
)

// importing brings tasks in from files of the single-host worker, or from an export.
type importing struct {
	dataDir
	Files  []string `arg:"" name:"file" help:"queue.json, execution logs (.json, .jsonl) and exports; of what logs say of one task the last wins."`
	DryRun bool     `help:"Check all, say what would be imported, and change nothing (off)."`
}

// Run imports all tasks of all files, or none.
func (i *importing) Run(c *console) error {
	if err := i.run(c); err != nil {
		return fmt.Errorf("import: %w", err)
	}
	return nil
}

func (i *importing) run(c *console) error {
	ctx, _, stop := signals()
	defer stop()
	logger := newLogger(c.Err, "warn", "text")
	rules, err := server.NewAdmission()
	if err != nil {
		return err
	}
	plan := transfer.Load(ctx, i.Files, rules, queue.Instant(time.Now().UnixMicro()))
	checked := i.check(ctx, plan, logger)
	if err := plan.Notes(c.Out); err != nil {
		return err
	}
	if err := plan.Err(); err != nil {
		return err // what is wrong with the files goes before what is wrong with the ledger
	}
	if checked != nil {
		return checked
	}
	if i.DryRun {
		_, err = fmt.Fprintf(c.Out, "would import %s: %s\n", plan.Outcome(), i.DataDir)
		return err
	}
	if err := plan.Write(ctx, i.open(logger), logger); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.Out, "imported %s: %s\n", plan.Outcome(), i.DataDir)
	return err
}

// check holds the plan against the ledger, if there is one.
func (i *importing) check(ctx context.Context, plan *transfer.Plan, logger *slog.Logger) (err error) {
	there, err := i.exists()
	if err != nil {
		return err
	}
	if !there {
		return plan.Check(ctx, nil)
	}
	l := i.open(logger)
	if _, err := l.Lead(ctx); err != nil {
		return err
	}
	defer func() {
		if closed := l.Close(); err == nil {
			err = closed
		}
	}()
	return plan.Check(ctx, l)
}
