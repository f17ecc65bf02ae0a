package engine

import (
	"context"
	"slices"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// List gives a page of tasks and the cursor of the next, nil after the last. The ledger selects;
// what the machine knows better of live tasks is laid over, and a task that has left the states
// asked for meanwhile is dropped. Errors: those of ledger.List, ErrStopping.
func (e *Engine) List(ctx context.Context, q ledger.Query) ([]*Task, []byte, error) {
	if err := e.running(); err != nil {
		return nil, nil, err
	}
	q.Now, _ = e.clock.read()
	page, err := e.ledger.List(ctx, q)
	if err != nil {
		return nil, nil, err
	}
	views, err := e.views(ctx, page.Tasks)
	if err != nil {
		return nil, nil, err
	}
	if err := e.refresh(ctx, &q, page.Tasks, views); err != nil {
		return nil, nil, err
	}
	out := make([]*Task, 0, len(page.Tasks))
	for _, t := range page.Tasks {
		if t == nil {
			continue
		}
		task := assemble(views[t.Spec.ID], t)
		if len(q.States) == 0 || slices.Contains(q.States, task.Status.State) {
			out = append(out, task)
		}
	}
	return out, page.Cursor, nil
}

// views gives what the machine holds of those tasks that the ledger shows as live. As it is
// asked after the ledger was read, what was read may leave too when it answers.
func (e *Engine) views(ctx context.Context, tasks []*ledger.Task) (map[string]*queue.TaskView, error) {
	return see(ctx, e, func(m *queue.Machine) (map[string]*queue.TaskView, error) {
		views := make(map[string]*queue.TaskView)
		for _, t := range tasks {
			if t.Live == nil {
				continue
			}
			if v := live(m, t.Spec.ID); v != nil {
				views[t.Spec.ID] = v
			}
		}
		return views, nil
	})
}

// refresh reads those tasks again that ended between the two looks. Pruned ones become nil.
func (e *Engine) refresh(ctx context.Context, q *ledger.Query, tasks []*ledger.Task, views map[string]*queue.TaskView) error {
	var at []int
	keys := ledger.Keys{Payload: q.Payload, Result: q.Result, History: q.History}
	for i, t := range tasks {
		if t.Live != nil && views[t.Spec.ID] == nil {
			at = append(at, i)
			keys.IDs = append(keys.IDs, t.Spec.ID)
		}
	}
	if len(at) == 0 {
		return nil
	}
	found, err := e.ledger.Get(ctx, keys)
	if err != nil {
		return err
	}
	for j, t := range found.IDs {
		tasks[at[j]] = t
	}
	return e.hold(ctx)
}

// Explain says why a task is not running. Errors: *queue.Error TASK_NOT_FOUND, ErrStopping.
func (e *Engine) Explain(ctx context.Context, id string) (queue.State, []queue.Why, error) {
	type answer struct {
		state queue.State
		whys  []queue.Why
		ok    bool
	}
	for try := 1; ; try++ {
		a, err := see(ctx, e, func(m *queue.Machine) (a answer, err error) {
			a.whys, a.state, a.ok = m.Explain(id)
			return a, nil
		})
		if err != nil {
			return 0, nil, err
		}
		if a.ok && !a.state.Terminal() {
			return a.state, a.whys, e.name(ctx, a.whys)
		}
		t, err := e.stored(ctx, ledger.Keys{IDs: []string{id}})
		switch {
		case err != nil:
			return 0, nil, err
		case t == nil:
			return 0, nil, notFound(id)
		case t.Terminal != nil:
			return t.Terminal.Status.State, []queue.Why{terminalWhy(t.Terminal)}, nil
		case try == taskTries: // retried again and again, and granted since
			return t.Live.Status.State, nil, nil
		}
	}
}

func terminalWhy(t *queue.Terminal) queue.Why {
	why := queue.Why{Code: queue.ExplainTerminal, Message: "it has completed"}
	if t.Status.State != queue.Completed {
		why.Message = "it has ended without success; RetryTask starts a new run"
		if t.Failure.Message != "" {
			why.Message += ": " + t.Failure.Message
		}
	}
	return why
}

// name fills in the ids of tasks that the machine knows by serial only.
func (e *Engine) name(ctx context.Context, whys []queue.Why) error {
	for i := range whys {
		w := &whys[i]
		if len(w.Serials) == 0 {
			continue
		}
		found, err := e.ledger.Get(ctx, ledger.Keys{Serials: w.Serials})
		if err != nil {
			return err
		}
		for _, k := range appendKnown(nil, found.Serials) {
			w.Tasks = append(w.Tasks, k.Spec.ID)
		}
	}
	return nil
}
