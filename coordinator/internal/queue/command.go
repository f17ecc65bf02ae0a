package queue

import "time"

// Command is something asked of the machine. The engine fills the fields above "Reply", hands
// it to Step, and may read the fields below once Step has named it in Effects.Done.
//
// A command that concerns tasks which the machine does not hold comes back in Effects.Missing
// instead, having changed nothing for the items named by its Need fields: the engine looks
// those up in the ledger, sets Looked and Known, and hands the command in again.
type Command interface{ isCommand() }

// Lookup is what the engine read from the ledger for a command.
type Lookup struct {
	Looked bool    // a look-up was made; what Known lacks is not in the ledger
	Known  []Known // tasks found, and the parents of tasks to be retried

	byID     map[string]int // built when first asked for
	bySerial map[Serial]int
}

func (l *Lookup) find(id string) *Known {
	if len(l.Known) == 0 {
		return nil
	}
	if l.byID == nil {
		l.byID = make(map[string]int, len(l.Known))
		for i := range l.Known {
			l.byID[l.Known[i].Spec.ID] = i
		}
	}
	if i, ok := l.byID[id]; ok {
		return &l.Known[i]
	}
	return nil
}

func (l *Lookup) findSerial(s Serial) *Known {
	if len(l.Known) == 0 {
		return nil
	}
	if l.bySerial == nil {
		l.bySerial = make(map[Serial]int, len(l.Known))
		for i := range l.Known {
			l.bySerial[l.Known[i].Spec.Serial] = i
		}
	}
	if i, ok := l.bySerial[s]; ok {
		return &l.Known[i]
	}
	return nil
}

// Answer puts what a look-up found into the command.
func (l *Lookup) Answer(known []Known) { *l = Lookup{Looked: true, Known: known} }

// Submit makes tasks: all or none. Ids that the submitter chose, and the ids in DependsOn that
// the batch does not hold itself, are looked up before the first Step.
type Submit struct {
	Lookup
	Tasks     []Spec // Serial and Parents unset
	Generated []bool // per task: the coordinator made its id, so it cannot exist; nil: none
	NoRoom    error  // refuses new tasks, not repeats: there is no room to store them; nil: there is
	// Reply
	Existed []bool // per task: it was there before, with the same content
	Made    Status // of the task of a call that made one, if it depends on none: as the call left it
	Err     error  // *Error: TASK_EXISTS, TASK_ID_REPEATED, DEPENDENCY_NOT_FOUND, DEPENDENCY_CYCLE, FIELD_INVALID, QUEUE_FULL, TOO_MANY_QUEUES, TOO_MANY_LABEL_SETS, BUDGET_TOO_LARGE
}

// Cancel ends tasks that are not terminal.
type Cancel struct {
	Lookup
	Items  []Choice
	Reason string
	// Reply
	Err     error // TASK_NOT_FOUND for a single item; items of a larger call that are gone are passed over
	Changed int
}

// Rerun is RetryTask: it starts a new run of terminal tasks that did not complete.
// The look-up brings each task and its parents.
type Rerun struct {
	Lookup
	Items      []Choice
	ExpireTime Instant // of the new run; 0: none
	NoRoom     error   // refuses new runs: there is no room to store them; nil: there is
	// Reply
	Err     error // FIELD_INVALID, NoRoom, QUEUE_FULL, TOO_MANY_LABEL_SETS; of a single item: TASK_NOT_FOUND, TASK_COMPLETED, DEPENDENCY_NOT_FOUND, BUDGET_TOO_LARGE
	Changed int
}

// Choice names a task, and the run it must be in; Run 0 is any.
type Choice struct {
	ID  string
	Run int32
}

// LeaseRef names a lease inside; the engine has checked its signature.
// The zero LeaseRef is a lease id that is malformed, forged or foreign.
type LeaseRef struct {
	Serial  Serial
	Attempt int32
}

// Report is what an agent says of a finished attempt.
type Report struct {
	Lease   LeaseRef
	Success bool
	Result  []byte // opaque; Success only
	Failure Failure
	Cost    Micros // what a success cost, if HasCost
	HasCost bool
	Digest  Digest // of the content reported
	// Invalid is set when a success could not be taken as one (too large, too deep): Failure
	// then says why, and the ack is INVALID with this message.
	Invalid string
	// Reply
	Ack    Ack
	End    EndReason
	Need   bool // the machine needs a look-up of this lease first
	Winner bool // this success completed the task
}

// Release gives a lease back.
type Release struct {
	Lease   LeaseRef
	Started bool
	// Reply
	Released bool
	End      EndReason
	Need     bool
}

// Extension names a held lease, with its progress.
type Extension struct {
	Lease       LeaseRef
	Progress    float64
	HasProgress bool
	Message     string
	// Reply (of unary calls; of a message only Need)
	Extended bool
	Left     time.Duration
	End      EndReason
	Need     bool
}

// ReportLeases takes reports of unary leases, and successes of any.
type ReportLeases struct {
	Lookup
	Reports []Report
}

// ReleaseLeases gives unary leases back.
type ReleaseLeases struct {
	Lookup
	Releases []Release
}

// ExtendLeases sets the deadline of unary leases to now + their length.
type ExtendLeases struct {
	Lookup
	Extensions []Extension
}

// Acquire asks for leases outside a session. It is Done when at least one lease was granted,
// when its wait is over, or when it was abandoned.
type Acquire struct {
	Agent   string
	Request string // request_id, or empty
	Max     int    // 1–100
	Length  time.Duration
	Wait    time.Duration
	Queues  []string // empty: all
	Labels  []Label
	// Reply
	Grants []Granted
	Err    error
}

// Abandon ends an Acquire whose caller has gone, once: if it waits, it is Done without leases; what
// was granted to it goes back as unconfirmed, unless a repeat, or the call that it repeats, has it.
type Abandon struct{ Acquire *Acquire }

// Granted is one lease given out. Payload is looked up by the engine.
type Granted struct {
	Lease    LeaseRef
	ID       string
	Run      int32
	Repeated bool          // by a call of the same request_id before: its caller may be running it
	Left     time.Duration // until it ends unless extended
	Live     Status        // the task's status as granted
}

// StreamID numbers the streams of sessions; the engine never uses one twice.
type StreamID uint64

// Connect is the hello of a session stream, with what the agent holds.
type Connect struct {
	Stream   StreamID
	Agent    string
	Instance string
	Version  string
	Labels   []Label
	Queues   []string // empty: all
	Slots    int32
	// Reply
	TTL      time.Duration // lease length of this session
	Interval time.Duration // between heartbeats: TTL/3
	Err      error         // AGENT_ID_IN_USE
}

// Message is one message of a connected stream. Parts are taken in the order of the fields.
// Reports, and leases in Held, that need a look-up come back in Missing; the rest of the message
// is done by then and is not repeated.
type Message struct {
	Lookup
	Stream    StreamID
	Reports   []Report
	Releases  []Release
	Beats     bool        // it has a heartbeat
	Held      []Extension // all leases held, if Beats
	RoundTrip time.Duration
	Credit    int64 // total since welcome; 0: unchanged
	Draining  bool
	// Reply
	Gone    bool       // the stream is not connected (any more); nothing was done
	Cancels []LeaseEnd // leases of this message that the agent should drop

	agent string // whose stream it came by, kept over a look-up
}

// Disconnect says that a stream has ended. The session stays.
type Disconnect struct{ Stream StreamID }

// LeaseEnd names a lease and why it is over.
type LeaseEnd struct {
	Lease  LeaseRef
	Reason EndReason
}

// SetPaused pauses or resumes a queue.
type SetPaused struct {
	Queue  string
	Paused bool
	// Reply
	Err error // QUEUE_NOT_FOUND
}

// Drain is DrainAgent: no more grants to the agent's present instance, and what it still holds when
// the timeout is up is released.
type Drain struct {
	Agent   string
	Timeout time.Duration // 0: none
	// Reply
	Err error // AGENT_NOT_FOUND
}

// Prune forgets terminal tasks whose retention has ended, and old events.
type Prune struct {
	Lookup           // the tasks, as stored
	Before   Instant // only tasks finished before this
	EventsTo int64   // drop events up to this sequence; 0: none
	Again    bool    // the tasks have been deferred before, and are so in the ledger
	// Reply
	Pruned   int
	Deferred []Serial // tasks kept because something live needs them: try again later
}

// Quiesce ends all grants: this coordinator is about to stop.
type Quiesce struct{}

// Import brings tasks of an older system in, terminal ones included: all or none.
type Import struct {
	Lookup
	Tasks []Imported
	// Reply
	Existed []bool
	Err     error
}

// Imported is a task as the older system left it.
type Imported struct {
	Spec    Spec
	State   State // Ready (or waiting for parents), Completed or Failed
	Result  []byte
	Failure Failure
	Agent   string
	Start   Instant
	Finish  Instant
	// Forgotten are those of Spec.DependsOn that the older system had pruned. If they are not here
	// either, the task is as if they had been pruned here.
	Forgotten []string
}

// Read runs F on the loop, on the state after the commands before it. F must not keep the machine.
type Read struct{ F func(*Machine) }

func (*Submit) isCommand()        {}
func (*Cancel) isCommand()        {}
func (*Rerun) isCommand()         {}
func (*ReportLeases) isCommand()  {}
func (*ReleaseLeases) isCommand() {}
func (*ExtendLeases) isCommand()  {}
func (*Acquire) isCommand()       {}
func (*Abandon) isCommand()       {}
func (*Connect) isCommand()       {}
func (*Message) isCommand()       {}
func (*Disconnect) isCommand()    {}
func (*SetPaused) isCommand()     {}
func (*Drain) isCommand()         {}
func (*Prune) isCommand()         {}
func (*Quiesce) isCommand()       {}
func (*Import) isCommand()        {}
func (*Read) isCommand()          {}
