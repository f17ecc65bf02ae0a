package queue

import "time"

// Input is one turn of the loop.
type Input struct {
	Now     Instant       // wall time; the machine never lets it go back
	Elapsed time.Duration // monotonic since this coordinator became active
	// Released is the number of the newest batch whose replies and grants have left, and
	// at Elapsed of this turn at the latest: the clocks of its grants start now.
	Released uint64
	// Settled is the lowest batch number that every look-up still under way has seen:
	// what ended in a batch up to it need not be remembered any more.
	Settled  uint64
	Commands []Command
}

// Effects is what a Step asks of its caller. The caller commits Batch (if it is not empty),
// waits until it is durable, and only then lets anything else in here leave the process.
// Effects without a batch leave after those of the batch before. The slices belong to the caller.
type Effects struct {
	Batch   *Batch    // nil: nothing to write
	Done    []Command // answered, in order; may hold an Acquire of an earlier Step
	Missing []Command // to be looked up and handed in again
	Streams []StreamOut
	// Ended are ids of tasks that became terminal, for those who wait for them.
	Ended []string
	// More tells that work is left over (a long cascade, many that expired, a task that a call held which has ended): step again at once.
	More bool
}

// StreamOut is what one session stream must be told, in one message.
type StreamOut struct {
	Stream  StreamID
	Grants  []Granted
	Cancels []LeaseEnd
	Drain   bool
	Left    time.Duration // with Drain: time left, 0 none
	Close   bool          // replaced by a newer stream, of the same instance or of one that took over
}
