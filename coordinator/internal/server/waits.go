package server

import (
	"context"
	"sync"

	"google.golang.org/grpc/peer"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// waits counts the calls that wait by their connection: the address of its other end, which no
// two that are open have in common. Calls that don't wait cost it nothing.
type waits struct {
	mu     sync.Mutex
	byPeer map[string]int
}

// enter counts a call in, and gives how to count it out again; it refuses if there are too many already.
func (w *waits) enter(ctx context.Context) (leave func(), err error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return func() {}, nil
	}
	from := p.Addr.String()
	if !w.add(from) {
		return nil, refuse(stintv1.ErrorReason_ERROR_REASON_TOO_MANY_WAITS,
			"%d calls of this connection wait already; use another connection, or wait for fewer at once", maxWaits)
	}
	return func() { w.leave(from) }, nil
}

// add counts one in; false: there are too many already.
func (w *waits) add(from string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byPeer[from] >= maxWaits {
		return false
	}
	if w.byPeer == nil {
		w.byPeer = make(map[string]int)
	}
	w.byPeer[from]++
	return true
}

func (w *waits) leave(from string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.byPeer[from]--; w.byPeer[from] == 0 {
		delete(w.byPeer, from)
	}
}
