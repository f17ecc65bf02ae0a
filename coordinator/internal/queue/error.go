package queue

import (
	"fmt"
	"strings"
	"time"
)

// Reason is the machine-readable cause of a refusal. Its text is the contract's ErrorReason.
type Reason string

// The reasons of refusals.
const (
	FieldInvalid       Reason = "FIELD_INVALID"
	TaskIDRepeated     Reason = "TASK_ID_REPEATED"
	DependencyCycle    Reason = "DEPENDENCY_CYCLE"
	DependencyNotFound Reason = "DEPENDENCY_NOT_FOUND"
	TaskCompleted      Reason = "TASK_COMPLETED"
	TaskNotFound       Reason = "TASK_NOT_FOUND"
	QueueNotFound      Reason = "QUEUE_NOT_FOUND"
	AgentNotFound      Reason = "AGENT_NOT_FOUND"
	TaskExists         Reason = "TASK_EXISTS"
	AgentIDInUse       Reason = "AGENT_ID_IN_USE"
	QueueFull          Reason = "QUEUE_FULL"
	TooManyQueues      Reason = "TOO_MANY_QUEUES"
	TooManyLabelSets   Reason = "TOO_MANY_LABEL_SETS"
	BudgetTooLarge     Reason = "BUDGET_TOO_LARGE"
	EtagMismatch       Reason = "ETAG_MISMATCH"
)

// Error is a refusal. It is safe to show to any caller.
type Error struct {
	Reason     Reason
	Names      []string      // the tasks, queue or agent it is about
	Field      string        // FIELD_INVALID: path of the field, like "tasks[3].expire_time"
	Detail     string        // what is wrong and what to do
	RetryAfter time.Duration // 0: repeating does not help
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "queue: %s", e.Reason)
	if e.Field != "" {
		fmt.Fprintf(&b, " at %s", e.Field)
	}
	if len(e.Names) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(e.Names, ", "))
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	return b.String()
}
