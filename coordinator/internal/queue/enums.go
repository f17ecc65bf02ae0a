package queue

import "fmt"

// State is where a task stands. The numbers are those of the contract.
type State uint8

// The states.
const (
	Blocked     State = iota + 1 // waits for tasks it depends on
	Scheduled                    // waits for a time: not_before or a back-off
	Ready                        // may be granted
	Running                      // has a live lease
	Completed                    // terminal: a result is recorded
	Failed                       // terminal
	Cancelled                    // terminal
	Expired                      // terminal: expire_time passed without success
	Quarantined                  // terminal: too many lost leases
)

// Terminal tells whether only RetryTask can move the task again.
func (s State) Terminal() bool { return s >= Completed }

// States is one more than the highest state, for arrays indexed by State.
const States = int(Quarantined) + 1

var stateNames = [States]string{
	Blocked: "BLOCKED", Scheduled: "SCHEDULED", Ready: "READY", Running: "RUNNING", Completed: "COMPLETED",
	Failed: "FAILED", Cancelled: "CANCELLED", Expired: "EXPIRED", Quarantined: "QUARANTINED",
}

func (s State) String() string {
	if int(s) < States && stateNames[s] != "" {
		return stateNames[s]
	}
	return fmt.Sprintf("State(%d)", s)
}

// Class says why an attempt failed. The numbers are those of the contract.
type Class uint8

// The classes; what follows from each is told in failure.go.
const (
	ClassConnect Class = iota + 1
	ClassTimeout
	ClassRateLimited
	ClassOverloaded
	ClassAuth
	ClassOutOfCredit
	ClassInvalidRequest
	ClassServerError
	ClassBadResponse
	ClassTaskFailed
	ClassResultTooLarge
	ClassLeaseExpired
	ClassInternal
	ClassCancelled
	ClassDependencyFailed
	ClassDeadline
)

// EndReason says how a lease ended, or why something said of it was refused.
type EndReason uint8

// The reasons.
const (
	EndExpired EndReason = iota + 1
	EndUnconfirmed
	EndReleased
	EndTimedOut
	EndReplaced
	EndCancelled
	EndSuperseded
	EndTerminal
	EndReported
	EndUnknown
	EndFenced // strict_fencing: a newer attempt was granted
)

// Outcome is what became of an attempt.
type Outcome uint8

// The outcomes.
const (
	OutcomeRunning Outcome = iota + 1
	OutcomeSucceeded
	OutcomeFailed
	OutcomeLost
	OutcomeReleased
	OutcomeUnconfirmed
	OutcomeCancelled
	OutcomeSuperseded
)

// Ack is the answer to a report.
type Ack uint8

// The acks.
const (
	AckRecorded Ack = iota + 1
	AckDuplicate
	AckLeaseLost
	AckInvalid
)

// Policy says what becomes of a task when one it depends on fails.
type Policy uint8

// The policies.
const (
	PolicyCancel Policy = iota + 1
	PolicyRun
	PolicyWait
)

// UnknownOutcome says whether a task may run again when it is not known
// whether an attempt took effect. Zero: TIMEOUT fails, a lost lease goes on.
type UnknownOutcome uint8

// The choices.
const (
	UnknownFail UnknownOutcome = iota + 1
	UnknownRetry
)

// EventKind names an entry of the ordered history.
type EventKind uint8

// The kinds.
const (
	EventSubmitted EventKind = iota + 1
	EventGranted
	EventLeaseEnded
	EventAttemptFailed
	EventCompleted
	EventFailed
	EventCancelled
	EventExpired
	EventQuarantined
	EventRetried
	EventPruned
	EventQueueChanged
	EventSpendSettled // a late report changed what its attempt cost
)

// AgentState is how an agent stands with the coordinator.
type AgentState uint8

// The states of an agent.
const (
	AgentOnline   AgentState = iota + 1
	AgentOffline             // no stream, holds leases
	AgentDraining            // finishes what it holds, gets nothing more
	AgentUnary               // holds leases of unary calls only
)

// Explanation is a reason why a task is not running.
type Explanation uint8

// The explanations.
const (
	ExplainTerminal Explanation = iota + 1
	ExplainRunning
	ExplainBlocked
	ExplainNotBefore
	ExplainBackingOff
	ExplainQueuePaused
	ExplainNoMatchingAgent
	ExplainNoFreeAgent
	ExplainQueueLimit
	ExplainRateLimit
	ExplainBudget
	ExplainConcurrencyKey
)
