package queue

// chunkBits sizes a slab's chunks: 4,096 elements, so that growing never copies.
const chunkBits = 12

// slab holds elements addressed by a handle from 1, in chunks that never move. If T has no
// pointers, the garbage collector walks none of it. Freed elements are reused, newest first.
type slab[T any] struct {
	chunks []*[1 << chunkBits]T
	next   uint32
	free   []uint32
}

func (s *slab[T]) at(h uint32) *T {
	return &s.chunks[h>>chunkBits][h&(1<<chunkBits-1)]
}

// take gives a zero element.
func (s *slab[T]) take() (uint32, *T) {
	if n := len(s.free); n > 0 {
		h := s.free[n-1]
		s.free = s.free[:n-1]
		return h, s.at(h)
	}
	s.next++
	if int(s.next>>chunkBits) >= len(s.chunks) {
		s.chunks = append(s.chunks, new([1 << chunkBits]T))
	}
	return s.next, s.at(s.next)
}

func (s *slab[T]) put(h uint32) {
	var zero T
	*s.at(h) = zero
	s.free = append(s.free, h)
}
