package faults

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// most is the highest attempt that a history may come to.
const most = 24

// taskState is one task as the contract promises it, written anew and naively: no code of the
// coordinator is in it. It is comparable.
type taskState struct {
	exists   bool
	state    queue.State
	run      int32
	attempt  int32
	outcomes [most]queue.Outcome
	ended    [most]queue.EndReason
	reported [most]string // what the attempt has reported, "" nothing
	result   string
}

// What clients ask about one task.
type op struct {
	kind    string // submit, get, grant, success, failure, extend, release, cancel, retry, lapse
	task    string
	attempt int32
	text    string
}

// What they are answered; unknown if a crash came first.
type answer struct {
	unknown  bool
	text     string // as the acts of the races say it
	seen     taskState
	notFound bool
}

// step gives the states that a task may be in after an operation with this answer.
func step(s taskState, o op, a answer) []taskState {
	if a.unknown {
		if o.kind == "get" {
			return []taskState{s}
		}
		next, _ := apply(s, o)
		if next == s {
			return []taskState{s}
		}
		return []taskState{s, next}
	}
	if o.kind == "get" {
		if a.notFound == s.exists || s.exists && visible(s) != a.seen {
			return nil
		}
		return []taskState{s}
	}
	next, want := apply(s, o)
	if a.text != want {
		return nil
	}
	return []taskState{next}
}

// visible is what GetTask tells of a state.
func visible(s taskState) taskState {
	s.ended, s.reported = [most]queue.EndReason{}, [most]string{}
	return s
}

// apply says what an operation does to a task, and what is answered.
func apply(s taskState, o op) (taskState, string) {
	i := o.attempt - 1
	if !s.exists && o.kind != "submit" {
		return s, ""
	}
	switch o.kind {
	case "submit":
		if s.exists {
			return s, "existed"
		}
		return taskState{exists: true, state: queue.Ready, run: 1}, "made"
	case "grant":
		if s.state != queue.Ready || o.attempt != 0 && o.attempt != s.attempt+1 || s.attempt+1 >= most {
			return s, "impossible"
		}
		s.attempt++
		s.outcomes[s.attempt-1], s.state = queue.OutcomeRunning, queue.Running
		return s, "granted"
	case "cancel":
		if s.state.Terminal() {
			return s, "changed 0"
		}
		s.end(queue.OutcomeCancelled, queue.EndCancelled)
		s.state = queue.Cancelled
		return s, "changed 1"
	case "retry":
		switch {
		case s.state == queue.Completed:
			return s, "completed"
		case !s.state.Terminal():
			return s, "changed 0"
		}
		s.state, s.run = queue.Ready, s.run+1
		return s, "changed 1"
	case "lapse": // all leases end that are older than the restart
		if s.state == queue.Running {
			s.end(queue.OutcomeUnconfirmed, queue.EndUnconfirmed)
			s.state = queue.Ready
		}
		return s, ""
	case "extend":
		if s.live(i) {
			return s, "extended"
		}
		return s, "lost " + ends[s.why(i)]
	case "release":
		if s.live(i) {
			s.end(queue.OutcomeReleased, queue.EndReleased)
			s.state = queue.Ready
			return s, "released"
		}
		if s.outcomes[i] == queue.OutcomeReleased {
			return s, "released"
		}
		return s, "lost " + ends[s.why(i)]
	}
	return report(s, o, i)
}

func report(s taskState, o op, i int32) (taskState, string) {
	text := o.kind + " " + o.text
	wins := o.kind == "success" && !s.state.Terminal() && s.reported[i] == "" && s.outcomes[i] != queue.OutcomeReleased // L4
	switch {
	case s.reported[i] == text:
		return s, "duplicate"
	case wins:
		s.end(queue.OutcomeSuperseded, queue.EndSuperseded)
		s.outcomes[i], s.ended[i], s.reported[i] = queue.OutcomeSucceeded, queue.EndReported, text
		s.state, s.result = queue.Completed, o.text
		return s, "recorded"
	case o.kind == "failure" && s.live(i):
		s.end(queue.OutcomeFailed, queue.EndReported)
		s.reported[i] = text
		s.state = queue.Ready
		if o.text == "final" {
			s.state = queue.Failed
		}
		return s, "recorded"
	}
	return s, "lost " + ends[s.why(i)]
}

func (s *taskState) live(i int32) bool { return s.state == queue.Running && i == s.attempt-1 }

// end ends the live lease, if there is one.
func (s *taskState) end(o queue.Outcome, why queue.EndReason) {
	if s.state == queue.Running {
		s.outcomes[s.attempt-1], s.ended[s.attempt-1] = o, why
	}
}

// why is the order of judgement of the contract.
func (s *taskState) why(i int32) queue.EndReason {
	switch {
	case s.reported[i] != "":
		return queue.EndReported
	case s.state == queue.Completed:
		return queue.EndSuperseded
	case s.state == queue.Cancelled:
		return queue.EndCancelled
	case s.state.Terminal():
		return queue.EndTerminal
	}
	return s.ended[i]
}

// contract is the model for porcupine; each task is a history of its own.
var contract = (&porcupine.NondeterministicModel{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		at := map[string]int{}
		var parts [][]porcupine.Operation
		for _, o := range all {
			id := o.Input.(op).task
			if _, ok := at[id]; !ok {
				at[id] = len(parts)
				parts = append(parts, nil)
			}
			parts[at[id]] = append(parts[at[id]], o)
		}
		return parts
	},
	Init: func() []any { return []any{taskState{}} },
	Step: func(s, in, out any) (next []any) {
		for _, n := range step(s.(taskState), in.(op), out.(answer)) {
			next = append(next, n)
		}
		return next
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}).ToModel()
