package engine

import (
	"slices"
	"sort"
	"sync"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// history is what watchers may know: the bounds of what is kept, and while somebody watches the
// newest events. Only released batches get in. Any goroutine may use it.
type history struct {
	mu             sync.Mutex
	oldest, newest int64
	watchers       int
	bell           chan struct{} // closed at the next publication; nil while nobody waits

	commits [][]queue.Event // the newest, without a gap, up to newest
	events  int             // in commits
}

// publish tells of one released batch. It costs nothing while nobody watches.
func (h *history) publish(events []queue.Event, oldest, newest int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.oldest, h.newest = oldest, newest
	if h.watchers == 0 || len(events) == 0 {
		return
	}
	h.commits = append(h.commits, slices.Clone(events))
	h.events += len(events)
	for h.events > ringEvents && len(h.commits) > 1 {
		h.events -= len(h.commits[0])
		h.commits[0] = nil
		h.commits = h.commits[1:]
	}
	if h.bell != nil {
		close(h.bell)
		h.bell = nil
	}
}

// join counts a watcher in and gives the bounds of what is kept.
func (h *history) join() (oldest, newest int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers++
	return h.oldest, h.newest
}

// leave forgets the events with the last watcher.
func (h *history) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchers--
	if h.watchers == 0 {
		h.commits, h.events = nil, 0
	}
}

// bounds are the sequences of the oldest and the newest event that may be told of.
func (h *history) bounds() (oldest, newest int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.oldest, h.newest
}

// after gives what is known behind a sequence: whole commits, about pageEvents of them; or
// behind, if they must be read from the ledger; or else a channel that closes when there is more.
func (h *history) after(at int64) (commits [][]queue.Event, behind bool, more <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if at >= h.newest {
		if h.bell == nil {
			h.bell = make(chan struct{})
		}
		return nil, false, h.bell
	}
	first := sort.Search(len(h.commits), func(i int) bool { return h.commits[i][0].Sequence > at })
	if first == len(h.commits) || h.commits[first][0].Sequence != at+1 {
		return nil, true, nil
	}
	n, last := 0, first
	for last < len(h.commits) && n < pageEvents {
		n += len(h.commits[last])
		last++
	}
	return h.commits[first:last:last], false, nil
}
