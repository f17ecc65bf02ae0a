package bench

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// Leases are held until they are removed, once each, in any order.
func TestLeases(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	var l leases
	var want []string
	for n := range 2000 {
		lease := fmt.Sprint("lease-", n)
		l.add([]grant{{lease: []byte(lease)}, {lease: []byte(lease + "b")}})
		want = append(want, lease, lease+"b")
		for range 1 + random.IntN(3) {
			i := 0
			if random.IntN(4) == 0 && len(want) > 0 {
				i = random.IntN(len(want))
			}
			if len(want) == 0 {
				break
			}
			gone := []byte(want[i])
			if want = slices.Delete(want, i, i+1); !l.remove(gone) || l.remove(gone) {
				t.Fatalf("%s: wasn't held, or still is", gone)
			}
		}
		if got := l.held(); !slices.Equal(got, want) {
			t.Fatalf("after %d: %v are held, want %v", n, got, want)
		}
	}
	if l.remove([]byte("lease-5000")) || l.remove(nil) {
		t.Error("what was never granted is held")
	}
	if len(l.list) > 4*len(want)+100 {
		t.Errorf("%d places for %d leases", len(l.list), len(want))
	}
}
