package record

import (
	"bytes"
	"encoding/binary"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// spendKeySize is room for the key of the longest names that the contract allows.
const spendKeySize = 1 + 2 + 128 + 1 + 128

// AppendSpendKey appends the key of what was spent in a queue: in all, by one agent, or for one
// fairness key. The queue's name stands behind its length, so that no two keys are alike.
func AppendSpendKey(b []byte, v *queue.SpendRecord) []byte {
	b = appendString(append(b, byte(KindSpend)), v.Queue)
	return append(append(b, byte(v.By)), v.Name...)
}

// AppendSpend appends the value of what was spent. Whose it is stands in the key.
func AppendSpend(b []byte, v *queue.SpendRecord) []byte {
	b = append(b, version)
	b = binary.AppendVarint(b, int64(v.Spent))
	return binary.AppendVarint(b, v.Attempts)
}

// DecodeSpend reads what was spent into v.
func DecodeSpend(key, value []byte, names *Names, v *queue.SpendRecord) error {
	*v = queue.SpendRecord{}
	if err := spendOf(key, names, v); err != nil {
		return err
	}
	s, err := open(key, value, nil)
	if err != nil {
		return err
	}
	v.Spent, v.Attempts = queue.Micros(s.varint()), s.varint()
	return s.done(key)
}

// spendOf reads the key of what was spent.
func spendOf(key []byte, names *Names, v *queue.SpendRecord) error {
	if KindOf(key) != KindSpend {
		return corrupt(key, "not the key of what was spent")
	}
	s := scan{b: key[1:], names: names}
	v.Queue, v.By = s.name(), queue.SpendBy(s.byte())
	v.Name = names.of(s.b)
	var room [spendKeySize]byte
	if s.why != "" || v.Queue == "" || v.By < queue.ByQueue || v.By > queue.ByFairnessKey ||
		!bytes.Equal(AppendSpendKey(room[:0], v), key) {
		return corrupt(key, "not the key of what was spent")
	}
	return nil
}
