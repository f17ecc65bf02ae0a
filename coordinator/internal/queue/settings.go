package queue

import "time"

// Settings are what an operator decides for a queue. The zero value limits nothing.
type Settings struct {
	MaxRunning    int32 // tasks running at once; 0: any number
	KeyLimit      int32 // tasks of one concurrency key running at once; 0: any number
	Rate          Rate
	Weight        int32 // share of the agents that several queues want, 1–1,000; 0 is taken as 1
	StrictFencing bool  // only the newest attempt's success counts
	Retry         RetryDefaults
	Budget        Budget
}

// Rate bounds the grants of a queue in time. The zero value is no bound.
type Rate struct {
	PerSecond float64 // 0: no bound
	Burst     int32   // grants at once after a pause, 1 or more; 0 is taken as 1
}

// RetryDefaults is the retry policy of tasks that state none; a field left zero has the
// general default. It is applied by who submits, not here.
type RetryDefaults struct {
	MaxAttempts    int32
	InitialBackoff time.Duration
	MaxBackoff     time.Duration
	Unknown        UnknownOutcome
}

// Period is the time that a budget is for.
type Period uint8

// The periods, in UTC. The numbers are those of the contract.
const (
	PeriodTotal Period = iota + 1
	PeriodHour
	PeriodDay
	PeriodMonth
)

// Budget is what the tasks of a queue may cost in a period.
type Budget struct {
	Set    bool // false: no bound; Limit is 0 then, and Period 0
	Limit  Micros
	Period Period // 0 is taken as PeriodTotal
}

// Mask names settings, one bit each.
type Mask uint32

// The settings that UpdateQueue changes.
const (
	MaskMaxRunning Mask = 1 << iota
	MaskKeyLimit
	MaskRate
	MaskWeight
	MaskStrictFencing
	MaskRetry
	MaskBudget
	MaskAll Mask = 1<<iota - 1
)

// UpdateQueue changes the settings that Mask names; a queue that does not exist is made. What
// is as it was changes nothing, and is no event.
type UpdateQueue struct {
	Queue    string
	Mask     Mask
	Settings Settings
	Etag     uint64 // the Version that the change is meant for; 0: any
	// Reply
	View QueueView // as changed
	Err  error     // *Error: ETAG_MISMATCH, FIELD_INVALID, QUEUE_NOT_FOUND (with an Etag), TOO_MANY_QUEUES
}

func (*UpdateQueue) isCommand() {}
