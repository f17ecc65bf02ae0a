package engine

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// stuck is an engine whose loop takes nothing.
func stuck() *Engine {
	e := &Engine{active: make(chan struct{}), stopped: make(chan struct{}), halted: make(chan struct{}), calls: make(chan *call)}
	close(e.active)
	return e
}

// What is told while the backlog is full comes in its order: a stream ends behind the reports of what
// was not handed over to it, or their leases would be lost.
func TestTellKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := stuck()
		var told []queue.Command
		for i := range 20 {
			told = append(told, &queue.Disconnect{Stream: queue.StreamID(i)})
			e.tell(told[i])
		}
		for i, cmd := range told {
			if c := <-e.calls; c.cmd != cmd {
				t.Errorf("at %d: %+v", i, c.cmd)
			}
		}
	})
}

// Who closes a stream gets on while the loop is stuck, also if a heartbeat of it is held.
func TestCloseDoesNotWaitForTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := stuck()
		s, _ := e.streams.open(e)
		other, _ := e.streams.open(e)
		e.lull.length = time.Hour
		if err := s.Send(t.Context(), Message{Beats: true}); err != nil {
			t.Fatal(err)
		}
		gone := make(chan struct{})
		go func() {
			s.Close()
			other.Close()
			close(gone)
		}()
		synctest.Wait()
		if !closed(gone) {
			close(e.halted)
			t.Fatal("it waits")
		}
		seen := map[queue.StreamID]string{}
		for range 3 {
			switch c := (<-e.calls).cmd.(type) {
			case *queue.Message:
				seen[c.Stream] += "message "
			case *queue.Disconnect:
				seen[c.Stream] += "end"
			}
		}
		if seen[s.id] != "message end" || seen[other.id] != "end" {
			t.Errorf("came as %v", seen)
		}
	})
}
