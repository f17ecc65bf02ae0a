package engine

import (
	"context"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// see runs f on the loop and gives what it saw once that may leave.
func see[T any](ctx context.Context, e *Engine, f func(*queue.Machine) (T, error)) (T, error) {
	return then(ctx, e, nil, f)
}

// then steps a command, if there is one, and right behind it in the same turn sees what came
// of it.
func then[T any](ctx context.Context, e *Engine, cmd queue.Command, f func(*queue.Machine) (T, error)) (T, error) {
	var seen, none T
	var refused error
	c := newCall(&queue.Read{F: func(m *queue.Machine) { seen, refused = f(m) }})
	if cmd != nil {
		before := newCall(cmd)
		before.next = c
		c = before
	}
	if err := e.doCall(ctx, c); err != nil {
		return none, err // the loop may still be at it
	}
	return seen, refused
}

// Agents gives up to limit agents with ids behind after, by id.
func (e *Engine) Agents(ctx context.Context, after string, limit int) ([]queue.AgentView, error) {
	return see(ctx, e, func(m *queue.Machine) ([]queue.AgentView, error) { return m.Agents(after, limit), nil })
}

// Agent gives one agent that has a session or holds leases.
func (e *Engine) Agent(ctx context.Context, id string) (queue.AgentView, error) {
	return see(ctx, e, func(m *queue.Machine) (queue.AgentView, error) { return m.Agent(id) })
}

// DrainAgent ends grants to an agent's present instance; a timeout of 0 is none.
func (e *Engine) DrainAgent(ctx context.Context, id string, timeout time.Duration) (queue.AgentView, error) {
	cmd := &queue.Drain{Agent: id, Timeout: timeout}
	return then(ctx, e, cmd, func(m *queue.Machine) (queue.AgentView, error) { return m.Agent(id) })
}

// Queues gives up to limit queues with names behind after, by name.
func (e *Engine) Queues(ctx context.Context, after string, limit int) ([]queue.QueueView, error) {
	return see(ctx, e, func(m *queue.Machine) ([]queue.QueueView, error) { return m.Queues(after, limit), nil })
}

// Queue gives one queue.
func (e *Engine) Queue(ctx context.Context, name string) (queue.QueueView, error) {
	return see(ctx, e, func(m *queue.Machine) (queue.QueueView, error) { return m.Queue(name) })
}

// SetPaused pauses or resumes a queue.
func (e *Engine) SetPaused(ctx context.Context, name string, paused bool) (queue.QueueView, error) {
	cmd := &queue.SetPaused{Queue: name, Paused: paused}
	return then(ctx, e, cmd, func(m *queue.Machine) (queue.QueueView, error) { return m.Queue(name) })
}

// UpdateQueue changes the settings of a queue, making it if need be.
func (e *Engine) UpdateQueue(ctx context.Context, u *queue.UpdateQueue) (queue.QueueView, error) {
	c := newCall(u)
	c.then = func() { // by the releaser: also if the caller has gone
		if u.Err == nil {
			e.retries.set(u.View.Name, u.View.Settings.Retry)
		}
		close(c.done)
	}
	if err := e.doCall(ctx, c); err != nil {
		return queue.QueueView{}, err
	}
	return u.View, u.Err
}

// Spend gives what was spent, by queue and name.
func (e *Engine) Spend(ctx context.Context, name string, by queue.SpendBy, after queue.SpendKey, limit int) ([]queue.SpendRecord, error) {
	return see(ctx, e, func(m *queue.Machine) ([]queue.SpendRecord, error) {
		if name != "" {
			if _, err := m.Queue(name); err != nil {
				return nil, err
			}
		}
		return m.Spend(name, by, after, limit), nil
	})
}

// Status gives the coordinator as a whole.
func (e *Engine) Status(ctx context.Context) (Status, error) {
	return see(ctx, e, func(m *queue.Machine) (Status, error) {
		h := m.Head()
		return Status{
			LedgerID: e.identity.ID, Counts: m.Counts(), Oldest: h.Oldest, Newest: h.Newest,
			Uptime: e.uptime(),
		}, nil
	})
}
