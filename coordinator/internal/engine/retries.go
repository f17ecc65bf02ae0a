package engine

import (
	"maps"
	"sync/atomic"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// retries are the retry defaults of the queues that have some, as of the newest release: a submit
// that begins after an update was answered goes by it. One goroutine sets them, any may read.
type retries struct {
	byQueue atomic.Pointer[map[string]queue.RetryDefaults] // never changed once it is there
}

// RetryDefaults are what a task submitted now takes where it states none.
func (e *Engine) RetryDefaults(name string) queue.RetryDefaults { return e.retries.of(name) }

func (r *retries) of(name string) queue.RetryDefaults {
	if m := r.byQueue.Load(); m != nil {
		return (*m)[name]
	}
	return queue.RetryDefaults{}
}

func (r *retries) set(name string, d queue.RetryDefaults) {
	if r.of(name) == d {
		return
	}
	next := map[string]queue.RetryDefaults{}
	if m := r.byQueue.Load(); m != nil {
		next = maps.Clone(*m)
	}
	if next[name] = d; d == (queue.RetryDefaults{}) {
		delete(next, name)
	}
	r.byQueue.Store(&next)
}
