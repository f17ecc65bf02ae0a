package client

import (
	"context"
	"strconv"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Queues shows all queues by name.
func (c *Client) Queues(ctx context.Context) error {
	req := &stintv1.ListQueuesRequest{PageSize: pageSize}
	var queues []*stintv1.Queue
	for more := true; more; more = req.GetPageToken() != "" {
		resp, err := call(ctx, c, "list queues", c.queues.ListQueues, req)
		if err != nil {
			return err
		}
		queues = append(queues, resp.GetQueues()...)
		req.PageToken = resp.GetNextPageToken()
	}
	return show(c.out, queueLayout, queues...)
}

// Queue shows one queue.
func (c *Client) Queue(ctx context.Context, name string) error {
	resp, err := call(ctx, c, "show queue "+name, c.queues.GetQueue, &stintv1.GetQueueRequest{Queue: name})
	if err != nil {
		return err
	}
	return show(c.out, queueLayout, resp.GetQueue())
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
	header: []string{"QUEUE", "PAUSED", "BLOCKED", "SCHEDULED", "READY", "RUNNING", "COMPLETED", "FAILED", "OTHER ENDS", "OLDEST READY"},
	row:    queueRow,
}

func queueRow(q *stintv1.Queue) []string {
	paused := "no"
	if q.GetPaused() {
		paused = "yes"
	}
	n := q.GetStatus().GetCounts()
	row := []string{q.GetName(), paused}
	for _, count := range []int64{
		n.GetBlocked(), n.GetScheduled(), n.GetReady(), n.GetRunning(), n.GetCompleted(), n.GetFailed(),
		n.GetCancelled() + n.GetExpired() + n.GetQuarantined(),
	} {
		row = append(row, strconv.FormatInt(count, 10))
	}
	return append(row, span(q.GetStatus().GetOldestReadyAge()))
}
