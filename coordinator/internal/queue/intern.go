package queue

// intern gives equal values one number from 1 and counts who uses it.
type intern[K comparable] struct {
	byKey map[K]uint32
	items []interned[K]
	free  []uint32
}

type interned[K comparable] struct {
	key  K
	uses int
}

func (t *intern[K]) take(k K) uint32 {
	n, ok := t.byKey[k]
	if !ok {
		n = t.slot()
		t.items[n] = interned[K]{key: k}
		t.byKey[k] = n
	}
	t.items[n].uses++
	return n
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
	it := &t.items[n]
	if it.uses--; it.uses > 0 {
		return
	}
	delete(t.byKey, it.key)
	*it = interned[K]{}
	t.free = append(t.free, n)
}
