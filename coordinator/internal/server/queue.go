package server

import (
	"context"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// queueService serves QueueService.
type queueService struct {
	stintv1.UnsafeQueueServiceServer
	engine  engine.API
	version string
}

func (s *queueService) GetQueue(ctx context.Context, r *stintv1.GetQueueRequest) (*stintv1.GetQueueResponse, error) {
	q, err := s.engine.Queue(ctx, r.GetQueue())
	if err != nil {
		return nil, err
	}
	return &stintv1.GetQueueResponse{Queue: shownQueue(q)}, nil
}

func (s *queueService) ListQueues(ctx context.Context, r *stintv1.ListQueuesRequest) (*stintv1.ListQueuesResponse, error) {
	after, err := listQueues.cursor(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pageSize(r.GetPageSize())
	queues, err := s.engine.Queues(ctx, string(after), size)
	if err != nil {
		return nil, err
	}
	out := &stintv1.ListQueuesResponse{}
	for _, q := range queues {
		out.Queues = append(out.Queues, shownQueue(q))
	}
	n := fitting(out.Queues)
	if out.Queues = out.Queues[:n]; n > 0 && (n < len(queues) || n >= size) {
		out.NextPageToken = listQueues.token([]byte(queues[n-1].Name))
	}
	return out, nil
}

func (s *queueService) PauseQueue(ctx context.Context, r *stintv1.PauseQueueRequest) (*stintv1.PauseQueueResponse, error) {
	q, err := s.engine.SetPaused(ctx, r.GetQueue(), true)
	if err != nil {
		return nil, err
	}
	return &stintv1.PauseQueueResponse{Queue: shownQueue(q)}, nil
}

func (s *queueService) ResumeQueue(ctx context.Context, r *stintv1.ResumeQueueRequest) (*stintv1.ResumeQueueResponse, error) {
	q, err := s.engine.SetPaused(ctx, r.GetQueue(), false)
	if err != nil {
		return nil, err
	}
	return &stintv1.ResumeQueueResponse{Queue: shownQueue(q)}, nil
}

func (s *queueService) UpdateQueue(ctx context.Context, r *stintv1.UpdateQueueRequest) (*stintv1.UpdateQueueResponse, error) {
	u, err := update(r)
	if err != nil {
		return nil, err
	}
	q, err := s.engine.UpdateQueue(ctx, u)
	if err != nil {
		return nil, err
	}
	return &stintv1.UpdateQueueResponse{Queue: shownQueue(q)}, nil
}

func (s *queueService) GetStatus(ctx context.Context, _ *stintv1.GetStatusRequest) (*stintv1.GetStatusResponse, error) {
	t, err := s.engine.Status(ctx)
	if err != nil {
		return nil, err
	}
	out := &stintv1.GetStatusResponse{
		LedgerId: t.LedgerID, Role: stintv1.CoordinatorRole_COORDINATOR_ROLE_ACTIVE, Version: s.version,
		Counts: shownCounts(t.Counts), NewestSequence: t.Newest, Uptime: span(t.Uptime),
	}
	if t.Oldest <= t.Newest {
		out.OldestSequence = t.Oldest
	}
	return out, nil
}
