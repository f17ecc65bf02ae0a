package client

import (
	"context"
	"fmt"
	"strconv"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// List shows the tasks that f selects, newest first, or by id if f has a prefix; at most limit of them, 0 for all. JSON
// has the whole tasks, a table the gist.
func (c *Client) List(ctx context.Context, f Filter, limit int) error {
	filter, err := f.message(c.opts.Now())
	if err != nil {
		return err
	}
	if limit < 0 {
		return fmt.Errorf("client: limit %d is negative; give 0 for all tasks, or how many to show", limit)
	}
	view := stintv1.TaskView_TASK_VIEW_BASIC
	if c.out.json {
		view = stintv1.TaskView_TASK_VIEW_FULL
	}
	p := &pager{c: c, req: &stintv1.ListTasksRequest{Filter: filter, View: view}, left: limit, all: limit == 0}
	for first := true; ; first = false {
		tasks, err := p.next(ctx)
		if err != nil {
			return err
		}
		if err := showMore(c.out, taskLayout, first, tasks); err != nil || p.done {
			return err
		}
	}
}

// pager reads a list page by page.
type pager struct {
	c    *Client
	req  *stintv1.ListTasksRequest
	left int  // still wanted, unless all
	all  bool // no limit
	done bool // no more will come
}

// next answers up to pageSize tasks; pages that the coordinator cut short are put together, so that few show at once
// only at the end.
func (p *pager) next(ctx context.Context) ([]*stintv1.Task, error) {
	var tasks []*stintv1.Task
	for !p.done && len(tasks) < pageSize {
		size := pageSize - len(tasks)
		if !p.all {
			size = min(size, p.left)
		}
		p.req.PageSize = int32(size)
		resp, err := call(ctx, p.c, "list tasks", p.c.tasks.ListTasks, p.req)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, resp.GetTasks()...)
		p.left -= len(resp.GetTasks())
		p.req.PageToken = resp.GetNextPageToken()
		p.done = p.req.GetPageToken() == "" || (!p.all && p.left <= 0)
	}
	return tasks, nil
}

var taskLayout = layout[*stintv1.Task]{
	header: []string{"TASK", "QUEUE", "STATE", "RUN", "ATTEMPTS", "CREATED", "FINISHED", "NOTE"},
	row:    taskRow,
}

func taskRow(t *stintv1.Task) []string {
	s := t.GetStatus()
	return []string{
		t.GetId(),
		t.GetQueue(),
		bare(statePrefix, s.GetState()),
		strconv.Itoa(int(s.GetRun())),
		strconv.Itoa(attemptCount(s.GetAttempts())),
		clock(s.GetCreateTime()),
		clock(s.GetFinishTime()),
		taskNote(t),
	}
}

// attemptCount is how many attempts a task had, of which the newest are shown.
func attemptCount(shown []*stintv1.Attempt) int {
	if len(shown) == 0 {
		return 0
	}
	return int(shown[len(shown)-1].GetAttempt())
}

// taskNote says what matters most of a task in its state.
func taskNote(t *stintv1.Task) string {
	s := t.GetStatus()
	switch {
	case s.GetFailure() != nil:
		return failureText(s.GetFailure())
	case s.GetLease() != nil:
		return cell("on " + s.GetLease().GetAgentId() + progressText(s.GetLease()))
	case s.GetState() == stintv1.TaskState_TASK_STATE_SCHEDULED:
		return "until " + clock(s.GetReadyTime())
	case s.GetState() == stintv1.TaskState_TASK_STATE_BLOCKED:
		return fmt.Sprintf("depends on %d", len(t.GetDependsOn()))
	default:
		return ""
	}
}

// failureText is a failure cut to fit a table; "" for none.
func failureText(f *stintv1.Failure) string { return cell(failureLine(f)) }

// failureLine is a failure in one line, class first; "" for none.
func failureLine(f *stintv1.Failure) string {
	text := bare(classPrefix, f.GetFailureClass())
	if f.GetMessage() != "" {
		text += ": " + f.GetMessage()
	}
	return oneLine(text)
}

func progressText(l *stintv1.CurrentLease) string {
	text := ""
	if l.Progress != nil {
		text = fmt.Sprintf(" %.0f%%", 100*l.GetProgress())
	}
	if l.GetMessage() != "" {
		text += " " + l.GetMessage()
	}
	return text
}
