package session

import (
	"testing"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Only a call that succeeds ends the trouble: until then one slot is offered, so that an API which answers faults between
// refusals does not eat the queue.
func TestTroubleEndsWithASuccess(t *testing.T) {
	const slots = 4
	refused := &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_AUTH, HttpStatus: 401}
	for _, c := range []struct {
		name    string
		failure *stintv1.Failure
		want    int
	}{
		{"success", nil, slots},
		{"the API did the call and failed the task", &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_TASK_FAILED, HttpStatus: 200}, slots},
		{"invalid request", &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_INVALID_REQUEST, HttpStatus: 404}, 1},
		{"server error", &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_SERVER_ERROR, HttpStatus: 502}, 1},
		{"no answer", &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_TIMEOUT}, 1},
		{"refused again", refused, 0},
	} {
		now := time.Unix(0, 0)
		var x trouble
		x.observe(now, &stintv1.Report{Failure: refused})
		now = now.Add(firstRefusedWait)
		report := &stintv1.Report{Failure: c.failure}
		if c.failure == nil {
			report.Result = &stintv1.Result{}
		}
		x.observe(now, report)
		if got := x.slots(now, slots); got != c.want {
			t.Errorf("%s: %d slots, want %d", c.name, got, c.want)
		}
	}
}
