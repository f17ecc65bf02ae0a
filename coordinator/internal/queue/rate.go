package queue

import (
	"math"
	"time"
)

// The bounds of a rate: within them no sum of times overflows.
const (
	MinPerSecond = 0.0001 // a grant in about three hours
	MaxPerSecond = 1e6
	MaxBurst     = 100_000
)

// bucket is a token bucket told by one time, the moment at which it was empty: it holds what
// has come since, up to burst tokens. The zero bucket bounds nothing.
type bucket struct {
	every time.Duration // between two tokens; 0: no bound
	burst int64
	empty time.Duration // elapsed
}

// newBucket gives an empty bucket.
func newBucket(r Rate, elapsed time.Duration) bucket {
	if r.PerSecond <= 0 {
		return bucket{}
	}
	every := time.Duration(math.Ceil(float64(time.Second) / r.PerSecond)) // rather too few than too many
	return bucket{every: every, burst: int64(max(1, r.Burst)), empty: elapsed}
}

// next is the elapsed time from which on there is a token.
func (b *bucket) next() time.Duration { return b.empty + b.every }

// take takes a token, which must be there.
func (b *bucket) take(elapsed time.Duration) {
	full := time.Duration(b.burst) * b.every
	b.empty = max(b.empty, elapsed-full) + b.every
}

// tokens is how many there are.
func (b *bucket) tokens(elapsed time.Duration) float64 {
	if b.every == 0 {
		return 0
	}
	return min(float64(b.burst), float64(elapsed-b.empty)/float64(b.every))
}
