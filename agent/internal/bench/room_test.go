package bench

import (
	"context"
	"testing"
	"testing/synctest"
)

// A batch waits until all of its places are free, and there are never more than at first.
func TestRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &room{free: 10, places: 10}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		enough := make(chan struct{})
		if !r.take(ctx, 7, enough) {
			t.Fatal("no room at first")
		}
		took := make(chan bool, 3)
		take := func(n int) { took <- r.take(ctx, n, enough) }
		go take(5)
		synctest.Wait()
		r.give(1)
		synctest.Wait()
		if len(took) != 0 {
			t.Error("5 of 4 places were taken")
		}
		r.give(100)
		if !<-took || r.free != 5 {
			t.Errorf("%d of 10 places are free, want 5", r.free)
		}
		go take(6)
		synctest.Wait()
		close(enough)
		if <-took {
			t.Error("a batch was taken though there is enough")
		}
		go take(1)
		if <-took {
			t.Error("there is room though there is enough")
		}
		enough = make(chan struct{})
		go take(6)
		synctest.Wait()
		cancel()
		if <-took {
			t.Error("a batch was taken after the end")
		}
	})
}
