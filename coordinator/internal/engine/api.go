package engine

import (
	"context"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// API is what the server may ask of the engine. All methods may be called from any number of
// goroutines. Refusals are *queue.Error; ErrStopping means that this coordinator leaves.
// Nothing is returned before what it tells of is durable (D3).
type API interface {
	// Submit makes tasks, all or none. generated[i] says that the id of tasks[i] was made here.
	Submit(ctx context.Context, tasks []queue.Spec, generated []bool) (existed []bool, err error)
	// SubmitOne makes a task. made is how the call left a new one, with state 0 if that takes a
	// read to tell: it was there before, or depends on others.
	SubmitOne(ctx context.Context, task queue.Spec, generated bool) (made queue.Status, existed bool, err error)
	// Task gives one task as it is now.
	Task(ctx context.Context, id string) (*Task, error)
	// List gives a page of tasks; Now of the query is filled in here.
	List(ctx context.Context, q ledger.Query) ([]*Task, []byte, error)
	// Wait gives the task once it is terminal, or as it is after d, or when the engine stops.
	Wait(ctx context.Context, id string, d time.Duration) (*Task, error)
	Cancel(ctx context.Context, items []queue.Choice, reason string) (changed int, err error)
	Retry(ctx context.Context, items []queue.Choice, expire queue.Instant) (changed int, err error)
	Explain(ctx context.Context, id string) (queue.State, []queue.Why, error)

	// Acquire grants leases to a caller without a session. If ctx ends before the answer could
	// be handed over, what was granted goes back. A lease whose parents have brought too much
	// ends as failed and is not handed over, here and on a stream.
	Acquire(ctx context.Context, a Acquire) ([]Lease, error)
	Extend(ctx context.Context, x []Extension) ([]ExtendOutcome, error)
	Report(ctx context.Context, r []Report) ([]ReportAck, error)
	Release(ctx context.Context, r []Release) ([]ReleaseOutcome, error)

	// Connect opens a session stream. The caller must Close it.
	Connect(ctx context.Context, h Hello) (*Stream, error)

	Agents(ctx context.Context, after string, limit int) ([]queue.AgentView, error)
	Agent(ctx context.Context, id string) (queue.AgentView, error)
	DrainAgent(ctx context.Context, id string, timeout time.Duration) (queue.AgentView, error)

	Queue(ctx context.Context, name string) (queue.QueueView, error)
	Queues(ctx context.Context, after string, limit int) ([]queue.QueueView, error)
	SetPaused(ctx context.Context, name string, paused bool) (queue.QueueView, error)
	// UpdateQueue changes settings, and makes the queue if there is none. u is not to be used again.
	UpdateQueue(ctx context.Context, u *queue.UpdateQueue) (queue.QueueView, error)
	// Spend gives up to limit sums of one group behind after; of all queues if name is empty.
	Spend(ctx context.Context, name string, by queue.SpendBy, after queue.SpendKey, limit int) ([]queue.SpendRecord, error)
	// RetryDefaults are those of a queue, zero for one that does not exist. They do not block.
	RetryDefaults(name string) queue.RetryDefaults
	Status(ctx context.Context) (Status, error)

	// Watch starts a reader of the history behind the given sequence.
	Watch(ctx context.Context, after *int64, f EventFilter) (*Watcher, error)
}

// Task is one task, put together of what the machine and the ledger hold.
type Task struct {
	Spec     queue.Spec // with payload
	Status   queue.Status
	Failure  queue.Failure    // terminal states but COMPLETED
	Result   []byte           // COMPLETED
	Lease    *queue.LeaseView // RUNNING
	Attempts []queue.Attempt  // by number, the running one included (outcome RUNNING)
}

// Acquire is a request for leases of the unary calls.
type Acquire struct {
	Agent, Request string
	Max            int
	Length, Wait   time.Duration
	Queues         []string
	Labels         []queue.Label
}

// Lease is a lease to hand to an agent. Payload is the task as the contract spells it.
type Lease struct {
	ID       string // opaque, unforgeable
	TaskID   string
	Attempt  int32
	Run      int32
	Left     time.Duration
	Payload  []byte
	Status   queue.Status
	Priority int32
	Repeated bool     // an earlier Acquire of the same Request was answered with it: its caller may be running it
	Parents  []Parent // what became of the tasks that it depends on, in their order
}

// Parent is a task that a leased one depends on, as it stands when the lease is handed over.
type Parent struct {
	ID      string
	State   queue.State   // 0: its retention has ended
	Result  []byte        // COMPLETED
	Failure queue.Failure // terminal states but COMPLETED
}

// Report is what an agent says of a finished attempt; see queue.Report for the fields.
type Report struct {
	LeaseID string
	Success bool
	Result  []byte
	Failure queue.Failure
	Cost    queue.Micros
	HasCost bool
	Digest  queue.Digest
	Invalid string
}

// ReportAck answers a Report.
type ReportAck struct {
	LeaseID string
	Ack     queue.Ack
	End     queue.EndReason
	Message string
}

// Release gives a lease back.
type Release struct {
	LeaseID string
	Started bool
}

// ReleaseOutcome answers a Release.
type ReleaseOutcome struct {
	LeaseID  string
	Released bool
	End      queue.EndReason
}

// Extension names a held lease.
type Extension struct {
	LeaseID     string
	Progress    float64
	HasProgress bool
	Message     string
}

// ExtendOutcome answers an Extension of the unary calls.
type ExtendOutcome struct {
	LeaseID  string
	Extended bool
	Left     time.Duration
	End      queue.EndReason
}

// Hello opens a session stream, together with the parts of its first message.
type Hello struct {
	Agent, Instance, Version string
	Labels                   []queue.Label
	Queues                   []string
	Slots                    int32
	First                    Message
}

// Message is one message of an agent.
type Message struct {
	Reports   []Report
	Releases  []Release
	Beats     bool // it has a heartbeat, with Number and all leases held
	Number    int64
	Held      []Extension
	RoundTrip time.Duration
	Credit    int64
	Draining  bool
}

// Out is one message to an agent; any combination of parts.
type Out struct {
	Grants          []Lease
	Acks            []ReportAck
	Cancels         []Cancel
	HasHeartbeatAck bool
	HeartbeatAck    int64 // the heartbeat's number, which may be 0
	Drain           bool
	DrainLeft       time.Duration // 0: no bound
	GoingAway       bool
}

// Cancel tells an agent to drop a lease.
type Cancel struct {
	LeaseID string
	Reason  queue.EndReason
}

// Welcome is what a new stream is told first.
type Welcome struct {
	LedgerID      string
	TTL, Interval time.Duration
}

// Status is the coordinator as a whole.
type Status struct {
	LedgerID       string
	Counts         queue.Counts
	Oldest, Newest int64
	Uptime         time.Duration
}

// EventFilter selects events; empty fields select all.
type EventFilter struct {
	Queue string
	Tasks []string
	Kinds []queue.EventKind
}
