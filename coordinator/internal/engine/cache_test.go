package engine

import (
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func sized(serial queue.Serial, n int) queue.Spec {
	return queue.Spec{Serial: serial, Payload: make([]byte, n)}
}

// The cache stays within its bytes, gives each payload once, and lets the oldest go first.
func TestCache(t *testing.T) {
	c := newCache(100)
	c.put([]queue.Spec{sized(1, 40), sized(2, 40)})
	if _, ok := c.take(1); !ok {
		t.Error("1 is not there")
	}
	if _, ok := c.take(1); ok {
		t.Error("1 is there twice")
	}
	c.put([]queue.Spec{sized(3, 50), sized(4, 50)})
	for serial, want := range map[queue.Serial]bool{2: false, 3: true, 4: true, 5: false} {
		if _, ok := c.take(serial); ok != want {
			t.Errorf("%d: there is %t, want %t", serial, ok, want)
		}
	}
	c.put([]queue.Spec{sized(6, 101)})
	if _, ok := c.take(6); ok || c.bytes != 0 {
		t.Errorf("one larger than all is kept: %d bytes", c.bytes)
	}
}

func TestCacheForgetsWhatWasTaken(t *testing.T) {
	c := newCache(100)
	c.put([]queue.Spec{sized(1, 1)}) // stays, so the order cannot be cut at its front
	for s := queue.Serial(2); s < 20000; s++ {
		c.put([]queue.Spec{sized(s, 1)})
		c.take(s)
	}
	if len(c.order) > 4096 {
		t.Errorf("%d serials are kept for %d payloads", len(c.order), len(c.held))
	}
	if _, ok := c.take(1); !ok {
		t.Error("1 was lost")
	}
}

func TestNoCache(t *testing.T) {
	c := newCache(0)
	c.put([]queue.Spec{sized(1, 0), sized(2, 1)})
	if len(c.held) != 0 {
		t.Errorf("%d payloads are kept", len(c.held))
	}
}

// The first grant needs no read; a later one has the payload from the ledger.
func TestPayloadsOfGrants(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		prio := spec("a", func(s *queue.Spec) { s.Priority = 7 })
		if _, err := r.Submit(t.Context(), []queue.Spec{prio}, nil); err != nil {
			t.Fatal(err)
		}
		if n := len(r.payloads.held); n != 1 {
			t.Errorf("%d payloads are kept", n)
		}
		for try := range 2 {
			l := r.acquire(1)[0]
			if string(l.Payload) != "payload of a" || l.Priority != 7 {
				t.Errorf("try %d: %+v", try, l)
			}
			if n := len(r.payloads.held); n != 0 {
				t.Errorf("try %d: %d payloads are kept", try, n)
			}
			if _, err := r.Release(t.Context(), []Release{{LeaseID: l.ID}}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
