package blackbox

import (
	"fmt"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Short names of the kinds of events, for the fold alone.
const (
	submittedEvent = stintv1.EventKind_EVENT_KIND_SUBMITTED
	grantedEvent   = stintv1.EventKind_EVENT_KIND_GRANTED
	endedEvent     = stintv1.EventKind_EVENT_KIND_LEASE_ENDED
	failedAttempt  = stintv1.EventKind_EVENT_KIND_ATTEMPT_FAILED
	completedEvent = stintv1.EventKind_EVENT_KIND_COMPLETED
	retriedEvent   = stintv1.EventKind_EVENT_KIND_RETRIED
	prunedEvent    = stintv1.EventKind_EVENT_KIND_PRUNED
	settledEvent   = stintv1.EventKind_EVENT_KIND_SPEND_SETTLED
)

// terminal are the events that end a run, with the state that they leave.
var terminal = map[stintv1.EventKind]stintv1.TaskState{
	completedEvent:                           stintv1.TaskState_TASK_STATE_COMPLETED,
	stintv1.EventKind_EVENT_KIND_FAILED:      stintv1.TaskState_TASK_STATE_FAILED,
	stintv1.EventKind_EVENT_KIND_CANCELLED:   stintv1.TaskState_TASK_STATE_CANCELLED,
	stintv1.EventKind_EVENT_KIND_EXPIRED:     stintv1.TaskState_TASK_STATE_EXPIRED,
	stintv1.EventKind_EVENT_KIND_QUARANTINED: stintv1.TaskState_TASK_STATE_QUARANTINED,
}

// grant is what the events tell of one attempt.
type grant struct {
	agent   string
	run     int32
	ended   bool
	failed  bool                   // it reported a failure
	settled bool                   // a late report said what it cost
	reason  stintv1.LeaseEndReason // why it ended without a report
}

// folded is a task as its events tell it.
type folded struct {
	run    int32
	state  stintv1.TaskState // UNSPECIFIED while the run goes on
	grants []*grant          // by attempt, from 1
	live   int32             // the attempt that holds the lease; 0: none
	winner int32             // the attempt whose result was recorded
}

// fold tells every task by a history that begins with its first event. The first event that breaks a rule is the error,
// with the rule. tasks are what was submitted, for their dependencies; one that is not there is not held to them.
func fold(events []*stintv1.Event, tasks map[string]*stintv1.Task) (map[string]*folded, error) {
	all := map[string]*folded{}
	for i, e := range events {
		if i > 0 && e.GetSequence() != events[i-1].GetSequence()+1 {
			return nil, fmt.Errorf("W1: sequence %d follows %d", e.GetSequence(), events[i-1].GetSequence())
		}
		if e.GetTaskId() == "" {
			continue
		}
		if err := step(all, e); err != nil {
			return nil, fmt.Errorf("%w: %v", err, e)
		}
		if e.GetKind() == grantedEvent {
			if err := mayRun(all, tasks[e.GetTaskId()]); err != nil {
				return nil, fmt.Errorf("%w: %v", err, e)
			}
		}
	}
	return all, nil
}

func step(all map[string]*folded, e *stintv1.Event) error {
	f := all[e.GetTaskId()]
	switch {
	case e.GetKind() == submittedEvent && f != nil:
		return fmt.Errorf("D1: submitted twice")
	case e.GetKind() == submittedEvent:
		all[e.GetTaskId()] = &folded{run: 1}
		return nil
	case f == nil:
		return fmt.Errorf("D4: an event of a task that was never submitted")
	case e.GetKind() == prunedEvent:
		if f.state == 0 {
			return fmt.Errorf("D1: pruned while it runs")
		}
		delete(all, e.GetTaskId())
		return nil
	}
	return f.step(e)
}

func (f *folded) step(e *stintv1.Event) error {
	switch e.GetKind() {
	case grantedEvent:
		return f.granted(e)
	case endedEvent:
		return f.leaseEnded(e)
	case failedAttempt:
		return f.attemptFailed(e)
	case completedEvent:
		return f.completed(e)
	case retriedEvent:
		if f.state == 0 || f.state == stintv1.TaskState_TASK_STATE_COMPLETED || e.GetRun() != f.run+1 {
			return fmt.Errorf("C1: retried in state %v of run %d", f.state, f.run)
		}
		f.run, f.state = e.GetRun(), 0
		return nil
	case settledEvent:
		return f.settled(e)
	}
	if f.state != 0 || f.live != 0 || e.GetRun() != f.run {
		return fmt.Errorf("C1: run %d ends, but is %v with live attempt %d", f.run, f.state, f.live)
	}
	f.state = terminal[e.GetKind()]
	return nil
}

// settled: a late report says once, of an attempt that has ended, what it cost; nothing else changes.
func (f *folded) settled(e *stintv1.Event) error {
	n := e.GetAttempt()
	if n < 1 || int(n) > len(f.grants) || n == f.live {
		return fmt.Errorf("B3: attempt %d is settled late, of %d granted, %d live", n, len(f.grants), f.live)
	}
	g := f.grants[n-1]
	if g.settled || g.agent != e.GetAgentId() {
		return fmt.Errorf("B3: attempt %d of agent %s is settled twice or by another", n, g.agent)
	}
	g.settled = true
	return nil
}

func (f *folded) granted(e *stintv1.Event) error {
	switch {
	case f.live != 0:
		return fmt.Errorf("L1: attempt %d is live", f.live)
	case f.state != 0:
		return fmt.Errorf("C5: granted in state %v", f.state)
	case int(e.GetAttempt()) != len(f.grants)+1 || e.GetRun() != f.run:
		return fmt.Errorf("L2: attempt %d of run %d follows attempt %d of run %d", e.GetAttempt(), e.GetRun(), len(f.grants), f.run)
	}
	f.grants = append(f.grants, &grant{agent: e.GetAgentId(), run: f.run})
	f.live = e.GetAttempt()
	return nil
}

func (f *folded) leaseEnded(e *stintv1.Event) error {
	if e.GetAttempt() != f.live || f.live == 0 {
		return fmt.Errorf("L5: the lease of attempt %d ends, live is %d", e.GetAttempt(), f.live)
	}
	if superseded := e.GetLeaseEndReason() == stintv1.LeaseEndReason_LEASE_END_REASON_SUPERSEDED; superseded != (f.winner != 0) {
		return fmt.Errorf("L5: lease ended %v, winner is %d", e.GetLeaseEndReason(), f.winner)
	}
	f.end().reason = e.GetLeaseEndReason()
	return nil
}

// end closes the live attempt.
func (f *folded) end() *grant {
	g := f.grants[f.live-1]
	g.ended, f.live = true, 0
	return g
}

func (f *folded) attemptFailed(e *stintv1.Event) error {
	if f.live == 0 || e.GetAttempt() != f.live || e.GetAgentId() != f.grants[f.live-1].agent {
		return fmt.Errorf("L3: attempt %d of %s fails, live is %d", e.GetAttempt(), e.GetAgentId(), f.live)
	}
	f.end().failed = true
	return nil
}

func (f *folded) completed(e *stintv1.Event) error {
	n := int(e.GetAttempt())
	if f.state != 0 {
		return fmt.Errorf("C1: completed in state %v", f.state)
	}
	if n < 1 || n > len(f.grants) || f.grants[n-1].agent != e.GetAgentId() {
		return fmt.Errorf("C2: completed by attempt %d of %s, which was not granted", n, e.GetAgentId())
	}
	if g := f.grants[n-1]; g.failed || g.reason == stintv1.LeaseEndReason_LEASE_END_REASON_RELEASED {
		return fmt.Errorf("L4: completed by attempt %d, which ended as %+v", n, *g)
	}
	f.state, f.winner = stintv1.TaskState_TASK_STATE_COMPLETED, e.GetAttempt()
	if f.live == f.winner {
		f.end()
	}
	return nil
}

// mayRun holds a grant to the dependencies of the task.
func mayRun(all map[string]*folded, one *stintv1.Task) error {
	for _, id := range one.GetDependsOn() {
		parent := all[id]
		if parent == nil {
			return fmt.Errorf("Q2: granted before its parent %s was submitted", id)
		}
		ran := one.GetOnDependencyFailure() == stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_RUN && parent.state != 0
		if parent.state != stintv1.TaskState_TASK_STATE_COMPLETED && !ran {
			return fmt.Errorf("Q2: granted while its parent %s is %v", id, parent.state)
		}
	}
	return nil
}
