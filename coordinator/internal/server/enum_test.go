package server

import (
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// The core's enums have the contract's numbers, so that a translation is a conversion. The
// names are written out here on purpose: they are what must not drift apart.
func TestEnumsAreTheContracts(t *testing.T) {
	check := func(prefix string, numbers map[string]int32, unsaid int, names map[string]int) {
		t.Helper()
		for name, core := range names {
			if n, ok := numbers[prefix+name]; !ok || int(n) != core {
				t.Errorf("%s%s is %d in the contract (there: %v) and %d in the core", prefix, name, n, ok, core)
			}
		}
		if got, want := len(numbers)-unsaid, len(names); got != want {
			t.Errorf("%s: the contract has %d values, the core %d", prefix, got, want)
		}
	}
	check("TASK_STATE_", stintv1.TaskState_value, 1, map[string]int{
		"BLOCKED": int(queue.Blocked), "SCHEDULED": int(queue.Scheduled), "READY": int(queue.Ready),
		"RUNNING": int(queue.Running), "COMPLETED": int(queue.Completed), "FAILED": int(queue.Failed),
		"CANCELLED": int(queue.Cancelled), "EXPIRED": int(queue.Expired), "QUARANTINED": int(queue.Quarantined),
	})
	check("FAILURE_CLASS_", stintv1.FailureClass_value, 1, map[string]int{
		"CONNECT": int(queue.ClassConnect), "TIMEOUT": int(queue.ClassTimeout),
		"RATE_LIMITED": int(queue.ClassRateLimited), "OVERLOADED": int(queue.ClassOverloaded),
		"AUTH": int(queue.ClassAuth), "OUT_OF_CREDIT": int(queue.ClassOutOfCredit),
		"INVALID_REQUEST": int(queue.ClassInvalidRequest), "SERVER_ERROR": int(queue.ClassServerError),
		"BAD_RESPONSE": int(queue.ClassBadResponse), "TASK_FAILED": int(queue.ClassTaskFailed),
		"RESULT_TOO_LARGE": int(queue.ClassResultTooLarge), "LEASE_EXPIRED": int(queue.ClassLeaseExpired),
		"INTERNAL": int(queue.ClassInternal), "CANCELLED": int(queue.ClassCancelled),
		"DEPENDENCY_FAILED": int(queue.ClassDependencyFailed), "DEADLINE": int(queue.ClassDeadline),
	})
	check("LEASE_END_REASON_", stintv1.LeaseEndReason_value, 1, map[string]int{
		"EXPIRED": int(queue.EndExpired), "UNCONFIRMED": int(queue.EndUnconfirmed),
		"RELEASED": int(queue.EndReleased), "TIMED_OUT": int(queue.EndTimedOut),
		"REPLACED": int(queue.EndReplaced), "CANCELLED": int(queue.EndCancelled),
		"SUPERSEDED": int(queue.EndSuperseded), "TERMINAL": int(queue.EndTerminal),
		"REPORTED": int(queue.EndReported), "UNKNOWN": int(queue.EndUnknown), "FENCED": int(queue.EndFenced),
	})
	check("ATTEMPT_OUTCOME_", stintv1.AttemptOutcome_value, 1, map[string]int{
		"RUNNING": int(queue.OutcomeRunning), "SUCCEEDED": int(queue.OutcomeSucceeded),
		"FAILED": int(queue.OutcomeFailed), "LOST": int(queue.OutcomeLost),
		"RELEASED": int(queue.OutcomeReleased), "UNCONFIRMED": int(queue.OutcomeUnconfirmed),
		"CANCELLED": int(queue.OutcomeCancelled), "SUPERSEDED": int(queue.OutcomeSuperseded),
	})
	check("REPORT_OUTCOME_", stintv1.ReportOutcome_value, 1, map[string]int{
		"RECORDED": int(queue.AckRecorded), "DUPLICATE": int(queue.AckDuplicate),
		"LEASE_LOST": int(queue.AckLeaseLost), "INVALID": int(queue.AckInvalid),
	})
	check("ON_DEPENDENCY_FAILURE_", stintv1.OnDependencyFailure_value, 1, map[string]int{
		"CANCEL": int(queue.PolicyCancel), "RUN": int(queue.PolicyRun), "WAIT": int(queue.PolicyWait),
	})
	check("UNKNOWN_OUTCOME_", stintv1.UnknownOutcome_value, 1, map[string]int{
		"FAIL": int(queue.UnknownFail), "RETRY": int(queue.UnknownRetry),
	})
	check("EVENT_KIND_", stintv1.EventKind_value, 1, map[string]int{
		"SUBMITTED": int(queue.EventSubmitted), "GRANTED": int(queue.EventGranted),
		"LEASE_ENDED": int(queue.EventLeaseEnded), "ATTEMPT_FAILED": int(queue.EventAttemptFailed),
		"COMPLETED": int(queue.EventCompleted), "FAILED": int(queue.EventFailed),
		"CANCELLED": int(queue.EventCancelled), "EXPIRED": int(queue.EventExpired),
		"QUARANTINED": int(queue.EventQuarantined), "RETRIED": int(queue.EventRetried),
		"PRUNED": int(queue.EventPruned), "QUEUE_CHANGED": int(queue.EventQueueChanged),
		"SPEND_SETTLED": int(queue.EventSpendSettled),
	})
	check("AGENT_STATE_", stintv1.AgentState_value, 1, map[string]int{
		"ONLINE": int(queue.AgentOnline), "OFFLINE": int(queue.AgentOffline),
		"DRAINING": int(queue.AgentDraining), "UNARY": int(queue.AgentUnary),
	})
	check("EXPLANATION_CODE_", stintv1.ExplanationCode_value, 1, map[string]int{
		"TERMINAL": int(queue.ExplainTerminal), "RUNNING": int(queue.ExplainRunning),
		"BLOCKED": int(queue.ExplainBlocked), "NOT_BEFORE": int(queue.ExplainNotBefore),
		"BACKING_OFF": int(queue.ExplainBackingOff), "QUEUE_PAUSED": int(queue.ExplainQueuePaused),
		"NO_MATCHING_AGENT": int(queue.ExplainNoMatchingAgent), "NO_FREE_AGENT": int(queue.ExplainNoFreeAgent),
		"QUEUE_LIMIT": int(queue.ExplainQueueLimit), "RATE_LIMIT": int(queue.ExplainRateLimit),
		"BUDGET": int(queue.ExplainBudget), "CONCURRENCY_KEY": int(queue.ExplainConcurrencyKey),
	})
	check("BUDGET_PERIOD_", stintv1.BudgetPeriod_value, 1, map[string]int{
		"TOTAL": int(queue.PeriodTotal), "HOUR": int(queue.PeriodHour),
		"DAY": int(queue.PeriodDay), "MONTH": int(queue.PeriodMonth),
	})
	check("SPEND_GROUP_", stintv1.SpendGroup_value, 1, map[string]int{
		"QUEUE": int(queue.ByQueue), "AGENT": int(queue.ByAgent), "FAIRNESS_KEY": int(queue.ByFairnessKey),
	})
}
