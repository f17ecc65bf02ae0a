package bench

import (
	"context"
	"sync"
)

// room is what the backlog has free.
type room struct {
	mu           sync.Mutex
	free, places int
	more         chan struct{} // closed when places become free; nil: nobody waits
}

// take waits until n places are free; false: there is enough, or ctx has ended.
func (r *room) take(ctx context.Context, n int, enough <-chan struct{}) bool {
	for {
		select {
		case <-enough:
			return false
		default:
		}
		more := r.try(n)
		if more == nil {
			return true
		}
		select {
		case <-more:
		case <-enough:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// try takes n places, or gives a channel that closes when to try again.
func (r *room) try(n int) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.free >= n {
		r.free -= n
		return nil
	}
	if r.more == nil {
		r.more = make(chan struct{})
	}
	return r.more
}

// give gives n places back. There are never more than at first: a recorded task may have been
// there before the run.
func (r *room) give(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free = min(r.free+n, r.places)
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}
