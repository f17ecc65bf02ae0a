package queue

// intern gives equal values one number from 1 and counts who uses it. The one taken last is kept
// though nobody uses it: the next is often the same, and is then found without a hash.
type intern[K comparable] struct {
	byKey map[K]uint32
	items []interned[K]
	free  []uint32
	last  uint32 // 0: none
}

type interned[K comparable] struct {
	key  K
	uses int
}

func (t *intern[K]) take(k K) uint32 {
	if t.last == 0 || t.items[t.last].key != k {
		t.turnTo(k)
	}
	t.items[t.last].uses++
	return t.last
}

// turnTo makes a value the last one.
func (t *intern[K]) turnTo(k K) {
	n, ok := t.byKey[k]
	if !ok {
		n = t.slot()
		t.items[n] = interned[K]{key: k}
		t.byKey[k] = n
	}
	was := t.last
	t.last = n
	if was != 0 && t.items[was].uses == 0 {
		t.remove(was)
	}
}

func (t *intern[K]) slot() uint32 {
	if t.byKey == nil {
		t.byKey, t.items = map[K]uint32{}, make([]interned[K], 1)
	}
	if k := len(t.free); k > 0 {
		n := t.free[k-1]
		t.free = t.free[:k-1]
		return n
	}
	t.items = append(t.items, interned[K]{})
	return uint32(len(t.items) - 1)
}

func (t *intern[K]) at(n uint32) *K { return &t.items[n].key }

func (t *intern[K]) drop(n uint32) {
	if t.items[n].uses--; t.items[n].uses == 0 && n != t.last {
		t.remove(n)
	}
}

func (t *intern[K]) remove(n uint32) {
	delete(t.byKey, t.items[n].key)
	t.items[n] = interned[K]{}
	t.free = append(t.free, n)
}
