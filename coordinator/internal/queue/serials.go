package queue

// serials finds handles by serial. Serials that follow each other share a page: tasks are mostly
// added, found and removed in about that order, and then are beside each other in memory too.
type serials struct {
	pages slab[serialPage]
	index index // of pages, by their number
}

// pageBits: sixteen serials a page. Larger ones would waste more where only a few tasks of an age
// are left.
const pageBits = 4

type serialPage struct {
	number  uint64 // serial >> pageBits
	handles [1 << pageBits]uint32
	used    int32 // handles that are not 0
}

func (x *serials) page(number uint64) (uint32, *serialPage) {
	p := x.index.find(mix(number), func(p uint32) bool { return x.pages.at(p).number == number })
	if p == 0 {
		return 0, nil
	}
	return p, x.pages.at(p)
}

// find gives the handle of a serial, or 0.
func (x *serials) find(s Serial) uint32 {
	_, p := x.page(uint64(s) >> pageBits)
	if p == nil {
		return 0
	}
	return p.handles[s&(1<<pageBits-1)]
}

// insert adds a serial that is not there.
func (x *serials) insert(s Serial, h uint32) {
	number := uint64(s) >> pageBits
	_, p := x.page(number)
	if p == nil {
		var at uint32
		at, p = x.pages.take()
		p.number = number
		x.index.insert(mix(number), at)
	}
	i := s & (1<<pageBits - 1)
	p.handles[i] = h
	p.used++
}

// remove takes out a serial that is there.
func (x *serials) remove(s Serial) {
	number := uint64(s) >> pageBits
	at, p := x.page(number)
	i := s & (1<<pageBits - 1)
	p.handles[i] = 0
	if p.used--; p.used == 0 {
		x.index.remove(mix(number), at)
		x.pages.put(at)
	}
}
