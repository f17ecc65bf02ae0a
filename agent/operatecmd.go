package main

import (
	"context"
	"time"

	"github.com/stint-dev/stint/agent/internal/client"
)

// agentsCmd lists agents.
type agentsCmd struct {
	target
}

// Run lists the agents.
func (c *agentsCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.Agents(ctx) })
}

// drainCmd drains an agent.
type drainCmd struct {
	target
	Agent   string        `arg:"" help:"Id of the agent."`
	Timeout time.Duration `placeholder:"DURATION" help:"After this time the agent gives back what it still holds, as 60s; 0s: it finishes all (0s)."`
}

// Run tells the agent, and does not wait for it.
func (c *drainCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.Drain(ctx, c.Agent, c.Timeout) })
}

// queueCmd are the commands about queues.
type queueCmd struct {
	List   queueListCmd   `cmd:"" help:"List all queues."`
	Show   queueShowCmd   `cmd:"" help:"Show a queue."`
	Pause  queuePauseCmd  `cmd:"" help:"Grant nothing of a queue until it is resumed. What runs goes on."`
	Resume queueResumeCmd `cmd:"" help:"End a pause."`
}

// queueListCmd lists queues.
type queueListCmd struct {
	target
}

// Run lists the queues.
func (c *queueListCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.Queues(ctx) })
}

// queueShowCmd shows a queue.
type queueShowCmd struct {
	target
	Name string `arg:"" name:"queue" help:"Name of the queue."`
}

// Run shows the queue.
func (c *queueShowCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.Queue(ctx, c.Name) })
}

// queuePauseCmd pauses a queue.
type queuePauseCmd struct {
	target
	Name string `arg:"" name:"queue" help:"Name of the queue."`
}

// Run pauses the queue.
func (c *queuePauseCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.Pause(ctx, c.Name) })
}

// queueResumeCmd resumes a queue.
type queueResumeCmd struct {
	target
	Name string `arg:"" name:"queue" help:"Name of the queue."`
}

// Run resumes the queue.
func (c *queueResumeCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.Resume(ctx, c.Name) })
}
