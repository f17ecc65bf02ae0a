package client

import (
	"context"
	"fmt"
	"strconv"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Queues shows all queues by name.
func (c *Client) Queues(ctx context.Context) error {
	queues, err := c.allQueues(ctx)
	if err != nil {
		return err
	}
	return show(c.out, queueLayout, queues...)
}

func (c *Client) allQueues(ctx context.Context) ([]*stintv1.Queue, error) {
	req := &stintv1.ListQueuesRequest{PageSize: pageSize}
	var queues []*stintv1.Queue
	for {
		resp, err := call(ctx, c, "list queues", c.queues.ListQueues, req)
		if err != nil {
			return nil, err
		}
		queues = append(queues, resp.GetQueues()...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return queues, nil
		}
	}
}

// Queue shows one queue: its settings, its counts, and what is left of its limits.
func (c *Client) Queue(ctx context.Context, name string) error {
	q, err := c.queue(ctx, name)
	if err != nil {
		return err
	}
	if c.out.json {
		return c.out.message(q)
	}
	rows := append([][]string{{"Queue", q.GetName()}, {"Paused", yesNo(q.GetPaused())}}, settingRows(q)...)
	if err := c.out.table(append(rows, standRows(q)...)...); err != nil {
		return err
	}
	return c.out.table(countRows(q.GetStatus().GetCounts())...)
}

func (c *Client) queue(ctx context.Context, name string) (*stintv1.Queue, error) {
	resp, err := call(ctx, c, "show queue "+name, c.queues.GetQueue, &stintv1.GetQueueRequest{Queue: name})
	return resp.GetQueue(), err
}

// Pause stops the grants of a queue until Resume, and shows the queue. What runs goes on.
func (c *Client) Pause(ctx context.Context, name string) error {
	resp, err := change(ctx, c, "pause queue "+name, c.queues.PauseQueue, &stintv1.PauseQueueRequest{Queue: name})
	if err != nil {
		return err
	}
	return show(c.out, queueLayout, resp.GetQueue())
}

// Resume ends a pause and shows the queue.
func (c *Client) Resume(ctx context.Context, name string) error {
	resp, err := change(ctx, c, "resume queue "+name, c.queues.ResumeQueue, &stintv1.ResumeQueueRequest{Queue: name})
	if err != nil {
		return err
	}
	return show(c.out, queueLayout, resp.GetQueue())
}

var queueLayout = layout[*stintv1.Queue]{
	header: []string{"QUEUE", "PAUSED", "BLOCKED", "SCHEDULED", "READY", "RUNNING", "COMPLETED", "FAILED", "OTHER ENDS", "OLDEST READY",
		"WEIGHT", "SPENT USD", "BUDGET"},
	row: queueRow,
}

func queueRow(q *stintv1.Queue) []string {
	n := q.GetStatus().GetCounts()
	row := []string{q.GetName(), yesNo(q.GetPaused())}
	for _, count := range []int64{
		n.GetBlocked(), n.GetScheduled(), n.GetReady(), n.GetRunning(), n.GetCompleted(), n.GetFailed(),
		n.GetCancelled() + n.GetExpired() + n.GetQuarantined(),
	} {
		row = append(row, strconv.FormatInt(count, 10))
	}
	if q.GetMaxRunning() > 0 {
		row[5] = fmt.Sprintf("%d/%d", n.GetRunning(), q.GetMaxRunning())
	}
	return append(row, span(q.GetStatus().GetOldestReadyAge()), numberText(q.GetWeight()),
		amountText(q.GetStatus().GetSpentUsd()), queueBudgetText(q.GetBudget()))
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
