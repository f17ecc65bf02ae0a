package client

import (
	"context"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Add submits one task and shows it as it stands. Doing it again with the same id and content is no error; a note then
// says that the task existed.
func (c *Client) Add(ctx context.Context, s Spec) error {
	task, err := s.task(c.opts.Now())
	if err != nil {
		return err
	}
	resp, err := change(ctx, c, "add task "+s.ID, c.tasks.SubmitTask, &stintv1.SubmitTaskRequest{Task: task})
	if err != nil {
		return err
	}
	if resp.GetAlreadyExisted() {
		c.note("task %s existed already, with the same content", resp.GetTask().GetId())
	}
	return show(c.out, taskLayout, resp.GetTask())
}
