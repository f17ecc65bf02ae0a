package engine

import "github.com/stint-dev/stint/coordinator/internal/queue"

// hooks are named points that tests wait at. Unset ones cost a nil check.
type hooks struct {
	beforeCommit  func(batch uint64)
	afterCommit   func(batch uint64)
	beforeRelease func(batch uint64) // 0: a turn without a batch
	afterLookup   func(queue.Command)
}

func (h *hooks) at(f func(uint64), batch uint64) {
	if f != nil {
		f(batch)
	}
}
