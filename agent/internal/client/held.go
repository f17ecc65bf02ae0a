package client

import (
	"context"
	"fmt"
	"strconv"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// heldAsks is for how many queues a status asks what a task of theirs waits for: few, so that it stays quick.
const heldAsks = 20

// heldQueue is a queue that grants nothing, and why, in words.
type heldQueue struct {
	queue *stintv1.Queue
	why   string
}

// heldQueues answers the queues that grant nothing by their own settings, though they have tasks that are ready; and those
// whose budget is used up, also if nothing waits.
func (c *Client) heldQueues(ctx context.Context) ([]heldQueue, error) {
	queues, err := c.allQueues(ctx)
	if err != nil {
		return nil, err
	}
	var held []heldQueue
	asked := 0
	for _, q := range queues {
		why := reachedLimit(q)
		if why == "" && q.GetBudget() != nil && q.GetStatus().GetCounts().GetReady() > 0 && asked < heldAsks {
			asked++
			tooLarge, err := c.waitsForMoney(ctx, q.GetName())
			if err != nil {
				return nil, err
			}
			if tooLarge {
				why = "budget exhausted, what is left is less than the next task may cost: " + moneyText(q)
			}
		}
		if why != "" {
			held = append(held, heldQueue{queue: q, why: why})
		}
	}
	return held, nil
}

// reachedLimit is what the figures of a queue alone tell; "" if they hold nothing back.
func reachedLimit(q *stintv1.Queue) string {
	s, b := q.GetStatus(), q.GetBudget()
	ready := s.GetCounts().GetReady() > 0
	switch {
	case b != nil && b.LimitUsd != nil && s.GetSpentUsd()+s.GetReservedUsd() >= b.GetLimitUsd():
		return "budget exhausted: " + moneyText(q)
	case q.GetPaused() && ready:
		return "paused"
	case q.GetMaxRunning() > 0 && s.GetRunning() >= q.GetMaxRunning() && ready:
		return fmt.Sprintf("max running reached: %d of %d run", s.GetRunning(), q.GetMaxRunning())
	case q.GetRate().GetPerSecond() > 0 && s.GetRateAvailable() < 1 && ready:
		return "rate reached: " + rateText(q.GetRate())
	}
	return ""
}

func moneyText(q *stintv1.Queue) string {
	spent, reserved, overrun := q.GetStatus().GetSpentUsd(), q.GetStatus().GetReservedUsd(), q.GetStatus().GetOverrunUsd()
	text := fmt.Sprintf("%s USD spent and %s reserved of %s", usd(&spent), usd(&reserved), queueBudgetText(q.GetBudget()))
	if overrun > 0 {
		text += fmt.Sprintf(", %s above reservations", usd(&overrun))
	}
	if end := q.GetStatus().GetPeriodEndTime(); end != nil {
		return text + ", until " + clock(end)
	}
	return text + ", until it is raised"
}

// waitsForMoney asks of one ready task of a queue: one that does not fit what is left holds all others too.
func (c *Client) waitsForMoney(ctx context.Context, queue string) (bool, error) {
	p := &pager{c: c, left: 1, req: &stintv1.ListTasksRequest{View: stintv1.TaskView_TASK_VIEW_BASIC,
		Filter: &stintv1.TaskFilter{Queue: queue, States: []stintv1.TaskState{stintv1.TaskState_TASK_STATE_READY}}}}
	tasks, err := p.next(ctx)
	if err != nil || len(tasks) == 0 {
		return false, err
	}
	resp, err := call(ctx, c, "explain task "+tasks[0].GetId(), c.tasks.ExplainTask, &stintv1.ExplainTaskRequest{TaskId: tasks[0].GetId()})
	for _, r := range resp.GetReasons() {
		if r.GetCode() == stintv1.ExplanationCode_EXPLANATION_CODE_BUDGET {
			return true, nil
		}
	}
	return false, err
}

func (c *Client) showHeld(held []heldQueue) error {
	if len(held) == 0 {
		return nil
	}
	rows := [][]string{{"\nHELD QUEUE", "READY", "WHY"}}
	for _, h := range held {
		rows = append(rows, []string{h.queue.GetName(), strconv.FormatInt(h.queue.GetStatus().GetCounts().GetReady(), 10), h.why})
	}
	return c.out.table(rows...)
}
