package queue

import (
	"crypto/sha256"
	"time"
)

// Serial is a task's number inside: rising, never reused, from 1.
type Serial uint64

// Instant is a wall time in microseconds since 1970-01-01 UTC; 0 is unset.
type Instant int64

func (i Instant) String() string {
	return time.UnixMicro(int64(i)).UTC().Format("2006-01-02T15:04:05.999999Z07:00")
}

// Digest is the first half of a SHA-256 over content, to compare repeats.
type Digest [16]byte

// DigestOf is the digest of content in its one deterministic encoding.
func DigestOf(content []byte) (d Digest) {
	sum := sha256.Sum256(content)
	copy(d[:], sum[:])
	return d
}

// Micros is money in millionths of a US dollar.
type Micros int64

// Label is one key and its value.
type Label struct{ Key, Value string }

// Retry is a task's retry policy with all defaults filled in.
type Retry struct {
	MaxAttempts    int32         // counted failures a run may have, 1–100
	InitialBackoff time.Duration // 0–1 h
	MaxBackoff     time.Duration // 0–24 h
	Unknown        UnknownOutcome
}

// Spec is what submit fixed of a task. It never changes; all defaults are filled in.
type Spec struct {
	Serial         Serial // set by the machine
	ID             string
	Digest         Digest // of the content that a repeated submit must match
	Queue          string
	Priority       int32 // −100…100
	DependsOn      []string
	Parents        []Serial // of DependsOn, in its order, 0 for one forgotten before an import; set by the machine
	OnFailure      Policy
	NotBefore      Instant
	ExpireTime     Instant
	AttemptTimeout time.Duration
	Retry          Retry
	Requires       []Requirement // canonical
	Labels         []Label       // sorted by key; for filters only
	MaxCost        Micros        // reserved while an attempt runs
	FairnessKey    string
	ConcurrencyKey string
	Payload        []byte // the task as the contract spells it; opaque here
}

// Status is what changes of a task.
type Status struct {
	State      State
	Run        int32 // from 1
	Attempt    int32 // newest attempt over all runs, 0 before the first
	Create     Instant
	Ready      Instant // when it became or becomes READY; 0 while BLOCKED
	Start      Instant // first grant of this run
	Finish     Instant // terminal states only
	NotBefore  Instant // of this run
	ExpireTime Instant // of this run
	Counted    int32   // failures of a counting class in this run
	Lost       int32   // lost leases in this run
	Uncounted  int32   // RATE_LIMITED and OVERLOADED failures in this run
	Denied     int32   // AUTH and OUT_OF_CREDIT failures in this run
	Spent      Micros  // what its attempts settled at as of this record; an attempt settled later moves its own record alone
	BackingOff bool    // SCHEDULED because of a failure, not of not_before
	Spilled    bool    // the task outlived an attempt: records of their own exist in the ledger
}

// MayHaveAttempts tells whether attempt records of the task may be in the ledger. A report that
// comes after the end writes one to settle its cost, which a task that completed at its only
// attempt cannot have.
func (s *Status) MayHaveAttempts() bool {
	return s.Spilled || s.State.Terminal() && s.State != Completed && s.Attempt > 0
}

// Grant is what is kept of a lease: the part of a live record that a restart needs.
type Grant struct {
	Agent    string
	Instance string        // empty for a lease of the unary calls
	Request  string        // request_id of AcquireLeases, or empty
	Length   time.Duration // lease length; of a session its TTL at the grant
	Start    Instant
}

// Unary tells whether the lease was granted by AcquireLeases.
func (g Grant) Unary() bool { return g.Instance == "" }

// Live is the record of a task that is not terminal: all that a restart needs.
// Labels and payload stay in the spec; Parents are kept only while BLOCKED.
type Live struct {
	Serial         Serial
	ID             string
	Digest         Digest
	Queue          string
	Priority       int32
	Parents        []Serial // while BLOCKED: the parents it may still wait for
	OnFailure      Policy
	AttemptTimeout time.Duration
	Retry          Retry
	Requires       []Requirement
	MaxCost        Micros
	FairnessKey    string
	ConcurrencyKey string
	Status         Status
	Grant          Grant // zero unless RUNNING
}

// Failure says why an attempt or a task failed.
type Failure struct {
	Class      Class // 0: none
	Message    string
	HTTPStatus int32
	RetryAfter time.Duration
	Cost       Micros
	HasCost    bool
}

// Attempt is the record of an attempt that has ended.
type Attempt struct {
	Number   int32
	Run      int32
	Agent    string
	Unary    bool // granted by AcquireLeases
	Start    Instant
	Finish   Instant
	Outcome  Outcome
	End      EndReason // how the lease ended; EndReported after a report
	Reported bool      // a report of it was recorded, accepted or not
	Digest   Digest    // of that report's content
	Failure  Failure   // outcome FAILED, LOST
	Cost     Micros    // what its agent says that it cost, if HasCost
	HasCost  bool
	Reserved Micros // set aside for it while it ran
	Spent    Micros // what it settled at: provisional until Settled
	Settled  bool   // by a report, once and for all
}

// Terminal is the record of a task in a terminal state.
type Terminal struct {
	Serial  Serial
	ID      string
	Queue   string
	Status  Status
	Failure Failure // all states but COMPLETED
	// Final is the attempt that this change ended, Number 0 if none. An attempt record
	// of the same number, written by a later report, overrides it.
	Final  Attempt
	Result []byte // COMPLETED only; opaque here
}

// AttemptKey names one attempt of one task.
type AttemptKey struct {
	Serial Serial
	Number int32
}

// AttemptRecord is an attempt stored on its own, because its task lived on.
type AttemptRecord struct {
	Serial Serial
	Attempt
}

// Counts are tasks by state, over all time for Submitted and Pruned.
// Submitted = the sum of States + Pruned, always (Q1).
type Counts struct {
	Submitted int64
	States    [States]int64 // by State; index 0 unused
	Pruned    int64
}

// QueueRecord is a queue as stored: its settings, its counts and its spend.
type QueueRecord struct { //nolint:revive // one of the records, and a Queue is not what it is
	Name     string
	Paused   bool
	Counts   Counts
	Settings Settings
	Version  uint64 // rises with each change of Paused and Settings
	Spend    PeriodSpend
}

// Event is one entry of the coordinator's ordered history.
type Event struct {
	Sequence int64
	Time     Instant
	Kind     EventKind
	Task     string
	Serial   Serial // 0 for events of queues
	Queue    string
	Run      int32
	Attempt  int32
	Agent    string
	Reason   string // text for people
	End      EndReason
	Class    Class
	Cost     Micros // what the attempt settled at, if HasCost
	HasCost  bool
}

// Head is the ledger's own state as of a batch.
type Head struct {
	Batch      uint64 // number of the newest batch, from 1
	NextSerial Serial
	Newest     int64   // newest event sequence, 0 before the first
	Oldest     int64   // oldest event kept; Newest+1 when none is
	Now        Instant // newest wall time told to the machine
}

// Batch is all that one commit writes: every record or none. Within it, puts stand for the
// state after the batch; a serial is never both put and deleted in the same slice pair.
// The ledger owns the slices until Commit returns; it must not keep them.
type Batch struct {
	Head          Head
	Specs         []Spec // new tasks, with payload
	Live          []Live
	DropLive      []Serial
	Terminal      []Terminal
	DropTerminal  []Serial // retried
	Attempts      []AttemptRecord
	Queues        []QueueRecord
	Spends        []SpendRecord // absolute values, each row once
	Events        []Event       // one packed record
	Prune         []Pruned
	Deferred      []Serial // terminal tasks due for pruning that still have live dependents
	PruneEventsTo int64    // drop events up to this sequence; 0: none
}

// mostKept bounds the slices that a recycled batch keeps, in elements: a burst should not be
// paid for for ever.
const mostKept = 4096

// reset empties the batch for another use.
func (b *Batch) reset() {
	*b = Batch{
		Specs: emptied(b.Specs), Live: emptied(b.Live), DropLive: emptied(b.DropLive), Terminal: emptied(b.Terminal),
		DropTerminal: emptied(b.DropTerminal), Attempts: emptied(b.Attempts), Queues: emptied(b.Queues),
		Spends: emptied(b.Spends), Events: emptied(b.Events), Prune: emptied(b.Prune), Deferred: emptied(b.Deferred),
	}
}

// emptied gives the room of s, without what it held.
func emptied[T any](s []T) []T {
	if cap(s) > mostKept {
		return nil
	}
	clear(s)
	return s[:0]
}

// Pruned names a terminal task to be forgotten: spec, terminal record, attempts, deferral.
type Pruned struct {
	Serial  Serial
	ID      string
	Spilled bool
}

// Empty tells whether there is nothing to write.
func (b *Batch) Empty() bool {
	return len(b.Specs) == 0 && len(b.Live) == 0 && len(b.DropLive) == 0 && len(b.Terminal) == 0 &&
		len(b.DropTerminal) == 0 && len(b.Attempts) == 0 && len(b.Queues) == 0 && len(b.Events) == 0 &&
		len(b.Prune) == 0 && len(b.Deferred) == 0 && b.PruneEventsTo == 0
}

// Known is one task as the ledger had it when the engine looked it up.
type Known struct {
	Spec     Spec   // payload may be left out
	Status   Status // as stored
	Failure  Failure
	Final    Attempt
	Attempts []Attempt // those asked for that have a record of their own
}
