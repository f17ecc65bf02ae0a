package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Wait waits until all tasks are in a terminal state, or for timeout (0: however long it takes), and shows them. The
// error names the tasks that ended otherwise than COMPLETED, or that time ran out for.
func (c *Client) Wait(ctx context.Context, ids []string, timeout time.Duration) error {
	if timeout < 0 {
		return fmt.Errorf("client: timeout %v is negative; give 0s for none, or a time such as 60s", timeout)
	}
	deadline := time.Time{}
	if timeout > 0 {
		deadline = c.opts.Now().Add(timeout)
	}
	var tasks []*stintv1.Task
	var open []string
	for _, id := range ids {
		task, err := c.waitFor(ctx, id, deadline)
		if err != nil {
			return err
		}
		tasks = append(tasks, task)
		if state := task.GetStatus().GetState(); state != stintv1.TaskState_TASK_STATE_COMPLETED {
			open = append(open, id+" is "+bare(statePrefix, state))
		}
	}
	err := show(c.out, taskLayout, tasks...)
	if len(open) > 0 {
		err = errors.Join(fmt.Errorf("client: wait: not completed: %s; stint-agent explain tells why", strings.Join(open, ", ")), err)
	}
	return err
}

// waitFor waits for one task. The first look fails at once where the task or the coordinator is missing; from then on
// the coordinator may come and go.
func (c *Client) waitFor(ctx context.Context, id string, deadline time.Time) (*stintv1.Task, error) {
	what := "wait for task " + id
	first, err := call(ctx, c, what, c.tasks.GetTask, &stintv1.GetTaskRequest{TaskId: id})
	if err != nil {
		return nil, err
	}
	task, tries := first.GetTask(), pause{}
	for !terminal(task.GetStatus().GetState()) {
		left := waitTimeout
		if !deadline.IsZero() {
			left = min(left, deadline.Sub(c.opts.Now()))
		}
		if left <= 0 {
			return c.lastLook(ctx, what, task, tries), nil
		}
		req := &stintv1.WaitTaskRequest{TaskId: id, Timeout: durationpb.New(left)}
		resp, err := callFor(ctx, c, what, left+callTimeout, c.tasks.WaitTask, req)
		if after, repeat := again(err); err != nil {
			if !repeat || ctx.Err() != nil {
				return nil, err
			}
			c.note("%s; trying again", cause(err))
			rest := tries.next(after)
			if !deadline.IsZero() {
				rest = min(rest, max(0, deadline.Sub(c.opts.Now())))
			}
			if err := c.opts.Sleep(ctx, rest); err != nil {
				return nil, c.failed(ctx, what, err)
			}
			continue
		}
		task = resp.GetTask()
		tries.reset()
	}
	return task, nil
}

// lastLook is the task as it stands when time is up: after tries in vain that may be other than it was seen last.
func (c *Client) lastLook(ctx context.Context, what string, seen *stintv1.Task, tries pause) *stintv1.Task {
	if tries.tries == 0 {
		return seen
	}
	resp, err := call(ctx, c, what, c.tasks.GetTask, &stintv1.GetTaskRequest{TaskId: seen.GetId()})
	if err != nil {
		return seen
	}
	return resp.GetTask()
}
