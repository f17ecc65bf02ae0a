package engine

import (
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func sized(serial queue.Serial, n int) queue.Spec {
	return queue.Spec{Serial: serial, Payload: make([]byte, n)}
}

// taken gives one payload away, and tells whether it was kept.
func (c *cache) taken(s queue.Serial) bool { return c.take(s).payload != nil }

func (c *cache) kept() (n int) {
	for _, s := range c.slots {
		if s.payload != nil {
			n++
		}
	}
	return n
}

// The cache stays within its bytes, gives each payload once, and lets the oldest go first.
func TestCache(t *testing.T) {
	c := newCache(100)
	c.put([]queue.Spec{sized(1, 40), sized(2, 40)})
	if !c.taken(1) {
		t.Error("1 is not there")
	}
	if c.taken(1) {
		t.Error("1 is there twice")
	}
	c.put([]queue.Spec{sized(4, 50), sized(5, 50)})
	for serial, want := range map[queue.Serial]bool{2: false, 3: false, 4: true, 5: true, 6: false} {
		if got := c.taken(serial); got != want {
			t.Errorf("%d: there is %t, want %t", serial, got, want)
		}
	}
	c.put([]queue.Spec{sized(6, 101)})
	if c.taken(6) || c.bytes != 0 || len(c.slots) != 0 {
		t.Errorf("one larger than all is kept: %d bytes", c.bytes)
	}
}

// One that waits long keeps no more than cacheSlots slots; then it goes.
func TestCacheForgetsWhatWasTaken(t *testing.T) {
	c := newCache(100)
	c.put([]queue.Spec{sized(1, 1)})
	for s := queue.Serial(2); s <= cacheSlots; s++ {
		c.put([]queue.Spec{sized(s, 1)})
		c.take(s)
	}
	if len(c.slots) != cacheSlots || c.kept() != 1 {
		t.Errorf("%d slots for %d payloads", len(c.slots), c.kept())
	}
	c.put([]queue.Spec{sized(cacheSlots+1, 1)})
	if c.taken(1) || !c.taken(cacheSlots+1) || c.bytes != 0 || len(c.slots) != 0 {
		t.Errorf("%d slots with %d bytes", len(c.slots), c.bytes)
	}
}

func TestNoCache(t *testing.T) {
	c := newCache(0)
	c.put([]queue.Spec{sized(1, 1)})
	if len(c.slots) != 0 {
		t.Errorf("%d payloads are kept", len(c.slots))
	}
}

// The first grant needs no read; a later one has the payload from the ledger.
func TestPayloadsOfGrants(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		prio := spec("a", func(s *queue.Spec) { s.Priority = 7 })
		if _, err := r.Submit(t.Context(), []queue.Spec{prio}, nil); err != nil {
			t.Fatal(err)
		}
		if n := r.payloads.kept(); n != 1 {
			t.Errorf("%d payloads are kept", n)
		}
		for try := range 2 {
			l := r.acquire(1)[0]
			if string(l.Payload) != "payload of a" || l.Priority != 7 {
				t.Errorf("try %d: %+v", try, l)
			}
			if n := r.payloads.kept(); n != 0 {
				t.Errorf("try %d: %d payloads are kept", try, n)
			}
			if _, err := r.Release(t.Context(), []Release{{LeaseID: l.ID}}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// What was shed is read, and what comes later is kept again.
func TestShed(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		if _, err := r.Submit(t.Context(), []queue.Spec{spec("a"), spec("b")}, nil); err != nil {
			t.Fatal(err)
		}
		r.Shed()
		if n := r.payloads.kept(); n != 0 || r.payloads.bytes != 0 {
			t.Errorf("%d payloads of %d bytes are kept", n, r.payloads.bytes)
		}
		if _, err := r.Submit(t.Context(), []queue.Spec{spec("c")}, nil); err != nil {
			t.Fatal(err)
		}
		if n := r.payloads.kept(); n != 1 {
			t.Errorf("%d payloads are kept of the one that came later", n)
		}
		for i, l := range r.acquire(3) {
			if want := "payload of " + string("abc"[i]); string(l.Payload) != want {
				t.Errorf("got %q, want %q", l.Payload, want)
			}
		}
	})
}
