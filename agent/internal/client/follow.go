package client

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// followEvery is the pause between two looks: often enough to be live for an eye, seldom enough to cost nothing.
const followEvery = 500 * time.Millisecond

// Follow shows the counts as they change, with a bar of what is done, until no task is left to do, and then the failed
// tasks; forever, until ctx ends. A terminal is redrawn in place, elsewhere each change is a line. Tasks that stay
// BLOCKED for a failed one count as left. A coordinator that goes away meanwhile is waited for.
func (c *Client) Follow(ctx context.Context, forever bool) error {
	view := c.newView()
	tries := pause{}
	for seen := false; ; {
		s, leases, err := c.look(ctx)
		if after, repeat := again(err); err != nil {
			if !seen || !repeat || ctx.Err() != nil {
				return err
			}
			c.note("%s; trying again", cause(err))
			view.restart()
			if err := c.opts.Sleep(ctx, tries.next(after)); err != nil {
				return c.failed(ctx, "get status", err)
			}
			continue
		}
		seen = true
		tries.reset()
		if err := view.show(s, leases); err != nil {
			return err
		}
		if left(s.GetCounts()) == 0 && !forever {
			return c.showEnd(ctx, s)
		}
		if err := c.opts.Sleep(ctx, followEvery); err != nil {
			return c.failed(ctx, "get status", err)
		}
	}
}

// look asks for what a view shows; leases only where there is room for them.
func (c *Client) look(ctx context.Context) (*stintv1.GetStatusResponse, []*stintv1.Task, error) {
	s, err := c.status(ctx)
	if err != nil || c.opts.Width == nil || c.out.json || s.GetCounts().GetRunning() == 0 {
		return s, nil, err
	}
	running, err := c.runningTasks(ctx)
	return s, running, err
}

// left is how many tasks are not in a terminal state.
func left(n *stintv1.TaskCounts) int64 {
	return n.GetBlocked() + n.GetScheduled() + n.GetReady() + n.GetRunning()
}

// showEnd tells, when all is done, what went wrong.
func (c *Client) showEnd(ctx context.Context, s *stintv1.GetStatusResponse) error {
	if c.out.json || s.GetCounts().GetFailed()+s.GetCounts().GetQuarantined() == 0 {
		return nil
	}
	failed, err := c.failedTasks(ctx)
	if err != nil {
		return err
	}
	return c.showFailed(s.GetCounts(), failed)
}

// view is one way of showing counts that change.
type view interface {
	show(s *stintv1.GetStatusResponse, leases []*stintv1.Task) error
	// restart says that something else was written since the last show.
	restart()
}

func (c *Client) newView() view {
	switch {
	case c.out.json:
		return &jsonView{out: c.out}
	case c.opts.Width != nil:
		return &board{out: c.out, width: c.opts.Width}
	default:
		return &lines{out: c.out, now: c.opts.Now}
	}
}

// jsonView writes a line whenever the counts have changed.
type jsonView struct {
	out  printer
	last *stintv1.TaskCounts
}

func (v *jsonView) show(s *stintv1.GetStatusResponse, _ []*stintv1.Task) error {
	if v.last != nil && proto.Equal(v.last, s.GetCounts()) {
		return nil
	}
	v.last = s.GetCounts()
	return v.out.message(s)
}

func (v *jsonView) restart() {}
