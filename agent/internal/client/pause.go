package client

import (
	"math/rand/v2"
	"time"
)

const (
	// firstPause doubles with each try in vain up to maxPause; the pause taken is anywhere between minPause and that, so
	// that many watchers don't come back at once.
	minPause   = 100 * time.Millisecond
	firstPause = 500 * time.Millisecond
	maxPause   = 15 * time.Second
)

// pause is the growing, jittered pause between tries. Its zero value is ready.
type pause struct {
	tries int
}

// next answers how long to wait before the next try, at least floor.
func (p *pause) next(floor time.Duration) time.Duration {
	top := min(firstPause<<min(p.tries, 10), maxPause)
	p.tries++
	return max(floor, minPause+rand.N(top-minPause))
}

// reset begins anew, after a try that did not go in vain.
func (p *pause) reset() { p.tries = 0 }
