package queue

import (
	"testing"

	"pgregory.net/rapid"
)

// A slab never gives out a handle twice, never moves an element, and gives zero elements.
func TestSlabKeepsElements(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s slab[[3]uint64]
		at := map[uint32]*[3]uint64{}
		for i := range uint64(rapid.IntRange(1, 200).Draw(t, "steps")) {
			if len(at) > 0 && rapid.IntRange(0, 2).Draw(t, "do") == 0 {
				h := rapid.Uint32Range(1, uint32(i)).Draw(t, "put")
				if _, ok := at[h]; ok {
					s.put(h)
					delete(at, h)
				}
				continue
			}
			h, e := s.take()
			if _, twice := at[h]; twice || h == 0 || *e != [3]uint64{} {
				t.Fatalf("took %d %v, twice: %v", h, *e, twice)
			}
			*e = [3]uint64{i, uint64(h), ^i}
			at[h] = e
			for h, e := range at {
				if s.at(h) != e || e[1] != uint64(h) {
					t.Fatalf("element %d moved or changed: %v", h, *e)
				}
			}
		}
	})
}

func TestSlabCrossesChunks(t *testing.T) {
	var s slab[uint32]
	const n = 3<<chunkBits + 5
	for range n {
		h, e := s.take()
		*e = h
	}
	for h := uint32(1); h <= n; h++ {
		if *s.at(h) != h {
			t.Fatalf("element %d holds %d", h, *s.at(h))
		}
	}
}

// Interned values have one number while somebody uses them, and none after, but for the one taken
// last: that goes with the next.
func TestInternCountsUses(t *testing.T) {
	var in intern[string]
	a, b := in.take("a"), in.take("b")
	if a == b || a == 0 || b == 0 || in.take("a") != a || *in.at(b) != "b" {
		t.Fatalf("a is %d, b is %d", a, b)
	}
	in.drop(a)
	if in.take("a") != a {
		t.Fatal("a was forgotten while in use")
	}
	in.drop(b)
	if c := in.take("c"); c != b || *in.at(c) != "c" {
		t.Fatalf("the number of b was not reused: %d", c)
	}
	in.drop(a)
	in.drop(a)
	if d := in.take("d"); d != a || *in.at(d) != "d" {
		t.Fatalf("the number of a was not reused: %d", d)
	}
	in.drop(a)
	if again := in.take("d"); again != a || *in.at(again) != "d" {
		t.Fatalf("d, taken last, was forgotten: %d", again)
	}
	in.drop(a)
	in.take("c")
	if again := in.take("a"); again != a || *in.at(again) != "a" || len(in.byKey) != 2 {
		t.Fatalf("d was kept: a came back as %d among %d", again, len(in.byKey))
	}
}
