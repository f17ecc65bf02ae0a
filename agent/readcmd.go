package main

import (
	"context"
	"errors"
	"time"

	"github.com/stint-dev/stint/agent/internal/client"
)

// getCmd shows a task.
type getCmd struct {
	target
	ID string `arg:"" name:"id" help:"Id of the task."`
}

// Run shows the task.
func (c *getCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.Get(ctx, c.ID) })
}

// filterFlags select tasks; those that meet all conditions given are meant.
type filterFlags struct {
	Queue         string            `placeholder:"NAME" help:"Tasks of this queue (all)."`
	State         []string          `placeholder:"STATE" help:"Tasks in this state, as ready or failed; several separated by commas (all)."`
	Label         map[string]string `mapsep:"," placeholder:"KEY=VALUE" help:"Tasks with this label. May be repeated; all must fit (any)."`
	IDPrefix      string            `name:"id-prefix" placeholder:"TEXT" help:"Tasks whose id begins with this (all)."`
	FinishedAfter string            `placeholder:"TIME" help:"Tasks that ended after this time, as 2026-01-02T15:04:05Z, or how long ago, as 1h (any)."`
}

func (f filterFlags) filter() client.Filter {
	return client.Filter{Queue: f.Queue, States: f.State, Labels: f.Label, IDPrefix: f.IDPrefix, FinishedAfter: f.FinishedAfter}
}

// listCmd lists tasks.
type listCmd struct {
	target
	filterFlags
	Limit int `default:"100" placeholder:"N" help:"Most tasks to list; 0: all (${default})."`
}

// Run lists the tasks.
func (c *listCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.List(ctx, c.filter(), c.Limit) })
}

// statusCmd shows how things stand.
type statusCmd struct {
	target
	Watch  bool `help:"Show changes, with a progress bar on a terminal, until no task is left to do (off)."`
	Follow bool `help:"With --watch: go on until interrupted (off)."`
}

// Validate refuses a flag that would have no effect.
func (c *statusCmd) Validate() error {
	if c.Follow && !c.Watch {
		return errors.New("--follow does nothing by itself; give --watch too")
	}
	return nil
}

// Run shows the status, once or as it changes.
func (c *statusCmd) Run(a *app) error {
	if c.Watch {
		return c.until(a, func(ctx context.Context, cl *client.Client) error { return cl.Follow(ctx, c.Follow) })
	}
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.Status(ctx) })
}

// waitCmd waits for tasks.
type waitCmd struct {
	target
	IDs     []string      `arg:"" name:"id" help:"Ids of the tasks."`
	Timeout time.Duration `placeholder:"DURATION" help:"How long to wait, as 60s; 0s: without end (0s)."`
}

// Run waits and shows the tasks.
func (c *waitCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.Wait(ctx, c.IDs, c.Timeout) })
}

// explainCmd explains a task.
type explainCmd struct {
	target
	ID string `arg:"" name:"id" help:"Id of the task."`
}

// Run says why the task isn't running.
func (c *explainCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.Explain(ctx, c.ID) })
}

// watchCmd shows events.
type watchCmd struct {
	target
	From  *int64   `placeholder:"SEQ" help:"Begin with the event after this sequence; 0: with the oldest kept (with what happens from now on)."`
	Queue string   `placeholder:"NAME" help:"Events of this queue (all)."`
	Task  []string `placeholder:"ID" help:"Events of this task; several separated by commas (all)."`
	Kind  []string `placeholder:"KIND" help:"Events of this kind, as completed; several separated by commas (all)."`
}

// Run shows events until it is interrupted.
func (c *watchCmd) Run(a *app) error {
	spec := client.WatchSpec{From: c.From, Queue: c.Queue, Tasks: c.Task, Kinds: c.Kind}
	return c.until(a, func(ctx context.Context, cl *client.Client) error { return cl.Watch(ctx, spec) })
}
