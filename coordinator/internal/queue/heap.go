package queue

// heapItem is a key and what it is about. Items outlive what they are about: the owner says
// which still hold.
type heapItem struct {
	key    int64
	serial uint64
	handle uint32
	extra  int32
}

func (a heapItem) less(b heapItem) bool {
	return a.key < b.key || a.key == b.key && a.serial < b.serial
}

// heap is a 4-ary min-heap by key, then serial, with lazy removal: live counts the items that
// hold, the rest are skipped when they surface and swept when they outnumber the others.
type heap struct {
	items []heapItem
	live  int
}

// sweepAbove is the number of stale items that a heap may always keep.
const sweepAbove = 64

func (h *heap) push(it heapItem) {
	h.live++
	h.items = append(h.items, it)
	h.up(len(h.items) - 1)
}

func (h *heap) up(i int) {
	it := h.items[i]
	for i > 0 {
		p := (i - 1) / 4
		if !it.less(h.items[p]) {
			break
		}
		h.items[i] = h.items[p]
		i = p
	}
	h.items[i] = it
}

func (h *heap) down(i int) {
	it, n := h.items[i], len(h.items)
	for {
		first := 4*i + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, n); c++ {
			if h.items[c].less(h.items[least]) {
				least = c
			}
		}
		if !h.items[least].less(it) {
			break
		}
		h.items[i] = h.items[least]
		i = least
	}
	h.items[i] = it
}

// top gives the least item that holds, dropping stale ones above it.
func (h *heap) top(holds func(heapItem) bool) (heapItem, bool) {
	for len(h.items) > 0 {
		if holds(h.items[0]) {
			return h.items[0], true
		}
		h.drop()
	}
	return heapItem{}, false
}

// pop removes the top, which must hold.
func (h *heap) pop() {
	h.live--
	h.drop()
}

func (h *heap) drop() {
	n := len(h.items) - 1
	h.items[0] = h.items[n]
	h.items = h.items[:n]
	if n > 0 {
		h.down(0)
	}
}

// forget says that one item no longer holds.
func (h *heap) forget(holds func(heapItem) bool) {
	h.live--
	if len(h.items) <= 2*h.live+sweepAbove {
		return
	}
	kept := h.items[:0]
	for _, it := range h.items {
		if holds(it) {
			kept = append(kept, it)
		}
	}
	h.items = kept
	for i := (len(kept) - 2) / 4; i >= 0 && len(kept) > 1; i-- {
		h.down(i)
	}
}
