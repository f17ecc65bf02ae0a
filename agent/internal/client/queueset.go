package client

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// QueueSettings are changes to a queue as people type them; nil or empty: left as it is. Bounds are the coordinator's to
// check.
type QueueSettings struct {
	// MaxRunning and MaxPerKey bound the tasks that run at once, in all and for each concurrency key; 0: no limit.
	MaxRunning, MaxPerKey *int32
	// Rate is how fast tasks are granted, as in 5/s, 10/m, 100/h; 0 or none: no limit. It brings its own burst.
	Rate string
	// Burst is how many at once after a quiet time; 0: those of a second. It needs a rate.
	Burst         *int32
	Weight        *int32
	StrictFencing *bool
	// The defaults for tasks that leave them unset; 0: the general ones. RetryUnknownOutcome is fail, retry or none.
	RetryMaxAttempts                     *int32
	RetryInitialBackoff, RetryMaxBackoff *time.Duration
	RetryUnknownOutcome                  string
	// Budget is in US dollars, or none; Period the name of a period, which needs a budget.
	Budget, Period string
	// Etag is that of the queue as it must be still; empty: as it was read for this change.
	Etag string
}

// SetQueue changes the settings of a queue, which is made if it isn't there, and shows which of them are other now. What
// somebody else changes meanwhile makes it fail, with nothing changed.
func (c *Client) SetQueue(ctx context.Context, name string, s QueueSettings) error {
	before, err := c.queue(ctx, name)
	if err != nil && status.Code(err) != codes.NotFound {
		return err
	}
	req, err := s.request(name, before)
	if err != nil {
		return err
	}
	resp, err := change(ctx, c, "set queue "+name, c.queues.UpdateQueue, req)
	if err != nil {
		return err
	}
	return c.showChange(before, resp.GetQueue())
}

// request is the settings laid over those that were read.
func (s QueueSettings) request(name string, before *stintv1.Queue) (*stintv1.UpdateQueueRequest, error) {
	e := edit{queue: &stintv1.Queue{Name: name, Etag: before.GetEtag()}, mask: &fieldmaskpb.FieldMask{}}
	if s.Etag != "" {
		e.queue.Etag = s.Etag
	}
	number(&e, "max_running", s.MaxRunning, &e.queue.MaxRunning)
	number(&e, "max_running_per_key", s.MaxPerKey, &e.queue.MaxRunningPerKey)
	number(&e, "weight", s.Weight, &e.queue.Weight)
	number(&e, "strict_fencing", s.StrictFencing, &e.queue.StrictFencing)
	err := errors.Join(s.rate(&e, before.GetRate()), s.retry(&e, before.GetRetry()), s.budget(&e, before.GetBudget()))
	if err == nil && len(e.mask.GetPaths()) == 0 {
		err = errors.New("client: no setting is given; give one such as --max-running 5")
	}
	return &stintv1.UpdateQueueRequest{Queue: e.queue, UpdateMask: e.mask}, err
}

// edit is a queue with new values, and the names of the fields that have one.
type edit struct {
	queue *stintv1.Queue
	mask  *fieldmaskpb.FieldMask
}

func (e *edit) sets(field string) { e.mask.Paths = append(e.mask.Paths, field) }

// number sets a field that stands for itself.
func number[T any](e *edit, field string, given, to *T) {
	if given != nil {
		*to = *given
		e.sets(field)
	}
}

func (s QueueSettings) rate(e *edit, before *stintv1.QueueRate) error {
	if s.Rate == "" && s.Burst == nil {
		return nil
	}
	e.sets("rate")
	perSecond := before.GetPerSecond()
	if s.Rate != "" {
		var err error
		if perSecond, err = parseRate(s.Rate); err != nil {
			return err
		}
	}
	switch {
	case perSecond > 0:
		e.queue.Rate = &stintv1.QueueRate{PerSecond: perSecond}
		if s.Burst != nil {
			e.queue.Rate.Burst = *s.Burst
		}
	case s.Burst != nil:
		return fmt.Errorf("client: burst %d is given, and there is no rate; give --rate too, as in --rate 5/s", *s.Burst)
	}
	return nil
}

// spans are the times that a rate may be for, with their length in seconds.
var spans = map[string]float64{"s": 1, "m": 60, "h": 3600, "d": 86400}

// parseRate reads 5/s, 10/m, 100/h or 100/d; a number alone is for a second.
func parseRate(text string) (float64, error) {
	if text == none {
		return 0, nil
	}
	count, per, given := strings.Cut(text, "/")
	seconds := spans["s"]
	if given {
		seconds = spans[per]
	}
	n, err := strconv.ParseFloat(count, 64)
	if err != nil || seconds == 0 || math.IsNaN(n) || n < 0 || math.IsInf(n, 0) {
		return 0, fmt.Errorf("client: rate %q is no rate; give one as 5/s, 10/m, 100/h or 100/d, or none", text)
	}
	return n / seconds, nil
}

func (s QueueSettings) retry(e *edit, before *stintv1.RetryPolicy) error {
	if s.RetryMaxAttempts == nil && s.RetryInitialBackoff == nil && s.RetryMaxBackoff == nil && s.RetryUnknownOutcome == "" {
		return nil
	}
	e.sets("retry")
	policy := &stintv1.RetryPolicy{}
	if before != nil {
		policy = proto.CloneOf(before)
	}
	if s.RetryMaxAttempts != nil {
		policy.MaxAttempts = *s.RetryMaxAttempts
	}
	backoff(s.RetryInitialBackoff, &policy.InitialBackoff)
	backoff(s.RetryMaxBackoff, &policy.MaxBackoff)
	if s.RetryUnknownOutcome != "" {
		text := s.RetryUnknownOutcome
		if text == none {
			text = ""
		}
		outcome, err := parseName("retry-unknown-outcome", unknownPrefix, stintv1.UnknownOutcome_value, text)
		if err != nil {
			return err
		}
		policy.UnknownOutcome = stintv1.UnknownOutcome(outcome)
	}
	e.queue.Retry = policy
	return nil
}

func backoff(given *time.Duration, to **durationpb.Duration) {
	switch {
	case given == nil:
	case *given == 0:
		*to = nil
	default:
		*to = durationpb.New(*given)
	}
}

func (s QueueSettings) budget(e *edit, before *stintv1.QueueBudget) error {
	if s.Budget == "" && s.Period == "" {
		return nil
	}
	e.sets("budget")
	budget := &stintv1.QueueBudget{Period: before.GetPeriod()}
	if before != nil {
		budget.LimitUsd = before.LimitUsd
	}
	if s.Budget == none {
		budget.LimitUsd = nil
	} else if s.Budget != "" {
		limit, err := strconv.ParseFloat(s.Budget, 64)
		if err != nil {
			return fmt.Errorf("client: budget %q is no amount; give US dollars as in 20 or 0.5, or none", s.Budget)
		}
		budget.LimitUsd = &limit
	}
	if s.Period != "" {
		period, err := parseName("period", periodPrefix, stintv1.BudgetPeriod_value, s.Period)
		if err != nil {
			return err
		}
		budget.Period = stintv1.BudgetPeriod(period)
	}
	switch {
	case budget.LimitUsd != nil:
		e.queue.Budget = budget
	case s.Period != "":
		return fmt.Errorf("client: period %q is given, and there is no budget; give --budget too, as in --budget 20", s.Period)
	}
	return nil
}

// showChange shows what is other now; the whole queue as JSON.
func (c *Client) showChange(before, after *stintv1.Queue) error {
	if c.out.json {
		return c.out.message(after)
	}
	if before == nil {
		c.note("queue %s was made", after.GetName())
	}
	rows := [][]string{{"SETTING OF " + after.GetName(), "BEFORE", "NOW"}}
	was := settingRows(before)
	for i, row := range settingRows(after) {
		if row[1] != was[i][1] {
			rows = append(rows, []string{row[0], was[i][1], row[1]})
		}
	}
	if len(rows) == 1 {
		return c.out.text("queue " + after.GetName() + ": nothing changed\n")
	}
	return c.out.table(rows...)
}
