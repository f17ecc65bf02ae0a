package main

import (
	"context"
	"errors"

	"github.com/stint-dev/stint/agent/internal/client"
)

// chosen are the tasks that a change is about: named ones, or all that a filter selects.
type chosen struct {
	IDs []string `arg:"" optional:"" name:"id" help:"Ids of the tasks; or none, and a filter."`
	filterFlags
	Yes bool `help:"With a filter: do it without asking. Without, the tasks are counted, and a terminal is asked (off)."`
}

// Validate refuses what leaves open which tasks are meant.
func (c *chosen) Validate() error {
	switch {
	case len(c.IDs) > 0 && !c.filter().Empty():
		return errors.New("task ids and a filter are both given; leave out one of them (a filter may come from the environment: " +
			"STINT_QUEUE, STINT_STATE, STINT_LABEL, STINT_ID_PREFIX, STINT_FINISHED_AFTER)")
	case len(c.IDs) == 0 && c.filter().Empty():
		return errors.New("no task is given; give task ids, or a filter such as --state failed")
	}
	return nil
}

// cancelCmd cancels tasks.
type cancelCmd struct {
	target
	chosen
	Reason string `placeholder:"TEXT" help:"Why, for the history; at most 256 bytes (none)."`
}

// Run cancels the tasks.
func (c *cancelCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error {
		if len(c.IDs) > 0 {
			return cl.Cancel(ctx, c.IDs, c.Reason)
		}
		return cl.CancelMatching(ctx, c.filter(), c.Reason, c.Yes)
	})
}

// retryCmd runs tasks again.
type retryCmd struct {
	target
	chosen
	ExpireTime string `placeholder:"TIME" help:"Not begun after this time, as 2026-01-02T15:04:05Z, or from now, as 2h (never)."`
}

// Run starts new runs of the tasks.
func (c *retryCmd) Run(a *app) error {
	return c.do(a, func(ctx context.Context, cl *client.Client) error {
		if len(c.IDs) > 0 {
			return cl.Retry(ctx, c.IDs, c.ExpireTime)
		}
		return cl.RetryMatching(ctx, c.filter(), c.ExpireTime, c.Yes)
	})
}
