package engine

import (
	"context"
	"sync"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Task gives one task, payload, result and history included. Errors: *queue.Error
// TASK_NOT_FOUND, ErrStopping, or that of the look-up.
func (e *Engine) Task(ctx context.Context, id string) (*Task, error) {
	for try := 1; ; try++ {
		view, err := e.view(ctx, id)
		if err != nil {
			return nil, err
		}
		stored, err := e.stored(ctx, ledger.Keys{IDs: []string{id}, Payload: true, Result: true, History: true})
		if err != nil {
			return nil, err
		}
		// Live, but not when the machine was asked: it has just been made or retried.
		moved := stored != nil && stored.Live != nil && view == nil
		if moved && try < taskTries {
			continue
		}
		if stored == nil {
			return nil, notFound(id)
		}
		return assemble(view, stored), nil
	}
}

// view gives what the machine holds of a task; nil if it is not live.
func (e *Engine) view(ctx context.Context, id string) (*queue.TaskView, error) {
	return see(ctx, e, func(m *queue.Machine) (*queue.TaskView, error) { return live(m, id), nil })
}

func live(m *queue.Machine, id string) *queue.TaskView {
	v, ok := m.Task(id)
	if !ok || v.Terminal {
		return nil
	}
	return &v
}

// notFound is the refusal about a task that neither memory nor ledger has.
func notFound(id string) error {
	return &queue.Error{
		Reason: queue.TaskNotFound, Names: []string{id},
		Detail: "no task of this id exists; it may have been pruned after its retention",
	}
}

// stored reads one task of the ledger, and holds it until it is durable.
func (e *Engine) stored(ctx context.Context, k ledger.Keys) (*ledger.Task, error) {
	found, err := e.ledger.Get(ctx, k)
	if err != nil {
		return nil, err
	}
	if err := e.hold(ctx); err != nil {
		return nil, err
	}
	return found.IDs[0], nil
}

// assemble puts a task together of what the machine held and what the ledger showed after that.
// The later of the two is right; of a task that lives in both only the machine knows how its
// lease goes, and what the ledger knows of later attempts is left out.
func assemble(view *queue.TaskView, t *ledger.Task) *Task {
	out := &Task{Spec: t.Spec, Attempts: t.Attempts}
	switch {
	case t.Terminal != nil:
		out.Status, out.Failure, out.Result = t.Terminal.Status, t.Terminal.Failure, t.Terminal.Result
		out.Attempts = withFinal(t.Attempts, t.Terminal.Final)
	case view != nil:
		out.Status, out.Lease = view.Status, view.Lease
		out.Attempts = ended(t.Attempts, view)
	default:
		out.Status = t.Live.Status
		if g := t.Live.Grant; out.Status.State == queue.Running {
			out.Lease = &queue.LeaseView{Agent: g.Agent, Attempt: out.Status.Attempt, Start: g.Start}
		}
	}
	if l := out.Lease; l != nil {
		out.Attempts = append(out.Attempts, queue.Attempt{
			Number: l.Attempt, Run: out.Status.Run, Agent: l.Agent, Start: l.Start,
			Outcome: queue.OutcomeRunning,
		})
	}
	return out
}

// withFinal adds the attempt of the terminal record, unless a later report has given it a record
// of its own.
func withFinal(attempts []queue.Attempt, final queue.Attempt) []queue.Attempt {
	if final.Number == 0 {
		return attempts
	}
	at := len(attempts)
	for i := range attempts {
		switch {
		case attempts[i].Number == final.Number:
			return attempts
		case attempts[i].Number > final.Number:
			at = min(at, i)
		}
	}
	out := append(make([]queue.Attempt, 0, len(attempts)+1), attempts[:at]...)
	return append(append(out, final), attempts[at:]...)
}

// ended are the attempts that had ended when the machine gave the view.
func ended(attempts []queue.Attempt, view *queue.TaskView) []queue.Attempt {
	n := 0
	for n < len(attempts) && attempts[n].Number <= view.Status.Attempt &&
		(view.Lease == nil || attempts[n].Number != view.Lease.Attempt) {
		n++
	}
	return attempts[:n:n]
}

// Wait gives the task once it is terminal, or as it is after d, when the engine leaves, or at
// once if it is terminal already. Errors are those of Task.
func (e *Engine) Wait(ctx context.Context, id string, d time.Duration) (*Task, error) {
	if err := e.serving(); err != nil {
		return nil, err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		end := e.waiters.add(id)
		t, err := e.Task(ctx, id)
		if err != nil || t.Status.State.Terminal() {
			e.waiters.remove(id, end)
			return t, err
		}
		select {
		case <-end: // it may have been retried since
			continue
		case <-timer.C:
		case <-e.leaving:
		case <-ctx.Done():
			e.waiters.remove(id, end)
			return nil, e.cut(ctx)
		case <-e.halted:
			e.waiters.remove(id, end)
			return nil, e.gone(ctx)
		}
		e.waiters.remove(id, end)
		return e.Task(ctx, id)
	}
}

// waiters are those who wait for tasks to end.
type waiters struct {
	mu   sync.Mutex
	byID map[string]map[chan struct{}]bool
}

// add gives a channel that closes when the task's next end has been released.
func (w *waiters) add(id string) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byID == nil {
		w.byID = make(map[string]map[chan struct{}]bool)
	}
	if w.byID[id] == nil {
		w.byID[id] = make(map[chan struct{}]bool)
	}
	end := make(chan struct{})
	w.byID[id][end] = true
	return end
}

func (w *waiters) remove(id string, end chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.byID[id], end)
	if len(w.byID[id]) == 0 {
		delete(w.byID, id)
	}
}

// end wakes those who wait for these tasks.
func (w *waiters) end(ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.byID) == 0 {
		return
	}
	for _, id := range ids {
		for end := range w.byID[id] {
			close(end)
		}
		delete(w.byID, id)
	}
}
