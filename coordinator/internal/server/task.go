package server

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// taskService serves TaskService.
type taskService struct {
	stintv1.UnsafeTaskServiceServer
	engine   engine.API
	ids      *ids
	now      func() time.Time
	stall    time.Duration   // bound of one Send of a watch
	stopping <-chan struct{} // closed when the server leaves
}

func (s *taskService) SubmitTask(ctx context.Context, r *stintv1.SubmitTaskRequest) (*stintv1.SubmitTaskResponse, error) {
	specs, generated, err := s.ids.specs([]*stintv1.Task{r.GetTask()}, func(int) string { return "task" })
	if err != nil {
		return nil, err
	}
	made, existed, err := s.engine.SubmitOne(ctx, specs[0], generated[0])
	if err != nil {
		return nil, ofOne(err)
	}
	task := r.GetTask() // with its id and the defaults: what was stored
	if task.Status = shownMade(made); task.Status == nil {
		if task, err = s.shown(ctx, specs[0].ID); err != nil {
			return nil, err
		}
	}
	return &stintv1.SubmitTaskResponse{Task: task, AlreadyExisted: existed}, nil
}

// ofOne gives an error of a batch of one the field paths of a single task.
func ofOne(err error) error {
	var e *queue.Error
	if !errors.As(err, &e) {
		return err
	}
	single := *e
	if rest, ok := strings.CutPrefix(e.Field, "tasks[0]"); ok {
		single.Field = "task" + rest
	}
	return &single
}

func (s *taskService) SubmitTasks(ctx context.Context, r *stintv1.SubmitTasksRequest) (*stintv1.SubmitTasksResponse, error) {
	specs, generated, err := s.ids.specs(r.GetTasks(), func(i int) string { return fmt.Sprintf("tasks[%d]", i) })
	if err != nil {
		return nil, err
	}
	existed, err := s.engine.Submit(ctx, specs, generated)
	if err != nil {
		return nil, err
	}
	results := make([]*stintv1.SubmitTasksResult, len(specs))
	for i := range specs {
		results[i] = &stintv1.SubmitTasksResult{TaskId: specs[i].ID, AlreadyExisted: at(existed, i)}
	}
	return &stintv1.SubmitTasksResponse{Results: results}, nil
}

// at reads a flag of a slice that may be nil, where none is set.
func at(flags []bool, i int) bool { return i < len(flags) && flags[i] }

func (s *taskService) GetTask(ctx context.Context, r *stintv1.GetTaskRequest) (*stintv1.GetTaskResponse, error) {
	task, err := s.shown(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	return &stintv1.GetTaskResponse{Task: task}, nil
}

// shown reads a task and translates all of it.
func (s *taskService) shown(ctx context.Context, id string) (*stintv1.Task, error) {
	t, err := s.engine.Task(ctx, id)
	if err != nil {
		return nil, err
	}
	return shownTask(t, stintv1.TaskView_TASK_VIEW_FULL, s.now())
}

// taskWait is how long a WaitTask waits.
func taskWait(r *stintv1.WaitTaskRequest) time.Duration { return within(r.GetTimeout(), defaultWait) }

func (s *taskService) WaitTask(ctx context.Context, r *stintv1.WaitTaskRequest) (*stintv1.WaitTaskResponse, error) {
	if f := checkSpan("timeout", r.GetTimeout()); f != nil {
		return nil, invalidFields(f)
	}
	t, err := s.engine.Wait(ctx, r.GetTaskId(), taskWait(r))
	if err != nil {
		return nil, err
	}
	task, err := shownTask(t, stintv1.TaskView_TASK_VIEW_FULL, s.now())
	if err != nil {
		return nil, err
	}
	return &stintv1.WaitTaskResponse{Task: task}, nil
}

func (s *taskService) CancelTask(ctx context.Context, r *stintv1.CancelTaskRequest) (*stintv1.CancelTaskResponse, error) {
	if _, err := s.engine.Cancel(ctx, choice(r.GetTaskId(), r.GetRun()), r.GetReason()); err != nil {
		return nil, err
	}
	task, err := s.shown(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	return &stintv1.CancelTaskResponse{Task: task}, nil
}

func (s *taskService) RetryTask(ctx context.Context, r *stintv1.RetryTaskRequest) (*stintv1.RetryTaskResponse, error) {
	if f := checkTime("expire_time", r.GetExpireTime()); f != nil {
		return nil, invalidFields(f)
	}
	if _, err := s.engine.Retry(ctx, choice(r.GetTaskId(), r.GetRun()), instant(r.GetExpireTime())); err != nil {
		return nil, err
	}
	task, err := s.shown(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	return &stintv1.RetryTaskResponse{Task: task}, nil
}

func choice(id string, run int32) []queue.Choice { return []queue.Choice{{ID: id, Run: run}} }

func (s *taskService) ExplainTask(ctx context.Context, r *stintv1.ExplainTaskRequest) (*stintv1.ExplainTaskResponse, error) {
	state, why, err := s.engine.Explain(ctx, r.GetTaskId())
	if err != nil {
		return nil, err
	}
	out := &stintv1.ExplainTaskResponse{State: stintv1.TaskState(state)}
	for _, w := range why {
		out.Reasons = append(out.Reasons, shownWhy(w))
	}
	return out, nil
}
