package client

import (
	"context"
	"errors"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Cancel ends the current run of each task and shows the tasks. One that can't be cancelled stops none of the others;
// the error joins all failures, one a line.
func (c *Client) Cancel(ctx context.Context, ids []string, reason string) error {
	return c.changeEach(ctx, ids, func(id string) (*stintv1.Task, error) {
		resp, err := change(ctx, c, "cancel task "+id, c.tasks.CancelTask, &stintv1.CancelTaskRequest{TaskId: id, Reason: reason})
		return resp.GetTask(), err
	})
}

// Retry starts a new run of each task and shows the tasks, as Cancel does. expire is the expire time of the new runs, an
// RFC 3339 time or a duration from now; empty for none.
func (c *Client) Retry(ctx context.Context, ids []string, expire string) error {
	until, err := moment("expire-time", expire, c.opts.Now(), ahead)
	if err != nil {
		return err
	}
	return c.changeEach(ctx, ids, func(id string) (*stintv1.Task, error) {
		resp, err := change(ctx, c, "retry task "+id, c.tasks.RetryTask, &stintv1.RetryTaskRequest{TaskId: id, ExpireTime: until})
		return resp.GetTask(), err
	})
}

func (c *Client) changeEach(ctx context.Context, ids []string, one func(id string) (*stintv1.Task, error)) error {
	var tasks []*stintv1.Task
	var failures []error
	for _, id := range ids {
		task, err := one(id)
		if err != nil {
			failures = append(failures, err)
		} else {
			tasks = append(tasks, task)
		}
		if ctx.Err() != nil {
			break
		}
	}
	if len(tasks) > 0 {
		failures = append(failures, show(c.out, taskLayout, tasks...))
	}
	return errors.Join(failures...)
}
