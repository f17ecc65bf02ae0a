package server

import (
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// ids makes ids for tasks that come without one: ULIDs, rising within a process. Their
// randomness is the system's, since nobody looks whether such an id exists already.
type ids struct {
	mu      sync.Mutex
	entropy *ulid.MonotonicEntropy
	now     func() time.Time

	// defaults are those of a queue, which tasks take on their way; nil: queues have none.
	defaults func(queue string) queue.RetryDefaults
}

func newIDs(now func() time.Time) *ids {
	return &ids{entropy: ulid.Monotonic(rand.Reader, 0), now: now}
}

func (g *ids) next() (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	id, err := ulid.New(ulid.Timestamp(g.now()), g.entropy)
	if err != nil {
		return "", fmt.Errorf("server: new task id: %w", err)
	}
	return id.String(), nil
}
