package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/stint-dev/stint/coordinator/internal/transfer"
)

// exporting writes all tasks as JSON lines that import takes. The usual variables of two flags are those of stint-agent,
// which means other things by them.
type exporting struct {
	dataDir
	Coordinator string `env:"STINT_EXPORT_COORDINATOR" placeholder:"HOST:PORT" help:"Ask a running coordinator instead of reading the folder (none)."`
	Output      string `env:"STINT_EXPORT_OUTPUT" placeholder:"FILE" help:"File to write, replaced once all is in it (standard output)."`
}

// Run writes all tasks, newest first, and tells their number on standard error.
func (e *exporting) Run(c *console) error {
	ctx, _, stop := signals()
	defer stop()
	n := 0
	err := e.to(c.Out, func(w io.Writer) (err error) {
		if e.Coordinator != "" {
			n, err = e.ask(ctx, w)
		} else {
			n, err = e.read(ctx, c, w)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	_, err = fmt.Fprintf(c.Err, "exported %d tasks\n", n)
	return err
}

// to gives write the standard output, or a file that takes its name when it is whole.
func (e *exporting) to(out io.Writer, write func(io.Writer) error) (err error) {
	if e.Output == "" {
		return write(out)
	}
	f, err := os.CreateTemp(filepath.Dir(e.Output), "."+filepath.Base(e.Output)+".*")
	if err != nil {
		return fmt.Errorf("--output %s: %w; give a file in a folder that can be written", e.Output, err)
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name()) // the error that led here is the one to tell
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("--output %s: %w", e.Output, err)
	}
	return os.Rename(f.Name(), e.Output)
}

func (e *exporting) read(ctx context.Context, c *console, w io.Writer) (n int, err error) {
	if err := e.must(); err != nil {
		return 0, err
	}
	l := e.open(newLogger(c.Err, "warn", "text"))
	if _, err := l.Lead(ctx); err != nil {
		return 0, fmt.Errorf("%w; or ask it with --coordinator", err)
	}
	defer func() {
		if closed := l.Close(); err == nil {
			err = closed
		}
	}()
	return transfer.ExportLedger(ctx, l, w)
}

func (e *exporting) ask(ctx context.Context, w io.Writer) (n int, err error) {
	conn, err := grpc.NewClient(e.Coordinator, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return 0, fmt.Errorf("--coordinator %s: %w; give HOST:PORT, like 127.0.0.1:7070", e.Coordinator, err)
	}
	defer func() { _ = conn.Close() }() // all that was asked for is here
	n, err = transfer.ExportCoordinator(ctx, conn, w)
	if err != nil {
		return n, fmt.Errorf("--coordinator %s: %w", e.Coordinator, err)
	}
	return n, nil
}
