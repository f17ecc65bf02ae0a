package client

import (
	"context"
	"fmt"
	"strconv"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// statusTasks is how many failed tasks, and how many running ones, a status shows: what fits a screen.
const statusTasks = 20

// Status shows the counts by state, queues that a limit or an empty purse holds, the newest failed tasks with their errors,
// and the live leases.
func (c *Client) Status(ctx context.Context) error {
	s, err := c.status(ctx)
	if err != nil {
		return err
	}
	held, err := c.heldQueues(ctx)
	if err != nil {
		return err
	}
	failed, err := c.failedTasks(ctx)
	if err != nil {
		return err
	}
	running, err := c.runningTasks(ctx)
	if err != nil {
		return err
	}
	if c.out.json {
		if err := c.out.message(s); err != nil {
			return err
		}
		for _, h := range held {
			if err := c.out.message(h.queue); err != nil {
				return err
			}
		}
		return show(c.out, taskLayout, append(failed, running...)...)
	}
	if err := c.showCounts(s); err != nil {
		return err
	}
	if err := c.showHeld(held); err != nil {
		return err
	}
	if err := c.showFailed(s.GetCounts(), failed); err != nil {
		return err
	}
	return c.showLeases(s.GetCounts(), running)
}

func (c *Client) status(ctx context.Context) (*stintv1.GetStatusResponse, error) {
	return call(ctx, c, "get status", c.queues.GetStatus, &stintv1.GetStatusRequest{})
}

func (c *Client) failedTasks(ctx context.Context) ([]*stintv1.Task, error) {
	return c.someTasks(ctx, stintv1.TaskState_TASK_STATE_FAILED, stintv1.TaskState_TASK_STATE_QUARANTINED)
}

func (c *Client) runningTasks(ctx context.Context) ([]*stintv1.Task, error) {
	return c.someTasks(ctx, stintv1.TaskState_TASK_STATE_RUNNING)
}

func (c *Client) someTasks(ctx context.Context, states ...stintv1.TaskState) ([]*stintv1.Task, error) {
	req := &stintv1.ListTasksRequest{Filter: &stintv1.TaskFilter{States: states}, View: stintv1.TaskView_TASK_VIEW_BASIC}
	p := &pager{c: c, req: req, left: statusTasks}
	return p.next(ctx)
}

func (c *Client) showCounts(s *stintv1.GetStatusResponse) error {
	err := c.out.table([][]string{
		{"Coordinator", c.opts.Coordinator},
		{"Version", cell(s.GetVersion())},
		{"Role", bare(rolePrefix, s.GetRole())},
		{"Ledger", cell(s.GetLedgerId())},
		{"Uptime", span(s.GetUptime())},
		{"Events", fmt.Sprintf("%d to %d", s.GetOldestSequence(), s.GetNewestSequence())},
	}...)
	if err != nil {
		return err
	}
	return c.out.table(countRows(s.GetCounts())...)
}

// countRows are the counts by state, below an empty line.
func countRows(n *stintv1.TaskCounts) [][]string {
	rows := [][]string{{"\nSTATE", "TASKS"}}
	for _, one := range counted(n) {
		rows = append(rows, []string{one.name, strconv.FormatInt(one.tasks, 10)})
	}
	return append(rows, []string{"all", strconv.FormatInt(n.GetSubmitted(), 10)})
}

// count is how many tasks are in one state.
type count struct {
	name  string
	tasks int64
}

// counted are the counts in the order of a task's life; their sum is the number of all tasks.
func counted(n *stintv1.TaskCounts) []count {
	return []count{
		{"blocked", n.GetBlocked()},
		{"scheduled", n.GetScheduled()},
		{"ready", n.GetReady()},
		{"running", n.GetRunning()},
		{"completed", n.GetCompleted()},
		{"failed", n.GetFailed()},
		{"cancelled", n.GetCancelled()},
		{"expired", n.GetExpired()},
		{"quarantined", n.GetQuarantined()},
		{"pruned", n.GetPruned()},
	}
}

func (c *Client) showFailed(n *stintv1.TaskCounts, tasks []*stintv1.Task) error {
	if len(tasks) == 0 {
		return nil
	}
	rows := [][]string{{"\nFAILED TASK", "QUEUE", "ATTEMPTS", "FINISHED", "ERROR"}}
	for _, t := range tasks {
		s := t.GetStatus()
		rows = append(rows, []string{
			t.GetId(), t.GetQueue(), strconv.Itoa(len(s.GetAttempts())), clock(s.GetFinishTime()), failureText(s.GetFailure()),
		})
	}
	if err := c.out.table(rows...); err != nil {
		return err
	}
	return c.showRest(n.GetFailed()+n.GetQuarantined()-int64(len(tasks)), "failed,quarantined")
}

func (c *Client) showLeases(n *stintv1.TaskCounts, tasks []*stintv1.Task) error {
	if len(tasks) == 0 {
		return nil
	}
	rows := [][]string{{"\nLEASE OF", "ATTEMPT", "AGENT", "EXPIRES", "PROGRESS"}}
	for _, t := range tasks {
		l := t.GetStatus().GetLease()
		rows = append(rows, []string{
			t.GetId(), strconv.Itoa(int(l.GetAttempt())), cell(l.GetAgentId()), clock(l.GetExpireTime()), cell(progressText(l)),
		})
	}
	if err := c.out.table(rows...); err != nil {
		return err
	}
	return c.showRest(n.GetRunning()-int64(len(tasks)), "running")
}

// showRest says how many more tasks there are than were shown; states is the list command's flag.
func (c *Client) showRest(more int64, states string) error {
	if more <= 0 {
		return nil
	}
	return c.out.text(fmt.Sprintf("and %d more: stint-agent list --state %s\n", more, states))
}
