package client

import (
	"context"
	"strings"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Explain shows why a task is not running: every cause that applies.
func (c *Client) Explain(ctx context.Context, id string) error {
	resp, err := call(ctx, c, "explain task "+id, c.tasks.ExplainTask, &stintv1.ExplainTaskRequest{TaskId: id})
	if err != nil {
		return err
	}
	if c.out.json {
		return c.out.message(resp)
	}
	if err := c.out.text(id + " is " + bare(statePrefix, resp.GetState()) + "\n\n"); err != nil {
		return err
	}
	rows := [][]string{{"CAUSE", "UNTIL", "AHEAD", "WAITS FOR", "MESSAGE"}}
	for _, r := range resp.GetReasons() {
		rows = append(rows, []string{
			bare(codePrefix, r.GetCode()),
			clock(r.GetUntil()),
			numberText(r.GetPosition()),
			cell(strings.Join(r.GetTaskIds(), ", ")),
			oneLine(r.GetMessage()),
		})
	}
	return c.out.table(rows...)
}
