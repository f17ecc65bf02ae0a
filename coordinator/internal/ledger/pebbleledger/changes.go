package pebbleledger

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// indexed is an entry of the index.
type indexed struct {
	id   string
	s    queue.Serial
	head uint64 // of the id; it tells most of them apart
	gone bool   // to be deleted
}

func (e *indexed) key(b []byte) []byte {
	return record.AppendIndexKey(b, record.GenerationOf(e.s), e.id)
}

// changes are what one write makes in the database.
type changes struct {
	set   map[string]queue.Serial
	drop  []indexed    // but for what set has under the same key
	below queue.Serial // all specs below are in the index then
}

// sorted gives the changes in the order of their keys.
func (c *changes) sorted() []indexed {
	all := make([]indexed, 0, len(c.set)+len(c.drop))
	for id, s := range c.set {
		all = append(all, entry(id, s, false))
	}
	for i := range c.drop {
		id, s := c.drop[i].id, c.drop[i].s
		if now, again := c.set[id]; !again || record.GenerationOf(now) != record.GenerationOf(s) {
			all = append(all, entry(id, s, true))
		}
	}
	slices.SortFunc(all, func(a, b indexed) int {
		if a, b := record.GenerationOf(a.s), record.GenerationOf(b.s); a != b {
			return cmp.Compare(a, b)
		}
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return strings.Compare(a.id, b.id)
	})
	return all
}

func entry(id string, s queue.Serial, gone bool) indexed {
	var head [8]byte
	copy(head[:], id)
	return indexed{id, s, binary.BigEndian.Uint64(head[:]), gone}
}

// write makes the changes in the order of the keys, and says at the end up to where the index is complete.
func (c *changes) write(db *pebble.DB) error {
	if len(c.set)+len(c.drop) == 0 {
		return nil
	}
	var key, val []byte
	for chunk := range slices.Chunk(c.sorted(), indexChunk) {
		b := db.NewBatch()
		for i := range chunk {
			key = chunk[i].key(key[:0])
			val = record.AppendIndex(val[:0], chunk[i].s)
			if err := change(b, key, val, chunk[i].gone); err != nil {
				return err
			}
		}
		if err := apply(b, pebble.NoSync); err != nil {
			return err
		}
	}
	b := db.NewBatch()
	if err := setIndexed(b, c.below); err != nil {
		return err
	}
	return apply(b, pebble.NoSync)
}

// change sets an entry, or deletes it.
func change(b *pebble.Batch, key, val []byte, gone bool) error {
	if gone {
		return b.Delete(key, nil)
	}
	return b.Set(key, val, nil)
}
