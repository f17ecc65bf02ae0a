package queue

import (
	"strings"
	"unsafe"
)

// maxID is the length of the longest id, in bytes.
const maxID = 128

// IsID tells whether s has the shape of an id: of tasks, queues, agents, instances and requests.
func IsID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		alphanumeric := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
		if !alphanumeric && (i == 0 || strings.IndexByte("._:-", c) < 0) {
			return false
		}
	}
	return true
}

// names keeps ids in byte arenas of a few slot sizes, addressed by a ref. A slot's first byte
// is the id's length, so the longest id takes the last size.
type names struct{ sizes [len(slotSizes)]arena }

var slotSizes = [...]int{16, 28, 36, 48, 80, 1 + maxID}

// arenaSlots is the number of slots in one chunk of an arena.
const arenaSlots = 4096

// nameRef is a size class in the low three bits and a slot above them.
type nameRef uint32

type arena struct {
	chunks [][]byte
	next   uint32
	free   []uint32
}

func (n *names) put(id string) nameRef {
	class := 0
	for slotSizes[class] < len(id)+1 {
		class++
	}
	size, a := slotSizes[class], &n.sizes[class]
	var slot uint32
	if k := len(a.free); k > 0 {
		slot, a.free = a.free[k-1], a.free[:k-1]
	} else {
		slot = a.next
		a.next++
		if int(slot/arenaSlots) >= len(a.chunks) {
			a.chunks = append(a.chunks, make([]byte, arenaSlots*size))
		}
	}
	ref := nameRef(slot<<3 | uint32(class))
	b := n.slot(ref)
	b[0] = byte(len(id))
	copy(b[1:], id)
	return ref
}

func (n *names) slot(r nameRef) []byte {
	size, slot := slotSizes[r&7], int(r>>3)
	off := slot % arenaSlots * size
	return n.sizes[r&7].chunks[slot/arenaSlots][off : off+size]
}

// peek gives the id without a copy; it must not outlive the slot.
func (n *names) peek(r nameRef) string {
	b := n.slot(r)
	return unsafe.String(&b[1], int(b[0]))
}

// get gives a copy of the id.
func (n *names) get(r nameRef) string {
	b := n.slot(r)
	return string(b[1 : 1+int(b[0])])
}

func (n *names) drop(r nameRef) {
	a := &n.sizes[r&7]
	a.free = append(a.free, uint32(r>>3))
}
