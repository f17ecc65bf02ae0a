package main

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/term"

	"github.com/stint-dev/stint/agent/internal/client"
)

// target are the flags of every command that asks a coordinator.
type target struct {
	Coordinator string `default:"127.0.0.1:7070" placeholder:"HOST:PORT" help:"Coordinator to ask; several separated by commas: the first that answers (${default})."`
	Output      string `default:"table" enum:"table,json" placeholder:"FORM" help:"table for people, or json: one object a line (${default})."`
}

// do runs one verb against the coordinator, until it ends or an interrupt comes.
func (t target) do(a *app, verb func(context.Context, *client.Client) error) (err error) {
	conn, err := client.Dial(t.Coordinator)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	ctx, stop := interruptible()
	defer stop()
	return verb(ctx, client.New(conn, client.Options{
		Coordinator: t.Coordinator,
		Out:         a.stdout,
		Notes:       a.stderr,
		JSON:        t.Output == "json",
		Width:       terminalWidth(a.stdout),
		Ask:         asker(a),
	}))
}

// until is do for a verb that goes on until it is interrupted.
func (t target) until(a *app, verb func(context.Context, *client.Client) error) error {
	return t.do(a, func(ctx context.Context, c *client.Client) error {
		if err := verb(ctx, c); !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	})
}

// narrowest is the width taken where a terminal doesn't tell its own: that of the oldest terminals.
const narrowest = 80

// terminalWidth answers what tells the columns of w, or nil if w is no terminal.
func terminalWidth(w io.Writer) func() int {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return nil
	}
	return func() int {
		if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
			return columns
		}
		return narrowest
	}
}
