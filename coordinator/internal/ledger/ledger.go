package ledger

import (
	"context"
	"errors"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Ledger is the durable record behind the coordinator. After Lead, one goroutine commits;
// Get, List and Events may be called from any number at the same time.
type Ledger interface {
	// Lead makes this process the one that writes, creating the ledger if there is none, and
	// says whose ledger it is. ErrLocked: another process has it; ErrFormat: written by a
	// newer version; ErrCorrupt: refuse to serve.
	Lead(ctx context.Context) (Identity, error)

	// Load hands over the head, then each queue, each record of what was spent, each live task
	// by serial, and each deferred task, in this order. A ledger without batches has a head with NextSerial and Oldest 1.
	// An error of the receiver ends it and is returned; ErrCorrupt: refuse to serve.
	Load(ctx context.Context, to Receiver) error

	// Commit applies a batch and returns a wait for its durability. Reads see the batch once
	// Commit has returned. Waits end in the order of their batches. An error of either is
	// final: the caller acknowledges nothing more and exits (D5).
	// The wait must be called, from any goroutine; called again it answers the same.
	Commit(b *queue.Batch) (wait func() error, err error)

	// Get looks tasks up, in the order asked for; a nil entry is not in the ledger.
	Get(ctx context.Context, k Keys) (Found, error)

	// List gives one page of tasks, with their specs. ErrCursor: the cursor is not one of this query.
	List(ctx context.Context, q Query) (Page, error)

	// Events gives events with sequences above after, in order, whole commits only, about
	// limit of them, with the oldest and newest sequence kept.
	Events(ctx context.Context, after int64, limit int) (EventPage, error)

	// Close gives the lead up. Nothing else may be under way.
	Close() error
}

// The errors of a ledger; wrapped with what was being done.
var (
	ErrLocked  = errors.New("ledger: held by another process")
	ErrFormat  = errors.New("ledger: written in a format that this version does not know")
	ErrCorrupt = errors.New("ledger: unreadable data")
	ErrCursor  = errors.New("ledger: cursor of another query")
	ErrClosed  = errors.New("ledger: closed")
)

// Identity names a ledger; both fields are random and as old as the ledger.
type Identity struct {
	ID     string   // a ULID
	Secret [32]byte // signs lease ids; never leaves the process
}

// Receiver takes what Load reads. It keeps nothing that it is handed.
type Receiver interface {
	Head(queue.Head) error
	Queue(*queue.QueueRecord) error
	Spend(*queue.SpendRecord) error
	Live(*queue.Live) error
	// Deferred takes a terminal task that is due for pruning and was deferred.
	Deferred(queue.Serial) error
}

// Keys says what to look up.
type Keys struct {
	IDs      []string
	Serials  []queue.Serial
	Attempts []queue.AttemptKey // attempts with records of their own
	Payload  bool               // fill Spec.Payload
	Result   bool               // fill Terminal.Result
	History  bool               // fill Task.Attempts
	Spec     bool               // fill Task.Spec for Serials too; it always is for IDs
}

// Found answers Keys, each slice in the order of its keys.
type Found struct {
	IDs      []*Task
	Serials  []*Task
	Attempts []*queue.Attempt
}

// Task is all that is stored of a task. Exactly one of Live and Terminal is set.
type Task struct {
	Spec     queue.Spec
	Live     *queue.Live
	Terminal *queue.Terminal
	Attempts []queue.Attempt // by number, if Status.MayHaveAttempts; ended attempts with records of their own
}

// Query selects tasks: newest first, or by id if IDPrefix is set.
type Query struct {
	Queue         string
	States        []queue.State // empty: all
	Labels        []queue.Label // all must be there, with these values
	IDPrefix      string
	FinishedAfter queue.Instant // 0: any
	Now           queue.Instant // a SCHEDULED task whose time has come counts as READY
	Cursor        []byte        // of the page before, nil for the first
	Limit         int           // tasks in the page, 1–1,000
	Examine       int           // tasks looked at, at most
	Payload       bool          // fill Spec.Payload
	Result        bool          // fill Terminal.Result
	History       bool          // fill Attempts
}

// Page is an answer to Query. It may be short, or empty, and still have a Cursor: it ends
// also when it has read much, so that large payloads and results do not add up.
type Page struct {
	Tasks  []*Task
	Cursor []byte // nil: this was the last page
}

// EventPage is an answer to Events.
type EventPage struct {
	Events         []queue.Event
	Oldest, Newest int64 // of all kept; Oldest is Newest+1 when none is
}
