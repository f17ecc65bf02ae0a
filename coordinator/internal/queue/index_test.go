package queue

import (
	"testing"

	"pgregory.net/rapid"
)

// An index finds what was inserted and not removed, through collisions and growth.
func TestIndexFindsLikeAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		naive := map[uint32]uint64{} // handle → hash
		// Few hashes, so that they collide in shard, slot and whole.
		hash := rapid.Custom(func(t *rapid.T) uint64 {
			return rapid.Uint64Range(0, 1).Draw(t, "shard")<<56 | rapid.Uint64Range(0, 20).Draw(t, "low")
		})
		for h := uint32(1); h < uint32(rapid.IntRange(2, 200).Draw(t, "steps")); h++ {
			if len(naive) > 0 && rapid.IntRange(0, 2).Draw(t, "do") == 0 {
				old := rapid.Uint32Range(1, h-1).Draw(t, "remove")
				if was, ok := naive[old]; ok {
					x.remove(was, old)
					delete(naive, old)
				}
			}
			v := hash.Draw(t, "hash")
			x.insert(v, h)
			naive[h] = v
			for old := uint32(1); old <= h; old++ {
				was, ok := naive[old]
				got := x.find(was, func(n uint32) bool { return n == old })
				if ok != (got == old) {
					t.Fatalf("handle %d: found %d, present %v", old, got, ok)
				}
			}
		}
	})
}

func TestIndexFindsNothingWhenEmpty(t *testing.T) {
	var x index
	if h := x.find(7, func(uint32) bool { return true }); h != 0 {
		t.Fatalf("found %d in an empty index", h)
	}
}
