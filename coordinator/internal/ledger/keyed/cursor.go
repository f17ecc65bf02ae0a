package keyed

import (
	"encoding/binary"
	"hash/fnv"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// A cursor is a version, how the pages are ordered, a hash of what they select, and the last
// task examined: its serial, or its id.
const (
	cursorVersion  = 1
	cursorBySerial = 's'
	cursorByID     = 'i'
	cursorHeader   = 2 + 8
)

// filterHash covers what selects tasks, and not how much of them is asked for.
func filterHash(q *ledger.Query) uint64 {
	b := binary.AppendUvarint(nil, uint64(len(q.Queue)))
	b = append(b, q.Queue...)
	var states uint64
	for _, s := range q.States {
		states |= 1 << s
	}
	b = binary.AppendUvarint(b, states)
	b = binary.AppendUvarint(b, uint64(len(q.Labels)))
	for _, l := range q.Labels {
		b = append(binary.AppendUvarint(b, uint64(len(l.Key))), l.Key...)
		b = append(binary.AppendUvarint(b, uint64(len(l.Value))), l.Value...)
	}
	b = append(binary.AppendUvarint(b, uint64(len(q.IDPrefix))), q.IDPrefix...)
	b = binary.AppendVarint(b, int64(q.FinishedAfter))
	h := fnv.New64a()
	h.Write(b)
	return h.Sum64()
}

func newCursor(q *ledger.Query, order byte, position []byte) []byte {
	b := make([]byte, 0, cursorHeader+len(position))
	b = append(b, cursorVersion, order)
	b = binary.BigEndian.AppendUint64(b, filterHash(q))
	return append(b, position...)
}

// position is what a cursor of this query stands at, nil for the first page.
func position(q *ledger.Query, order byte) ([]byte, error) {
	c := q.Cursor
	if len(c) == 0 {
		return nil, nil
	}
	if len(c) <= cursorHeader || c[0] != cursorVersion || c[1] != order ||
		binary.BigEndian.Uint64(c[2:]) != filterHash(q) {
		return nil, ledger.ErrCursor
	}
	return c[cursorHeader:], nil
}

func serialCursor(q *ledger.Query, s queue.Serial) []byte {
	return newCursor(q, cursorBySerial, binary.BigEndian.AppendUint64(nil, uint64(s)))
}

// serialPosition is the serial below which the page starts, 0 for the first page.
func serialPosition(q *ledger.Query) (queue.Serial, error) {
	p, err := position(q, cursorBySerial)
	if err != nil || p == nil {
		return 0, err
	}
	if len(p) != 8 || binary.BigEndian.Uint64(p) == 0 {
		return 0, ledger.ErrCursor
	}
	return queue.Serial(binary.BigEndian.Uint64(p)), nil
}
