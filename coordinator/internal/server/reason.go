package server

import (
	"time"

	"google.golang.org/grpc/codes"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// kind is the google.rpc detail that an error carries besides ErrorInfo.
type kind int

const (
	nothing      kind = iota
	badField          // BadRequest
	precondition      // PreconditionFailure, one violation for each name
	resource          // ResourceInfo
	quota             // QuotaFailure
)

// reasonRow says how a reason leaves.
type reasonRow struct {
	code    codes.Code
	detail  kind
	retry   time.Duration // of RetryInfo; 0: none, so repeating does not help
	subject string        // what the names are, for the details
	text    string        // for people, where the refusal brings no text; %s are the names
}

// reasons has a row for each reason of the contract.
var reasons = map[stintv1.ErrorReason]reasonRow{
	stintv1.ErrorReason_ERROR_REASON_FIELD_INVALID: {codes.InvalidArgument, badField, 0, "",
		"a field breaks its rule"},
	stintv1.ErrorReason_ERROR_REASON_REQUEST_TOO_LARGE: {codes.InvalidArgument, badField, 0, "",
		"the request is too large; split it"},
	stintv1.ErrorReason_ERROR_REASON_TASK_ID_REPEATED: {codes.InvalidArgument, badField, 0, "tasks",
		"task id %s stands twice in the call; drop one of them"},
	stintv1.ErrorReason_ERROR_REASON_DEPENDENCY_CYCLE: {codes.InvalidArgument, badField, 0, "tasks",
		"tasks depend on each other in a circle: %s; break it"},
	stintv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID: {codes.InvalidArgument, badField, 0, "",
		"not a token that this call gave for this filter; begin without one"},
	stintv1.ErrorReason_ERROR_REASON_SESSION_PROTOCOL: {codes.InvalidArgument, badField, 0, "hello",
		"the first message of a session must have hello, and no later one may"},
	stintv1.ErrorReason_ERROR_REASON_DEPENDENCY_NOT_FOUND: {codes.FailedPrecondition, precondition, 0, "task",
		"depends on tasks that do not exist: %s; submit them first or in the same call"},
	stintv1.ErrorReason_ERROR_REASON_TASK_COMPLETED: {codes.FailedPrecondition, precondition, 0, "task",
		"task %s is COMPLETED and has its result; submit a new task"},
	stintv1.ErrorReason_ERROR_REASON_VERSION_UNSUPPORTED: {codes.FailedPrecondition, precondition, 0, "protocol_version",
		"protocol version %s is not spoken here; use 1"},
	stintv1.ErrorReason_ERROR_REASON_TASK_NOT_FOUND: {codes.NotFound, resource, 0, "task",
		"no task %s: it was never submitted, or its retention has ended"},
	stintv1.ErrorReason_ERROR_REASON_QUEUE_NOT_FOUND: {codes.NotFound, resource, 0, "queue",
		"no queue %s: the first submit to it makes it; ListQueues shows those there are"},
	stintv1.ErrorReason_ERROR_REASON_AGENT_NOT_FOUND: {codes.NotFound, resource, 0, "agent",
		"no agent %s has a session or holds a lease; ListAgents shows those that do"},
	stintv1.ErrorReason_ERROR_REASON_TASK_EXISTS: {codes.AlreadyExists, resource, 0, "task",
		"task %s exists with other content; use another id"},
	stintv1.ErrorReason_ERROR_REASON_AGENT_ID_IN_USE: {codes.AlreadyExists, resource, retryAfter, "agent",
		"another instance of agent %s has a live stream; keep trying, or use another agent id"},
	stintv1.ErrorReason_ERROR_REASON_SEQUENCE_PRUNED: {codes.OutOfRange, badField, 0, "",
		"events after this sequence are no longer kept; read the tasks anew and watch from newest_sequence, or start at 0"},
	stintv1.ErrorReason_ERROR_REASON_SEQUENCE_AHEAD: {codes.OutOfRange, badField, 0, "",
		"no such sequence yet: it is of another ledger; read the tasks anew and watch from newest_sequence, or start at 0"},
	stintv1.ErrorReason_ERROR_REASON_QUEUE_FULL: {codes.ResourceExhausted, quota, retryAfter, "live tasks",
		"as many live tasks as this coordinator takes; repeat when some have finished"},
	stintv1.ErrorReason_ERROR_REASON_DISK_FULL: {codes.ResourceExhausted, quota, retryAfter, "disk",
		"too little free disk at the coordinator; free some, then repeat"},
	stintv1.ErrorReason_ERROR_REASON_TOO_MANY_QUEUES: {codes.ResourceExhausted, quota, 0, "queues",
		"no room for queue %s; use an existing queue"},
	stintv1.ErrorReason_ERROR_REASON_TOO_MANY_LABEL_SETS: {codes.ResourceExhausted, quota, retryAfter, "label sets",
		"too many different sets of required labels; use fewer kinds of requires, or repeat when tasks have finished"},
	stintv1.ErrorReason_ERROR_REASON_TOO_MANY_WAITS: {codes.ResourceExhausted, quota, retryAfter, "waits",
		"too many calls of this connection wait; use another connection, or wait for fewer at once"},
	stintv1.ErrorReason_ERROR_REASON_WATCHER_TOO_SLOW: {codes.ResourceExhausted, quota, retryAfter, "watch",
		"events were not read in time; watch again after resume_after_sequence, nothing is lost"},
	stintv1.ErrorReason_ERROR_REASON_SESSION_TOO_SLOW: {codes.ResourceExhausted, quota, retryAfter, "session",
		"the session was not read in time; dial again, its leases live on"},
	stintv1.ErrorReason_ERROR_REASON_SESSION_REPLACED: {codes.Aborted, nothing, 0, "",
		"a newer stream took its place: of the same instance, or of another that took over the agent id while this one was silent"},
	stintv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN: {codes.Unavailable, nothing, 0, "",
		"the coordinator is leaving or not yet there; repeat the call"},
	stintv1.ErrorReason_ERROR_REASON_BUDGET_TOO_LARGE: {codes.FailedPrecondition, precondition, 0, "queue",
		"a task may cost more than the whole budget of queue %s; lower its max_usd, or raise the queue's limit_usd"},
	stintv1.ErrorReason_ERROR_REASON_ETAG_MISMATCH: {codes.Aborted, nothing, 0, "",
		"the queue was changed since this etag was read; read the queue anew and update with its etag"},
	stintv1.ErrorReason_ERROR_REASON_INTERNAL: {codes.Internal, nothing, 0, "",
		"a fault of the coordinator, told in its log; whether the call took effect is unknown"},
}
