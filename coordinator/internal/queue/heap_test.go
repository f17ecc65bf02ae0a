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
		serial, last := uint64(0), int64(0)
		disorder := rapid.SampledFrom([]int{0, 2, 100}).Draw(t, "disorder") // per cent of what is pushed
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "do") {
			case 0, 1:
				serial++
				if last++; rapid.IntRange(0, 99).Draw(t, "any") < disorder {
					last = rapid.Int64Range(-9, 9).Draw(t, "key")
				}
				it := heapItem{key: last, serial: serial, handle: uint32(serial)}
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
			if int(h.live) != len(naive) {
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
	if len(h.items) > 2*int(h.live)+sweepAbove {
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

// What stands in line takes little more room than it did when it was longest, however much has
// passed through.
func TestHeapInOrderReusesItsRoom(t *testing.T) {
	const waiting = 10_000
	var h heap
	all := func(heapItem) bool { return true }
	for i := range int64(50 * waiting) {
		h.push(heapItem{key: i})
		if i < waiting {
			continue
		}
		if it, _ := h.top(all); it.key != i-waiting {
			t.Fatalf("top %d, want %d", it.key, i-waiting)
		}
		h.pop()
	}
	if h.head == mixed || cap(h.items) > 2*waiting {
		t.Fatalf("room for %d of %d in line", cap(h.items), waiting)
	}
}
