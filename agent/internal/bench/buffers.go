package bench

import (
	"math/bits"
	"sync"

	"google.golang.org/grpc/mem"
)

// buffers is a pool for the bytes of messages. It hands them out as they are: the library's own
// clears them first, and a batch of 128 tasks has the next size above 32 KiB there, a MiB.
type buffers struct {
	sizes [largest + 1]sync.Pool // by the power of two
}

// largest is the power of two of the largest buffer that is kept.
const largest = 22

var pool = &buffers{}

// Get gives a buffer of n bytes that hold anything.
func (p *buffers) Get(n int) *[]byte {
	size := bits.Len(uint(max(n, 1) - 1))
	if size > largest {
		b := make([]byte, n)
		return &b
	}
	b, ok := p.sizes[size].Get().(*[]byte)
	if !ok {
		b = new(make([]byte, 1<<size))
	}
	*b = (*b)[:n]
	return b
}

// Put takes a buffer that Get gave.
func (p *buffers) Put(b *[]byte) {
	if size := bits.Len(uint(cap(*b))) - 1; size >= 0 && size <= largest {
		p.sizes[size].Put(b)
	}
}

var _ mem.BufferPool = pool
