package bench

// leases are those that an agent holds, in the order of their grants. That is nearly always the
// order of their acks too: the search for one ends where it begins.
type leases struct {
	list  [][]byte // nil where one is gone
	first int      // before it all are gone
}

// add takes the leases of grants, of which it makes copies.
func (l *leases) add(grants []grant) {
	if l.first > len(l.list)/2 {
		n := copy(l.list, l.list[l.first:])
		clear(l.list[n:])
		l.list, l.first = l.list[:n], 0
	}
	size := 0
	for i := range grants {
		size += len(grants[i].lease)
	}
	text := make([]byte, 0, size)
	for i := range grants {
		text = append(text, grants[i].lease...)
		l.list = append(l.list, text[len(text)-len(grants[i].lease):])
	}
}

// remove gives up a lease; false: it isn't held.
func (l *leases) remove(lease []byte) bool {
	for i := l.first; i < len(l.list); i++ {
		if l.list[i] == nil || string(l.list[i]) != string(lease) {
			continue
		}
		l.list[i] = nil
		for l.first < len(l.list) && l.list[l.first] == nil {
			l.first++
		}
		return true
	}
	return false
}

// held are all of them.
func (l *leases) held() (ids []string) {
	for _, lease := range l.list[l.first:] {
		if lease != nil {
			ids = append(ids, string(lease))
		}
	}
	return ids
}
