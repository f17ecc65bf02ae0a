package client

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// CancelMatching cancels all tasks that f selects. Unless confirmed, it only counts them and changes nothing. An empty f
// is refused.
func (c *Client) CancelMatching(ctx context.Context, f Filter, reason string, confirmed bool) error {
	filter, err := f.message(c.opts.Now())
	if err != nil {
		return err
	}
	req := &stintv1.CancelTasksRequest{Filter: filter, Reason: reason, ValidateOnly: !confirmed}
	sum := &stintv1.CancelTasksResponse{}
	err = eachPage(f, func() (string, error) {
		resp, err := change(ctx, c, "cancel tasks", c.tasks.CancelTasks, req)
		sum.Matched += resp.GetMatched()
		sum.Changed += resp.GetChanged()
		req.PageToken = resp.GetNextPageToken()
		return req.GetPageToken(), err
	})
	return c.showBulk(bulk{verb: "cancelled", confirmed: confirmed, sum: sum, counts: sum}, err)
}

// RetryMatching starts a new run of all tasks that f selects, as CancelMatching cancels them. expire is as in Retry.
func (c *Client) RetryMatching(ctx context.Context, f Filter, expire string, confirmed bool) error {
	filter, err := f.message(c.opts.Now())
	if err != nil {
		return err
	}
	until, err := moment("expire-time", expire, c.opts.Now(), ahead)
	if err != nil {
		return err
	}
	req := &stintv1.RetryTasksRequest{Filter: filter, ExpireTime: until, ValidateOnly: !confirmed}
	sum := &stintv1.RetryTasksResponse{}
	err = eachPage(f, func() (string, error) {
		resp, err := change(ctx, c, "retry tasks", c.tasks.RetryTasks, req)
		sum.Matched += resp.GetMatched()
		sum.Changed += resp.GetChanged()
		req.PageToken = resp.GetNextPageToken()
		return req.GetPageToken(), err
	})
	return c.showBulk(bulk{verb: "retried", confirmed: confirmed, sum: sum, counts: sum}, err)
}

// eachPage calls once for each page until one has no next, or fails.
func eachPage(f Filter, page func() (next string, err error)) error {
	if f.Empty() {
		return errors.New("client: the filter is empty; give task ids, or a condition such as --state failed")
	}
	for {
		next, err := page()
		if err != nil || next == "" {
			return err
		}
	}
}

// bulk is what a change by filter came to.
type bulk struct {
	verb      string // what was done to the tasks
	confirmed bool
	sum       proto.Message
	counts    interface {
		GetMatched() int32
		GetChanged() int32
	}
}

// showBulk tells the sums, also those of a change that broke off in the middle.
func (c *Client) showBulk(b bulk, err error) error {
	if err != nil && b.counts.GetMatched() == 0 {
		return err
	}
	return errors.Join(err, c.writeBulk(b))
}

func (c *Client) writeBulk(b bulk) error {
	if !b.confirmed {
		c.note("nothing was changed: this was a count; give --yes to do it")
	}
	if c.out.json {
		return c.out.message(b.sum)
	}
	would := "were"
	if !b.confirmed {
		would = "would be"
	}
	return c.out.text(fmt.Sprintf("tasks selected: %d, of which %s %s: %d\n", b.counts.GetMatched(), would, b.verb, b.counts.GetChanged()))
}
