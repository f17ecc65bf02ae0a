package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// progressEvery is the pause between two notes of how far a change has come: seldom enough for a log.
const progressEvery = 2 * time.Second

// CancelMatching cancels all tasks that f selects, any number of them. They are counted first, and that is all if nobody
// confirms it: confirmed, or a yes to Options.Ask. An empty f is refused.
func (c *Client) CancelMatching(ctx context.Context, f Filter, reason string, confirmed bool) error {
	filter, err := f.message(c.opts.Now())
	if err != nil {
		return err
	}
	return c.changeMatching(ctx, f, confirmed, bulk{verb: "cancel", past: "cancelled",
		page: func(ctx context.Context, count bool, token string) (sums, string, error) {
			resp, err := changeOrCount(ctx, c, count, "cancel tasks", c.tasks.CancelTasks,
				&stintv1.CancelTasksRequest{Filter: filter, Reason: reason, ValidateOnly: count, PageToken: token})
			return sums{resp.GetMatched(), resp.GetChanged()}, resp.GetNextPageToken(), err
		},
		message: func(s sums) proto.Message {
			return &stintv1.CancelTasksResponse{Matched: s.matched, Changed: s.changed}
		}})
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
	return c.changeMatching(ctx, f, confirmed, bulk{verb: "retry", past: "retried",
		page: func(ctx context.Context, count bool, token string) (sums, string, error) {
			resp, err := changeOrCount(ctx, c, count, "retry tasks", c.tasks.RetryTasks,
				&stintv1.RetryTasksRequest{Filter: filter, ExpireTime: until, ValidateOnly: count, PageToken: token})
			return sums{resp.GetMatched(), resp.GetChanged()}, resp.GetNextPageToken(), err
		},
		message: func(s sums) proto.Message {
			return &stintv1.RetryTasksResponse{Matched: s.matched, Changed: s.changed}
		}})
}

// changeOrCount is change, but for a count, which has no effect that could be unknown.
func changeOrCount[Req, Resp any](ctx context.Context, c *Client, count bool, what string, f unary[Req, Resp], req *Req) (*Resp, error) {
	if count {
		return call(ctx, c, what, f, req)
	}
	return change(ctx, c, what, f, req)
}

// bulk is a change by filter.
type bulk struct {
	verb, past string // as in "cancel" and "cancelled"
	// page makes one call: it counts, or changes.
	page func(ctx context.Context, count bool, token string) (did sums, next string, err error)
	// message is what is shown as JSON.
	message func(sums) proto.Message
}

// sums are of the tasks selected, and of those changed or to be changed.
type sums struct{ matched, changed int32 }

// changeMatching counts, asks, and changes.
func (c *Client) changeMatching(ctx context.Context, f Filter, confirmed bool, b bulk) error {
	if f.Empty() {
		return errors.New("client: the filter is empty; give task ids, or a condition such as --state failed")
	}
	count, err := eachPage(ctx, b, true, func(sums) {})
	if err != nil {
		return err
	}
	if count.changed > 0 && !confirmed && c.opts.Ask != nil {
		question := fmt.Sprintf("%s %d of the %d tasks selected?", b.verb, count.changed, count.matched)
		if confirmed, err = c.opts.Ask(ctx, question); err != nil {
			return err
		}
	}
	switch {
	case count.changed == 0:
		return c.showBulk(b, count, "were")
	case !confirmed:
		c.note("nothing was changed: this was a count; give --yes to do it")
		return c.showBulk(b, count, "would be")
	}
	did, err := eachPage(ctx, b, false, c.bulkProgress(b, count))
	if err != nil && did.matched == 0 {
		return err
	}
	return errors.Join(err, c.showBulk(b, did, "were"))
}

// eachPage calls once for each page until one has no next, or fails; it answers the sums also then.
func eachPage(ctx context.Context, b bulk, count bool, progress func(sums)) (all sums, err error) {
	for token := ""; ; {
		did, next, err := b.page(ctx, count, token)
		all.matched += did.matched
		all.changed += did.changed
		if err != nil || next == "" {
			return all, err
		}
		token = next
		progress(all)
	}
}

// bulkProgress notes how far a change has come, now and then.
func (c *Client) bulkProgress(b bulk, of sums) func(sums) {
	last := c.opts.Now()
	return func(done sums) {
		if now := c.opts.Now(); now.Sub(last) >= progressEvery {
			last = now
			c.note("%s %d of %d tasks (%d%%)", b.past, done.changed, of.changed, min(100, 100*int64(done.changed)/int64(of.changed)))
		}
	}
}

func (c *Client) showBulk(b bulk, s sums, would string) error {
	if c.out.json {
		return c.out.message(b.message(s))
	}
	return c.out.text(fmt.Sprintf("tasks selected: %d, of which %s %s: %d\n", s.matched, would, b.past, s.changed))
}
