package main

import (
	"fmt"
	"strconv"
)

// maxTasks is how many attempts a run of the agent may end before it stops; 0 is no limit. It is never negative.
type maxTasks int

// UnmarshalText refuses what is no whole number from 0 on, naming the value and the remedy.
func (m *maxTasks) UnmarshalText(text []byte) error {
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 0 {
		return fmt.Errorf("MAX_TASKS %q is not a whole number from 0 on; give how many tasks to run, or 0 for no limit", text)
	}
	*m = maxTasks(n)
	return nil
}
