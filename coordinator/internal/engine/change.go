package engine

import (
	"context"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Cancel ends tasks that are not terminal.
func (e *Engine) Cancel(ctx context.Context, items []queue.Choice, reason string) (int, error) {
	cmd := &queue.Cancel{Items: items, Reason: reason}
	if err := e.do(ctx, cmd); err != nil {
		return 0, err
	}
	return cmd.Changed, cmd.Err
}

// Retry starts new runs of terminal tasks that did not complete. Errors: *queue.Error as in
// queue.Rerun, and DiskFull; ErrStopping.
func (e *Engine) Retry(ctx context.Context, items []queue.Choice, expire queue.Instant) (int, error) {
	cmd := &queue.Rerun{Items: items, ExpireTime: expire, NoRoom: e.room()}
	if err := e.do(ctx, cmd); err != nil {
		return 0, err
	}
	return cmd.Changed, cmd.Err
}
