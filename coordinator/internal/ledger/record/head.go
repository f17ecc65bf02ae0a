package record

import (
	"encoding/binary"
	"fmt"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Format is the number of this layout, kept in the ledger itself. A change of the layout
// that an older program would misread raises it. What an older format wrote is read: 2 only
// added to 1, and what a record of 1 doesn't say has its usual value; 3 has specs elsewhere, 4 the index.
const Format = 4

// AppendMeta appends the value that says whose ledger it is, and in which format.
func AppendMeta(b []byte, v *ledger.Identity) []byte {
	b = append(b, version)
	b = binary.AppendUvarint(b, Format)
	b = appendString(b, v.ID)
	return append(b, v.Secret[:]...)
}

// DecodeMeta reads whose ledger it is. ErrFormat: a format newer than Format.
func DecodeMeta(key, value []byte) (ledger.Identity, error) {
	var v ledger.Identity
	s, err := open(key, value, nil)
	if err != nil {
		return v, err
	}
	switch format := s.uvarint(); {
	case format > Format:
		return v, fmt.Errorf("record: format %d, this version knows up to %d: %w", format, Format, ledger.ErrFormat)
	case format == 0:
		s.fail("format 0")
	}
	v.ID = s.string()
	copy(v.Secret[:], s.take(uint64(len(v.Secret))))
	if v.ID == "" {
		s.fail("no ledger id")
	}
	if err := s.done(key); err != nil {
		return ledger.Identity{}, err
	}
	return v, nil
}

// FirstHead is the head of a ledger without batches.
func FirstHead() queue.Head { return queue.Head{NextSerial: 1, Oldest: 1} }

// AppendHead appends the value of the head.
func AppendHead(b []byte, v *queue.Head) []byte {
	b = append(b, version)
	b = binary.AppendUvarint(b, v.Batch)
	b = binary.AppendUvarint(b, uint64(v.NextSerial))
	b = binary.AppendVarint(b, v.Newest)
	b = binary.AppendVarint(b, v.Oldest)
	return binary.AppendVarint(b, int64(v.Now))
}

// DecodeHead reads the head into v.
func DecodeHead(key, value []byte, v *queue.Head) error {
	*v = queue.Head{}
	s, err := open(key, value, nil)
	if err != nil {
		return err
	}
	v.Batch = s.uvarint()
	v.NextSerial = queue.Serial(s.uvarint())
	v.Newest, v.Oldest = s.varint(), s.varint()
	v.Now = queue.Instant(s.varint())
	return s.done(key)
}

// AppendDeferred appends the value of a deferral: it is the key that says which.
func AppendDeferred(b []byte) []byte { return append(b, version) }

// DecodeDeferred checks a deferral and gives the task.
func DecodeDeferred(key, value []byte) (queue.Serial, error) {
	serial, err := SerialOf(key)
	if err != nil {
		return 0, err
	}
	s, err := open(key, value, nil)
	if err != nil {
		return 0, err
	}
	return serial, s.done(key)
}
