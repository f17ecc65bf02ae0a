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

// changes are what one write makes in the database.
type changes struct {
	set   map[string]queue.Serial
	drop  []string     // those in set are not dropped
	below queue.Serial // all specs below are in the index then
}

// sorted gives the changes in the order of their ids; those with serial 0 are to be deleted.
func (c *changes) sorted() []indexed {
	all := make([]indexed, 0, len(c.set)+len(c.drop))
	for id, s := range c.set {
		all = append(all, entry(id, s))
	}
	for _, id := range c.drop {
		if _, again := c.set[id]; !again {
			all = append(all, entry(id, 0))
		}
	}
	slices.SortFunc(all, func(a, b indexed) int {
		if a.head != b.head {
			return cmp.Compare(a.head, b.head)
		}
		return strings.Compare(a.id, b.id)
	})
	return all
}

func entry(id string, s queue.Serial) indexed {
	var head [8]byte
	copy(head[:], id)
	return indexed{id, s, binary.BigEndian.Uint64(head[:])}
}

// write makes the changes in the order of the ids, and says at the end up to where the index is complete.
func (c *changes) write(db *pebble.DB) error {
	if len(c.set)+len(c.drop) == 0 {
		return nil
	}
	var key, val []byte
	for chunk := range slices.Chunk(c.sorted(), indexChunk) {
		b := db.NewBatch()
		for i := range chunk {
			key = record.AppendIndexKey(key[:0], chunk[i].id)
			val = record.AppendIndex(val[:0], chunk[i].s)
			if err := change(b, key, val, chunk[i].s); err != nil {
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

// change sets an entry, or deletes it if it has no serial.
func change(b *pebble.Batch, key, val []byte, s queue.Serial) error {
	if s == 0 {
		return b.Delete(key, nil)
	}
	return b.Set(key, val, nil)
}
