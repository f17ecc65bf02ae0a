package blackbox

// The files fault_*_test.go are the part of the fault suite that is made of real programs and real sockets. Each test
// injects faults while tasks are submitted and run, and then holds what the clients were told against what is recorded:
//
//	fault_test.go          sizes, seeds, and that each fault fired
//	fault_book_test.go     the clients' history: each call ok, refused or of unknown outcome
//	fault_judge_test.go    that history, the API's calls, list, export and events held against each other
//	fault_fold_test.go     the events of a task, folded by the rules of the contract
//	fault_watch_test.go    watchers that go on through every fault
//	fault_hand_test.go     an agent in the test itself, over the Session stream
//	fault_load_test.go     submitters that mix dependencies, failures, cancels and retries
//
// The short size is part of `go test`. STINT_SOAK=1 gives the long one, SEED=n the same choices again.

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// soak: the long size was asked for.
var soak = os.Getenv("STINT_SOAK") != ""

// sized gives the figure of the size that runs.
func sized[T any](short, long T) T {
	if soak {
		return long
	}
	return short
}

// seeded gives the source of all choices of a test, and prints how to have them again.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("SEED"); given != "" {
		n, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatalf("SEED %q is no number; give the one that was printed", given)
		}
		seed = n
	}
	t.Logf("to repeat: SEED=%d go test -run '^%s$' ./coordinator/blackbox", seed, t.Name())
	return rand.New(rand.NewPCG(seed, 0))
}

// apart gives a source of its own to a goroutine.
func apart(r *rand.Rand) *rand.Rand { return rand.New(rand.NewPCG(r.Uint64(), r.Uint64())) }

// fault counts how often one kind of fault was injected. Any goroutine may use it.
type fault struct {
	name  string
	fires atomic.Int64
}

// injected makes a fault that has to fire before the test ends; a test that went well without it has shown nothing.
func injected(t *testing.T, name string) *fault {
	f := &fault{name: name}
	t.Cleanup(func() {
		n := f.fires.Load()
		if n == 0 && !t.Failed() {
			t.Errorf("the fault never fired: %s", name)
		}
		t.Logf("fault fired %d times: %s", n, name)
	})
	return f
}

func (f *fault) fired() { f.fires.Add(1) }

// happens says yes with a chance, and counts it.
func (f *fault) happens(r *rand.Rand, chance float64) bool {
	if r.Float64() >= chance {
		return false
	}
	f.fired()
	return true
}

// waitOut returns after a time that is itself the fault: a multiple of a lease's length, say.
func waitOut(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.Context().Done():
	}
}
