package queue

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Names gives back each id as it was put, of every length, and reuses slots of dropped ones.
func TestNamesKeepIDs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var n names
		kept := map[nameRef]string{}
		var refs []nameRef
		for i := range rapid.IntRange(1, 150).Draw(t, "steps") {
			if len(refs) > 0 && rapid.IntRange(0, 2).Draw(t, "do") == 0 {
				k := rapid.IntRange(0, len(refs)-1).Draw(t, "drop")
				n.drop(refs[k])
				delete(kept, refs[k])
				refs = append(refs[:k], refs[k+1:]...)
				continue
			}
			id := strings.Repeat(string(rune('a'+i%26)), rapid.IntRange(1, 128).Draw(t, "length"))
			r := n.put(id)
			if old, ok := kept[r]; ok {
				t.Fatalf("slot %d given out twice, still %q", r, old)
			}
			kept[r] = id
			refs = append(refs, r)
			for r, want := range kept {
				if got := n.get(r); got != want || n.peek(r) != want {
					t.Fatalf("ref %d: %q, want %q", r, got, want)
				}
			}
		}
	})
}

func TestShapeOfIDs(t *testing.T) {
	for id, want := range map[string]bool{
		"a": true, "0": true, "Z9._:-": true, strings.Repeat("a", maxID): true,
		"": false, strings.Repeat("a", maxID+1): false, ".a": false, "-a": false, "a b": false, "a/b": false, "ü": false, "a\x00": false,
	} {
		if got := IsID(id); got != want {
			t.Errorf("%q: %v, want %v", id, got, want)
		}
	}
}

func TestNamesReuseDroppedSlots(t *testing.T) {
	var n names
	for range 3 * arenaSlots {
		n.drop(n.put("01J00000000000000000000000"))
	}
	if got := n.sizes[1].next; got != 1 {
		t.Fatalf("%d slots for one id at a time", got)
	}
}
