package engine

import (
	"errors"
	"fmt"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// The errors of the engine that are not refusals (*queue.Error). Compare with errors.Is.
var (
	// ErrStopping: this coordinator leaves, or has not begun to serve (SHUTTING_DOWN).
	// Nothing was done; the call may be repeated elsewhere.
	ErrStopping = errors.New("engine: shutting down")
	// ErrReplaced: a newer stream took this one's place, of the same instance or of one that took
	// over from it (SESSION_REPLACED).
	ErrReplaced = errors.New("engine: session replaced by a newer stream")
	// ErrTooSlow: the stream's reader fell behind its bounded buffer (SESSION_TOO_SLOW).
	ErrTooSlow = errors.New("engine: session reads too slowly")
	// ErrFailed: the ledger failed, and the process is about to exit. Whether the call took
	// effect is unknown: the caller must not answer it as done, and must not answer it as
	// refused either (D5).
	ErrFailed = errors.New("engine: ledger failed")
)

// The reasons that the engine itself refuses with.
const (
	// DiskFull refuses submits and retries while less than Config.MinFree bytes are free; with RetryAfter.
	DiskFull queue.Reason = "DISK_FULL"
	// SequencePruned: a watch wants events that are no longer kept.
	SequencePruned queue.Reason = "SEQUENCE_PRUNED"
	// SequenceAhead: a watch wants to go on behind an event that does not exist yet.
	SequenceAhead queue.Reason = "SEQUENCE_AHEAD"
)

// SequenceError refuses a Watch: its sequence is outside of what is kept.
type SequenceError struct {
	Reason         queue.Reason // SequencePruned or SequenceAhead
	Oldest, Newest int64        // Oldest is Newest+1 when no event is kept
}

func (e *SequenceError) Error() string {
	return fmt.Sprintf("engine: %s: events %d to %d are kept", e.Reason, e.Oldest, e.Newest)
}

// TooSlowError cuts a watcher that can no longer be served without a gap (WATCHER_TOO_SLOW).
type TooSlowError struct {
	ResumeAfter int64 // watch again after this sequence
	Oldest      int64 // oldest event still kept
}

func (e *TooSlowError) Error() string {
	return fmt.Sprintf("engine: watcher too slow: resume after %d", e.ResumeAfter)
}
