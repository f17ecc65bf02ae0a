package server

import (
	"context"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
)

func (s *taskService) ListTasks(ctx context.Context, r *stintv1.ListTasksRequest) (*stintv1.ListTasksResponse, error) {
	q, err := query("filter", r.GetFilter())
	if err != nil {
		return nil, err
	}
	if q.Cursor, err = listTasks.cursor(r.GetPageToken()); err != nil {
		return nil, err
	}
	view := r.GetView()
	if view == stintv1.TaskView_TASK_VIEW_UNSPECIFIED {
		view = stintv1.TaskView_TASK_VIEW_BASIC
	}
	q.Payload, q.History, q.Result = true, true, view == stintv1.TaskView_TASK_VIEW_FULL
	p := page{service: s, view: view, query: q, want: pageSize(r.GetPageSize())}
	if err := p.fill(ctx); err != nil {
		return nil, err
	}
	return &stintv1.ListTasksResponse{Tasks: p.tasks, NextPageToken: listTasks.token(p.query.Cursor)}, nil
}

// page gathers tasks until it has as many as wanted, the reply is full, enough was looked at,
// or there are no more. It reads a chunk at a time, since a page may weigh a gigabyte.
type page struct {
	service *taskService
	view    stintv1.TaskView
	query   ledger.Query // its cursor is where the next chunk begins
	want    int
	tasks   []*stintv1.Task
	size    int
}

func (p *page) fill(ctx context.Context) error {
	share := examined
	if p.want > listChunk {
		share = max(examined*listChunk/p.want, listChunk)
	}
	for budget := examined; budget > 0 && len(p.tasks) < p.want; budget -= share {
		p.query.Examine, p.query.Limit = min(share, budget), min(listChunk, p.want-len(p.tasks))
		full, err := p.chunk(ctx)
		if err != nil || full || p.query.Cursor == nil {
			return err
		}
	}
	return nil
}

// chunk adds the tasks of one read. If not all of them fit, it reads just those that do once
// more, for the cursor behind the last of them, and says that the page is full.
func (p *page) chunk(ctx context.Context) (full bool, err error) {
	tasks, cursor, err := p.read(ctx)
	if err != nil {
		return false, err
	}
	n := p.fit(tasks)
	if n == len(tasks) {
		p.query.Cursor = cursor
		p.take(tasks)
		return false, nil
	}
	if n == 0 {
		return true, nil
	}
	p.query.Limit = n
	if tasks, cursor, err = p.read(ctx); err != nil {
		return true, err
	}
	p.query.Cursor = cursor
	p.take(tasks)
	return true, nil
}

func (p *page) read(ctx context.Context) ([]*stintv1.Task, []byte, error) {
	found, cursor, err := p.service.engine.List(ctx, p.query)
	if err != nil {
		return nil, nil, err
	}
	tasks, now := make([]*stintv1.Task, len(found)), p.service.now()
	for i, t := range found {
		if tasks[i], err = shownTask(t, p.view, now); err != nil {
			return nil, nil, err
		}
	}
	return tasks, cursor, nil
}

// fit is how many of the tasks the reply still takes; the first of a page always.
func (p *page) fit(tasks []*stintv1.Task) int {
	size := p.size
	for i, t := range tasks {
		if size += proto.Size(t); size > maxReply && len(p.tasks)+i > 0 {
			return i
		}
	}
	return len(tasks)
}

func (p *page) take(tasks []*stintv1.Task) {
	for _, t := range tasks {
		p.size += proto.Size(t)
	}
	p.tasks = append(p.tasks, tasks...)
}
