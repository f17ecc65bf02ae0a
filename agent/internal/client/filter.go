package client

import (
	"fmt"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Filter selects the tasks that meet all conditions that are set; the zero Filter selects every task.
type Filter struct {
	Queue string
	// States are names of task states, in any case; a task in one of them is meant.
	States []string
	// Labels must all be on the task, with these values.
	Labels map[string]string
	// IDPrefix is how the task's id begins.
	IDPrefix string
	// FinishedAfter is an RFC 3339 time, or how long ago as in 1h.
	FinishedAfter string
}

// Empty answers whether no condition is set.
func (f Filter) Empty() bool {
	return f.Queue == "" && len(f.States) == 0 && len(f.Labels) == 0 && f.IDPrefix == "" && f.FinishedAfter == ""
}

func (f Filter) message(now time.Time) (*stintv1.TaskFilter, error) {
	m := &stintv1.TaskFilter{Queue: f.Queue, Labels: f.Labels, IdPrefix: f.IDPrefix}
	for _, name := range f.States {
		state, err := parseName("state", statePrefix, stintv1.TaskState_value, name)
		if err != nil {
			return nil, err
		}
		if state == 0 {
			return nil, fmt.Errorf("client: state %q is empty; leave it out to select all states", name)
		}
		m.States = append(m.States, stintv1.TaskState(state))
	}
	var err error
	m.FinishedAfter, err = moment("finished-after", f.FinishedAfter, now, ago)
	return m, err
}
