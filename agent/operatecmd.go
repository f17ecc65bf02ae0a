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
	Show   queueShowCmd   `cmd:"" help:"Show a queue: settings, counts, and what is left of its limits."`
	Set    queueSetCmd    `cmd:"" help:"Change settings of a queue, and show what changed. Makes the queue if it is not there."`
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

// queueSetCmd changes settings. What isn't given stays as it is.
type queueSetCmd struct {
	target
	Name string `arg:"" name:"queue" help:"Name of the queue."`

	MaxRunning          *int32         `placeholder:"N" help:"Most of its tasks that run at once; 0: no limit (as it is)."`
	MaxPerKey           *int32         `placeholder:"N" help:"Most of its tasks with one concurrency key that run at once; 0: no limit (as it is)."`
	Rate                string         `placeholder:"RATE" help:"How fast its tasks are granted, as 5/s, 10/m, 100/h; none: no limit (as it is)."`
	Burst               *int32         `placeholder:"N" help:"How many may be granted at once after a quiet time (those of a second)."`
	Weight              *int32         `placeholder:"N" help:"Its share against other queues, 1 to 1000 (as it is)."`
	StrictFencing       *bool          `negatable:"" help:"Only the newest attempt's success counts (as it is)."`
	RetryMaxAttempts    *int32         `placeholder:"N" help:"Failed attempts after which a task has failed that says nothing itself; 0: the general default (as it is)."`
	RetryInitialBackoff *time.Duration `placeholder:"DURATION" help:"Longest first pause of such a task; 0s: the general default (as it is)."`
	RetryMaxBackoff     *time.Duration `placeholder:"DURATION" help:"Longest pause of such a task; 0s: the general default (as it is)."`
	RetryUnknownOutcome string         `placeholder:"POLICY" help:"When nobody knows whether the API did the work: fail or retry; none: the general default (as it is)."`
	Budget              string         `placeholder:"USD" help:"Most that its tasks may cost in a period, in US dollars; none: no limit (as it is)."`
	Period              string         `placeholder:"PERIOD" help:"What the budget is for: total, hour, day or month, in UTC (as it is; total for a new budget)."`
	Etag                string         `placeholder:"ETAG" help:"Only if the queue still has this etag, as show tells it (the one it has when the command begins)."`
}

// Run changes the queue.
func (c *queueSetCmd) Run(a *app) error {
	settings := client.QueueSettings{
		MaxRunning: c.MaxRunning, MaxPerKey: c.MaxPerKey, Rate: c.Rate, Burst: c.Burst, Weight: c.Weight, StrictFencing: c.StrictFencing,
		RetryMaxAttempts: c.RetryMaxAttempts, RetryInitialBackoff: c.RetryInitialBackoff, RetryMaxBackoff: c.RetryMaxBackoff,
		RetryUnknownOutcome: c.RetryUnknownOutcome, Budget: c.Budget, Period: c.Period, Etag: c.Etag,
	}
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.SetQueue(ctx, c.Name, settings) })
}

// spendCmd shows what was spent.
type spendCmd struct {
	target
	Name string `arg:"" optional:"" name:"queue" help:"Name of the queue; all queues without."`
	By   string `default:"queue" enum:"queue,agent,key" placeholder:"GROUP" help:"Sum by queue, agent or key, the fairness key (${default})."`
}

// Run shows the sums.
func (c *spendCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.Spend(ctx, c.Name, c.By) })
}
