package engine

import (
	"context"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

const retainEvery = time.Minute

type Engine struct{}

var _ API = (*Engine)(nil)

func New(c Config, l ledger.Ledger) (*Engine, error) { return &Engine{}, c.check() }
func (e *Engine) Run(ctx context.Context) error      { return ErrStopping }
func (e *Engine) Active() <-chan struct{}            { return nil }
func (e *Engine) GoingAway()                         {}
func (e *Engine) Import(ctx context.Context, tasks []queue.Imported) ([]bool, error) {
	return nil, ErrStopping
}
func (e *Engine) Submit(ctx context.Context, tasks []queue.Spec, generated []bool) ([]bool, error) {
	return nil, ErrStopping
}
func (e *Engine) Task(ctx context.Context, id string) (*Task, error) { return nil, ErrStopping }
func (e *Engine) List(ctx context.Context, q ledger.Query) ([]*Task, []byte, error) {
	return nil, nil, ErrStopping
}
func (e *Engine) Wait(ctx context.Context, id string, d time.Duration) (*Task, error) {
	return nil, ErrStopping
}
func (e *Engine) Cancel(ctx context.Context, items []queue.Choice, reason string) (int, error) {
	return 0, ErrStopping
}
func (e *Engine) Retry(ctx context.Context, items []queue.Choice, expire queue.Instant) (int, error) {
	return 0, ErrStopping
}
func (e *Engine) Explain(ctx context.Context, id string) (queue.State, []queue.Why, error) {
	return 0, nil, ErrStopping
}
func (e *Engine) Acquire(ctx context.Context, a Acquire) ([]Lease, error) { return nil, ErrStopping }
func (e *Engine) Extend(ctx context.Context, x []Extension) ([]ExtendOutcome, error) {
	return nil, ErrStopping
}
func (e *Engine) Report(ctx context.Context, r []Report) ([]ReportAck, error) {
	return nil, ErrStopping
}
func (e *Engine) Release(ctx context.Context, r []Release) ([]ReleaseOutcome, error) {
	return nil, ErrStopping
}
func (e *Engine) Connect(ctx context.Context, h Hello) (*Stream, error) { return nil, ErrStopping }
func (e *Engine) Agents(ctx context.Context, after string, limit int) ([]queue.AgentView, error) {
	return nil, ErrStopping
}
func (e *Engine) Agent(ctx context.Context, id string) (queue.AgentView, error) {
	return queue.AgentView{}, ErrStopping
}
func (e *Engine) DrainAgent(ctx context.Context, id string, timeout time.Duration) (queue.AgentView, error) {
	return queue.AgentView{}, ErrStopping
}
func (e *Engine) Queue(ctx context.Context, name string) (queue.QueueView, error) {
	return queue.QueueView{}, ErrStopping
}
func (e *Engine) Queues(ctx context.Context, after string, limit int) ([]queue.QueueView, error) {
	return nil, ErrStopping
}
func (e *Engine) SetPaused(ctx context.Context, name string, paused bool) (queue.QueueView, error) {
	return queue.QueueView{}, ErrStopping
}
func (e *Engine) Status(ctx context.Context) (Status, error) { return Status{}, ErrStopping }
func (e *Engine) Watch(ctx context.Context, after *int64, f EventFilter) (*Watcher, error) {
	return nil, ErrStopping
}

// Stream is one live stream of a session.
type Stream struct{}

// Welcome is what the agent is told first.
func (s *Stream) Welcome() Welcome { return Welcome{} }

// Send hands a message of the agent in.
func (s *Stream) Send(ctx context.Context, m Message) error { return ErrStopping }

// Receive waits for something to tell the agent, and gives all that is waiting.
func (s *Stream) Receive(ctx context.Context) (Out, error) { return Out{}, ErrStopping }

// Close ends the stream; the session stays.
func (s *Stream) Close() {}

// Watcher reads the history.
type Watcher struct{}

// Next gives the next events, and the sequence to resume after.
func (w *Watcher) Next(ctx context.Context) (events []queue.Event, bookmark int64, err error) {
	return nil, 0, ErrStopping
}

// Close ends the watch.
func (w *Watcher) Close() {}
