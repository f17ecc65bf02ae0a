package session

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// maxResting bounds the goroutines that wait for a call: a usual number of slots, and not much memory.
const maxResting = 64

// keepPause is the least time between two writes of the outbox while calls are under way. Calls that end one by one, in
// quick succession, would cost a sync of the disk and a message each. A report that comes alone does not wait, nor do any
// once all calls have ended: there is nothing to wait for.
const keepPause = 10 * time.Millisecond

type workState int

const (
	queued workState = iota
	running
	done // its report is in the outbox
)

// work is a lease that is held, or was until its call is cut.
type work struct {
	lease    *stintv1.Lease
	ledgerID string
	link     *link // that it came over
	state    workState
	cancel   context.CancelFunc // while running
	release  bool               // cut by a drain: given back, not dropped
	began    time.Time
}

// finished is the end of a work's call; without report it was cut.
type finished struct {
	work   *work
	report *stintv1.Report
}

// onGrants takes leases and confirms them at once. What a drain no longer wants goes straight back, and so does what comes for
// credit from before the API's trouble: to try it would cost each of these tasks a failure.
func (l *loop) onGrants(now time.Time, leases []*stintv1.Lease) {
	l.line.granted += int64(len(leases))
	l.say.heartbeat = true
	l.idle.cycles = 0
	for _, lease := range leases {
		if l.works[lease.GetLeaseId()] != nil {
			continue
		}
		if l.drain.on || l.mayNotTry(now) {
			l.say.releases = append(l.say.releases, &stintv1.Release{LeaseId: lease.GetLeaseId()})
			continue
		}
		w := &work{lease: lease, ledgerID: l.line.ledgerID, link: l.line.link}
		l.works[lease.GetLeaseId()] = w
		l.queue = append(l.queue, w)
		l.active++
		l.log.Info("granted", "task", lease.GetTask().GetId(), "attempt", lease.GetAttempt(), "run", lease.GetRun())
	}
}

// mayNotTry is true for a grant for credit from before the API's trouble.
func (l *loop) mayNotTry(now time.Time) bool {
	if l.trouble.wait == 0 || l.active < l.trouble.slots(now, l.cfg.Slots) {
		return false
	}
	if !l.trouble.told {
		l.trouble.told = true
		l.log.Warn("grants go back unstarted: the API refuses this agent or can't be reached", "next_try", l.trouble.wait)
	}
	return true
}

// startQueued starts what slots are free for. A work that came over an earlier link has to wait until the coordinator has
// heard what is held, and had the chance to cancel it.
func (l *loop) startQueued(now time.Time) {
	for len(l.queue) > 0 && l.running < l.cfg.Slots && l.line.welcomed {
		w := l.queue[0]
		if w.link != l.line.link && !l.line.acked {
			return
		}
		l.queue = l.queue[1:]
		l.start(now, w)
	}
}

func (l *loop) start(now time.Time, w *work) {
	ctx, cancel := context.WithCancel(l.ctx)
	w.state, w.cancel, w.began = running, cancel, now
	l.running++
	l.calling.Add(1)
	run := func() {
		defer cancel()
		l.called <- finished{w, l.call(ctx, w.lease)}
		if l.calling.Add(-1) == 0 {
			select {
			case l.lull <- struct{}{}:
			default:
			}
		}
	}
	select {
	case l.hands <- run:
	default:
		l.calls.Go(func() { l.hand(run) })
	}
}

// hand runs one call after the other: the stack of a goroutine that has made a call is large enough for the next.
func (l *loop) hand(run func()) {
	for {
		run()
		if l.resting.Add(1) > maxResting {
			l.resting.Add(-1)
			return
		}
		select {
		case run = <-l.hands:
			l.resting.Add(-1)
		case <-l.ctx.Done():
			return
		}
	}
}

// keep puts reports into the outbox and hands them on to the loop, all at once that have come while it was at the last ones
// or paused after them: together they cost one sync of the disk and one message.
func (l *loop) keep() {
	var began time.Time
	for f := range l.called {
		l.pause(began.Add(keepPause))
		began = time.Now()
		all := []finished{f}
		for range len(l.called) {
			all = append(all, <-l.called)
		}
		reports := map[string][]*stintv1.Report{} // by ledger
		for _, f := range all {
			if f.report != nil {
				reports[f.work.ledgerID] = append(reports[f.work.ledgerID], f.report)
			}
		}
		for ledgerID, of := range reports {
			l.cfg.Outbox.Put(ledgerID, of...)
		}
		l.finished <- all
	}
}

// pause waits until then, or until no call is under way.
func (l *loop) pause(then time.Time) {
	left := time.Until(then)
	if left <= 0 {
		return
	}
	select {
	case <-l.lull: // of an earlier time
	default:
	}
	if l.calling.Load() == 0 {
		return
	}
	select {
	case <-l.lull:
	case <-time.After(left):
	case <-l.ctx.Done():
	}
}

// call turns every way in which a runner can fail its contract into a report.
func (l *loop) call(ctx context.Context, lease *stintv1.Lease) (report *stintv1.Report) {
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("runner panicked", "task", lease.GetTask().GetId(), "panic", p, "stack", string(debug.Stack()))
			report = internal(lease, fmt.Sprintf("agent: internal: panic: %v", p))
		}
	}()
	report = l.cfg.Runner.Run(ctx, lease)
	if report == nil && ctx.Err() == nil {
		report = internal(lease, "agent: internal: the runner gave no report")
	}
	return report
}

func internal(lease *stintv1.Lease, message string) *stintv1.Report {
	return &stintv1.Report{LeaseId: lease.GetLeaseId(), Failure: &stintv1.Failure{
		FailureClass: stintv1.FailureClass_FAILURE_CLASS_INTERNAL, Message: strings.ToValidUTF8(message, "\uFFFD"),
	}}
}

func (l *loop) onFinished(now time.Time, f finished) {
	l.active--
	l.running--
	w := f.work
	l.logFinished(now, f)
	switch {
	case f.report == nil && w.release:
		delete(l.works, w.lease.GetLeaseId())
		l.say.releases = append(l.say.releases, &stintv1.Release{LeaseId: w.lease.GetLeaseId(), Started: true})
		return
	case f.report == nil: // dropped by a cancel, and no longer held
		l.ended++
	default:
		l.ended++
		w.state = done
		l.trouble.observe(now, f.report)
		l.queueReport(w, f.report)
	}
	if l.cfg.MaxTasks > 0 && l.ended >= l.cfg.MaxTasks {
		l.startDrain(now, "MAX_TASKS reached", 0, false)
	}
}

func (l *loop) logFinished(now time.Time, f finished) {
	lease := f.work.lease
	outcome, text := "success", ""
	switch {
	case f.report == nil && f.work.release:
		outcome = "released"
	case f.report == nil:
		outcome = "cancelled"
	case f.report.GetFailure() != nil:
		outcome, text = f.report.GetFailure().GetFailureClass().String(), f.report.GetFailure().GetMessage()
	}
	attributes := []any{"task", lease.GetTask().GetId(), "attempt", lease.GetAttempt(), "outcome", outcome, "duration", now.Sub(f.work.began)}
	if text == "" {
		l.log.Info("finished", attributes...)
		return
	}
	l.log.Warn("finished", append(attributes, "error", text)...)
}

// onCancel drops a work: its lease is not ours any more. A finished one waits for its acknowledgement all the same, and one
// of another ledger is none of this coordinator's business.
func (l *loop) onCancel(c *stintv1.LeaseCancel) {
	w := l.works[c.GetLeaseId()]
	if w == nil || w.state == done || w.ledgerID != l.line.ledgerID {
		return
	}
	l.log.Info("cancelled", "task", w.lease.GetTask().GetId(), "attempt", w.lease.GetAttempt(), "reason", c.GetReason().String())
	delete(l.works, c.GetLeaseId())
	if w.state == running {
		w.cancel()
		return
	}
	l.unqueue(w)
}

// unqueue takes back a work that has not started.
func (l *loop) unqueue(w *work) {
	l.queue = slices.DeleteFunc(l.queue, func(q *work) bool { return q == w })
	l.active--
}
