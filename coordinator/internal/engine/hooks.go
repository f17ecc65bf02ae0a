package engine

import "github.com/stint-dev/stint/coordinator/internal/queue"

// hooks are named points that tests wait at. Unset ones cost a nil check.
type hooks struct {
	beforeCommit func(batch uint64)  // stepped, and not yet visible to readers
	afterLookup  func(queue.Command) // read, and not yet stepped
}
