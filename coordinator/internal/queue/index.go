package queue

import "slices"

// indexShards splits an index so that growing one part stalls the loop for microseconds.
const indexShards = 256

// index finds handles by a 64-bit hash: open addressing, linear probing, no tombstones.
type index struct{ shards [indexShards]shard }

type shard struct {
	slots []indexSlot // a power of two
	used  int
}

type indexSlot struct{ hash, handle uint32 } // handle 0: empty

func (x *index) shard(hash uint64) *shard { return &x.shards[hash>>56] }

// find gives the handle with this hash that is says yes to, or 0.
func (x *index) find(hash uint64, is func(uint32) bool) uint32 {
	return x.shard(hash).find(uint32(hash), is)
}

func (s *shard) find(hash uint32, is func(uint32) bool) uint32 {
	if s.used == 0 {
		return 0
	}
	mask := uint32(len(s.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		e := s.slots[i]
		if e.handle == 0 {
			return 0
		}
		if e.hash == hash && is(e.handle) {
			return e.handle
		}
	}
}

func (x *index) insert(hash uint64, h uint32) {
	x.shard(hash).insert(indexSlot{uint32(hash), h})
}

func (s *shard) insert(e indexSlot) {
	if 4*(s.used+1) > 3*len(s.slots) {
		s.grow()
	}
	s.place(e)
	s.used++
}

// empty takes all out and makes room for n.
func (s *shard) empty(n int) {
	size := 8
	for size < 2*n {
		size *= 2
	}
	s.slots, s.used = slices.Grow(s.slots[:0], size)[:size], 0
	clear(s.slots)
}

func (s *shard) place(e indexSlot) {
	mask := uint32(len(s.slots) - 1)
	i := e.hash & mask
	for s.slots[i].handle != 0 {
		i = (i + 1) & mask
	}
	s.slots[i] = e
}

func (s *shard) grow() {
	old := s.slots
	s.slots = make([]indexSlot, max(8, 2*len(old)))
	for _, e := range old {
		if e.handle != 0 {
			s.place(e)
		}
	}
}

// remove takes the handle out and moves those behind it up, so that no probe breaks.
func (x *index) remove(hash uint64, h uint32) {
	s := x.shard(hash)
	mask := uint32(len(s.slots) - 1)
	i := uint32(hash) & mask
	for s.slots[i].handle != h {
		i = (i + 1) & mask
	}
	s.used--
	for j := i; ; {
		s.slots[i] = indexSlot{}
		for {
			j = (j + 1) & mask
			if s.slots[j].handle == 0 {
				return
			}
			home := s.slots[j].hash & mask
			if (j-home)&mask >= (j-i)&mask {
				break
			}
		}
		s.slots[i] = s.slots[j]
		i = j
	}
}

// mix spreads a serial over 64 bits (the finaliser of MurmurHash3).
func mix(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
