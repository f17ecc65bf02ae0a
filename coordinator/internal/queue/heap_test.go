package queue

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A heap hands out what holds in order of key, then serial, whatever was forgotten meanwhile.
func TestHeapHandsOutInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h heap
		var naive []heapItem // those that hold
		holds := func(it heapItem) bool { return slices.Contains(naive, it) }
		serial := uint64(0)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "do") {
			case 0, 1:
				serial++
				it := heapItem{key: rapid.Int64Range(-9, 9).Draw(t, "key"), serial: serial, handle: uint32(serial)}
				naive = append(naive, it)
				h.push(it)
			case 2:
				if len(naive) > 0 {
					i := rapid.IntRange(0, len(naive)-1).Draw(t, "forget")
					naive = slices.Delete(naive, i, i+1)
					h.forget(holds)
				}
			case 3:
				got, ok := h.top(holds)
				if ok != (len(naive) > 0) {
					t.Fatalf("top: %v with %d items", ok, len(naive))
				}
				if !ok {
					continue
				}
				slices.SortFunc(naive, func(a, b heapItem) int {
					if a.less(b) {
						return -1
					}
					return 1
				})
				if got != naive[0] {
					t.Fatalf("top %v, want %v", got, naive[0])
				}
				naive = naive[1:]
				h.pop()
			}
			if h.live != len(naive) {
				t.Fatalf("live %d, want %d", h.live, len(naive))
			}
		}
	})
}

// Stale items are swept when they outnumber the others.
func TestHeapSweepsStaleItems(t *testing.T) {
	var h heap
	live := map[uint64]bool{}
	for i := range uint64(1000) {
		h.push(heapItem{key: int64(1000 - i), serial: i})
		live[i] = true
	}
	for i := range uint64(990) {
		delete(live, i)
		h.forget(func(it heapItem) bool { return live[it.serial] })
	}
	if len(h.items) > 2*h.live+sweepAbove {
		t.Fatalf("%d items kept for %d live", len(h.items), h.live)
	}
	for want := uint64(999); h.live > 0; want-- {
		it, ok := h.top(func(it heapItem) bool { return live[it.serial] })
		if !ok || it.serial != want {
			t.Fatalf("top %v %v, want serial %d", it, ok, want)
		}
		h.pop()
	}
}
