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

// heap gives the least item by key, then serial, with lazy removal: live counts the items that
// hold, the rest are skipped when they surface and swept when they outnumber the others.
//
// What comes in order, as most does, just stands in line. The first item that comes before the
// last one makes the line a 4-ary min-heap, which it is as it stands, until all have gone.
type heap struct {
	items []heapItem
	head  int32 // of items, the least, while they stand in line; else mixed
	live  int32
}

// mixed is the head of a heap whose items are not in order.
const mixed = -1

// sweepAbove is the number of stale items that a heap may always keep.
const sweepAbove = 64

// all gives the items, those included that do not hold.
func (h *heap) all() []heapItem { return h.items[max(h.head, 0):] }

// glance bounds how many items are looked at, of a heap and in all.
type glance struct{ heap, left int }

func (h *heap) each(g *glance, f func(heapItem)) {
	all := h.all()
	n := min(len(all), g.heap, g.left)
	g.left -= n
	for _, it := range all[:n] {
		f(it)
	}
}

func (h *heap) push(it heapItem) {
	h.live++
	n := len(h.items)
	switch {
	case h.head == mixed:
	case n == 0 || !it.less(h.items[n-1]):
		h.lineUp(it)
		return
	default:
		h.items, h.head = h.all(), mixed
	}
	h.items = append(h.items, it)
	h.up(len(h.items) - 1)
}

// lineUp appends an item in order. Where there is no more room, what has gone from the front may
// leave enough.
func (h *heap) lineUp(it heapItem) {
	if n := len(h.items); n == cap(h.items) && int(h.head) > n/4 {
		h.items, h.head = append(h.items[:0], h.all()...), 0
	}
	h.items = append(h.items, it)
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
		if it := h.items[max(h.head, 0)]; holds(it) {
			return it, true
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
	if h.head != mixed {
		if h.head++; int(h.head) > n {
			h.items, h.head = h.items[:0], 0
		}
		return
	}
	h.items[0] = h.items[n]
	if h.items = h.items[:n]; n == 0 {
		h.head = 0
		return
	}
	h.down(0)
}

// forget says that one item no longer holds.
func (h *heap) forget(holds func(heapItem) bool) {
	h.live--
	all := h.all()
	if len(all) <= 2*int(h.live)+sweepAbove {
		return
	}
	kept := h.items[:0]
	for _, it := range all {
		if holds(it) {
			kept = append(kept, it)
		}
	}
	h.items = kept
	if h.head != mixed || len(kept) == 0 {
		h.head = 0
		return
	}
	for i := (len(kept) - 2) / 4; i >= 0 && len(kept) > 1; i-- {
		h.down(i)
	}
}
