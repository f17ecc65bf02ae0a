package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets of 1/128 of a power of two, so that a percentile is
// right to 1 %. Any number of goroutines may add.
type histogram struct {
	counts [(65 - fine) << fine]atomic.Int64
}

// fine is the number of leading bits, after the first, that a bucket tells apart.
const fine = 7

func bucket(ns uint64) int {
	e := max(bits.Len64(ns)-1-fine, 0)
	return e<<fine + int(ns>>e)
}

// middle is the duration in the middle of a bucket.
func middle(b int) time.Duration {
	e := max(b>>fine-1, 0)
	least := uint64(b-e<<fine) << e
	return time.Duration(least + (1<<e)/2)
}

func (h *histogram) add(d time.Duration) { h.counts[bucket(uint64(max(0, d)))].Add(1) }

// at gives the p-th percentile, 0–100; 0 if nothing was added.
func (h *histogram) at(p float64) time.Duration {
	total := int64(0)
	for i := range h.counts {
		total += h.counts[i].Load()
	}
	rank := int64(p / 100 * float64(total))
	for i := range h.counts {
		n := h.counts[i].Load()
		if rank < n {
			return middle(i)
		}
		rank -= n
	}
	return 0
}

// clear forgets all; nobody may add meanwhile.
func (h *histogram) clear() {
	for i := range h.counts {
		h.counts[i].Store(0)
	}
}
