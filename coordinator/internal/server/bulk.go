package server

import (
	"context"
	"errors"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func (s *taskService) CancelTasks(ctx context.Context, r *stintv1.CancelTasksRequest) (*stintv1.CancelTasksResponse, error) {
	b := bulk{
		engine: s.engine, listing: cancelTasks, only: r.GetValidateOnly(),
		would: func(q queue.Status) bool { return !q.State.Terminal() },
		act: func(items []queue.Choice) (int, error) {
			return s.engine.Cancel(ctx, items, r.GetReason())
		},
	}
	if err := b.run(ctx, r.GetFilter(), r.GetPageToken()); err != nil {
		return nil, err
	}
	return &stintv1.CancelTasksResponse{Matched: b.matched, Changed: b.changed, NextPageToken: b.next}, nil
}

func (s *taskService) RetryTasks(ctx context.Context, r *stintv1.RetryTasksRequest) (*stintv1.RetryTasksResponse, error) {
	if f := checkTime("expire_time", r.GetExpireTime()); f != nil {
		return nil, invalidFields(f)
	}
	b := bulk{
		engine: s.engine, listing: retryTasks, only: r.GetValidateOnly(),
		would: func(q queue.Status) bool { return q.State.Terminal() && q.State != queue.Completed },
		act: func(items []queue.Choice) (int, error) {
			return s.engine.Retry(ctx, items, instant(r.GetExpireTime()))
		},
	}
	if err := b.run(ctx, r.GetFilter(), r.GetPageToken()); err != nil {
		return nil, err
	}
	// What would be refused is refused: the engine is not asked with validate_only.
	if now := s.now(); b.only && b.changed > 0 && r.ExpireTime != nil && !r.GetExpireTime().AsTime().After(now) {
		return nil, invalid("expire_time", "is %s, and it is %s here already; give a time in the future or none",
			r.GetExpireTime().AsTime().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return &stintv1.RetryTasksResponse{Matched: b.matched, Changed: b.changed, NextPageToken: b.next}, nil
}

// bulk changes a page of the tasks that a filter selects. A change names the run that was
// listed, so a task that has moved to another run since is left alone.
type bulk struct {
	engine  engine.API
	listing listing
	only    bool                    // count, change nothing
	would   func(queue.Status) bool // whether such a task would be changed
	act     func([]queue.Choice) (int, error)

	matched, changed int32
	next             string
}

func (b *bulk) run(ctx context.Context, f *stintv1.TaskFilter, token string) error {
	tasks, err := b.list(ctx, f, token)
	if err != nil {
		return err
	}
	var items []queue.Choice
	for _, t := range tasks {
		if b.would(t.Status) {
			items = append(items, queue.Choice{ID: t.Spec.ID, Run: t.Status.Run})
		}
	}
	b.matched, b.changed = int32(len(tasks)), int32(len(items))
	if b.only || len(items) == 0 {
		return nil
	}
	changed, err := b.act(items)
	if len(items) == 1 && passedOver(err) {
		changed, err = 0, nil
	}
	b.changed = int32(changed)
	return err
}

func (b *bulk) list(ctx context.Context, f *stintv1.TaskFilter, token string) ([]*engine.Task, error) {
	q, err := query("filter", f)
	if err != nil {
		return nil, err
	}
	if !selective(f) {
		return nil, invalid("filter", "has no condition and would select every task; set one, e.g. queue or states")
	}
	if q.Cursor, err = b.listing.cursor(token); err != nil {
		return nil, err
	}
	q.Limit = bulkPage
	tasks, cursor, err := b.engine.List(ctx, q)
	b.next = b.listing.token(cursor)
	return tasks, err
}

// passedOver tells whether an error is about the one task that was asked for. In a call for
// several, such a task is passed over; a page that has only one must not differ.
func passedOver(err error) bool {
	var e *queue.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Reason {
	case queue.TaskNotFound, queue.TaskCompleted, queue.DependencyNotFound, queue.BudgetTooLarge:
		return true
	}
	return false
}
