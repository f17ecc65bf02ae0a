package queue

import (
	"testing"

	"pgregory.net/rapid"
)

// Serials are found as long as they are there, whatever came and went beside them, and leave no
// page behind.
func TestSerialsFindLikeAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x serials
		naive := map[Serial]uint32{}
		// Few pages, one of them far away.
		serial := rapid.Custom(func(t *rapid.T) Serial {
			return Serial(rapid.Uint64Range(1, 50).Draw(t, "low") + rapid.Uint64Range(0, 1).Draw(t, "high")<<40)
		})
		for h := uint32(1); h < uint32(rapid.IntRange(2, 200).Draw(t, "steps")); h++ {
			s := serial.Draw(t, "serial")
			if naive[s] == 0 {
				x.insert(s, h)
				naive[s] = h
			} else {
				x.remove(s)
				delete(naive, s)
			}
			for low := Serial(0); low <= 51; low++ {
				for _, s := range []Serial{low, low + 1<<40} {
					if got := x.find(s); got != naive[s] {
						t.Fatalf("serial %d: found %d, present %d", s, got, naive[s])
					}
				}
			}
		}
		for s := range naive {
			x.remove(s)
		}
		if kept := int(x.pages.next) - len(x.pages.free); kept != 0 {
			t.Fatalf("%d pages are left of none", kept)
		}
	})
}
