package session

import (
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	// The wait after CONNECT doubles from the first to the last: an API that restarts is soon back.
	firstConnectWait = time.Second
	lastConnectWait  = time.Minute

	// That after AUTH and OUT_OF_CREDIT likewise: keys and accounts are for people to mend.
	firstRefusedWait = time.Minute
	lastRefusedWait  = 15 * time.Minute
)

// updateCredit offers the slots that are free. Credit once given can't be taken back. On a new link, earlier
// reports are to be acknowledged first, within one interval: a task whose result is on its way must not be granted again.
func (l *loop) updateCredit(now time.Time) {
	settling := l.line.early > 0 && now.Before(l.line.settleBy)
	if !l.line.welcomed || l.drain.on || settling || len(l.reports) >= maxUnacked {
		return
	}
	free := l.trouble.slots(now, l.cfg.Slots) - l.active
	if l.cfg.MaxTasks > 0 {
		free = min(free, l.cfg.MaxTasks-l.ended-l.active)
	}
	if total := l.line.granted + int64(max(0, free)); total > l.line.credit {
		l.line.credit = total
		l.say.credit = true
	}
}

// trouble is the state of the API as calls have found it. The zero value is "none".
type trouble struct {
	wait  time.Duration // 0: no trouble
	until time.Time     // nothing is offered before; then one slot
	told  bool          // that grants for earlier credit go back
}

// slots is how many of the agent's slots may be used at now.
func (t *trouble) slots(now time.Time, all int) int {
	switch {
	case t.wait == 0:
		return all
	case now.Before(t.until):
		return 0
	}
	return 1
}

// nextDue is when the answer of slots will change by itself; zero: never.
func (t *trouble) nextDue(now time.Time) time.Time {
	if t.wait > 0 && now.Before(t.until) {
		return t.until
	}
	return time.Time{}
}

// observe learns from the end of a call. Only one that succeeded ends the trouble, whatever became of the task: a fault
// between refusals does not show that the next call would be taken.
func (t *trouble) observe(now time.Time, report *stintv1.Report) {
	failure := report.GetFailure()
	switch class := failure.GetFailureClass(); {
	case failure != nil && class == stintv1.FailureClass_FAILURE_CLASS_CONNECT:
		t.grow(now, firstConnectWait, lastConnectWait)
	case failure != nil && (class == stintv1.FailureClass_FAILURE_CLASS_AUTH || class == stintv1.FailureClass_FAILURE_CLASS_OUT_OF_CREDIT):
		t.grow(now, firstRefusedWait, lastRefusedWait)
	case failure == nil || failure.GetHttpStatus()/100 == 2:
		*t = trouble{}
	}
}

// grow doubles the wait, once for all the calls that were under way together.
func (t *trouble) grow(now time.Time, first, last time.Duration) {
	if now.Before(t.until) && t.wait >= first {
		return
	}
	t.wait = max(first, min(2*t.wait, last))
	t.until = now.Add(t.wait)
}
