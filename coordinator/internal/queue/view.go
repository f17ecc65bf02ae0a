package queue

import "time"

// TaskView is a live task as the machine holds it.
type TaskView struct {
	Serial   Serial
	ID       string
	Queue    string
	Status   Status
	Lease    *LeaseView // RUNNING only
	Terminal bool       // it has just ended: read the ledger
}

// LeaseView is a live lease.
type LeaseView struct {
	Agent       string
	Attempt     int32
	Start       Instant
	Left        time.Duration // until it ends unless extended
	Progress    float64
	HasProgress bool
	Message     string
}

// AgentView is an agent that has a stream or holds leases.
type AgentView struct {
	ID, Instance, Version string
	State                 AgentState
	Labels                []Label
	Queues                []string
	Slots, Held           int32
	Connected             Instant
	Heard                 Instant
	RoundTrip             time.Duration
}

// QueueView is a queue's settings and counts.
type QueueView struct { //nolint:revive // one of the views, beside AgentView and TaskView
	Name        string
	Paused      bool
	Counts      Counts
	OldestReady time.Duration // age of the oldest READY task, 0 if none
	Settings    Settings
	Version     uint64
	Running     int64
	Spend       SpendView
	RateTokens  float64 // grants that Rate allows at once; 0 without a rate
}

// SpendView is a queue's spend in its budget's present period.
type SpendView struct {
	Start, End Instant // 0: PeriodTotal
	Settled    Micros
	Reserved   Micros // by attempts that were granted in this period and run
	Overrun    Micros
}

// Why is one reason why a task is not running.
type Why struct {
	Code    Explanation
	Message string
	Tasks   []string
	Serials []Serial // tasks that only the ledger knows by id
	Until   Instant
	// Position is the number of READY tasks of its queue that come first, where that is cheap to
	// tell (NO_FREE_AGENT); 0: none, or not told.
	Position int32
}
