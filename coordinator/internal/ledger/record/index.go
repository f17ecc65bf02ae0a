package record

import (
	"encoding/binary"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// AppendIndex appends the value under an id of the index: the serial that has it.
func AppendIndex(b []byte, s queue.Serial) []byte {
	return binary.AppendUvarint(append(b, version), uint64(s))
}

// DecodeIndex reads which serial has the id in the key.
func DecodeIndex(key, value []byte) (queue.Serial, error) {
	g, _, err := IndexOf(key)
	if err != nil {
		return 0, err
	}
	s, err := decodeSerial(key, value)
	if err == nil && GenerationOf(s) != g {
		err = corrupt(key, "a serial of another generation")
	}
	return s, err
}

// DecodeOldIndex reads an entry of the index as format 3 had it.
func DecodeOldIndex(key, value []byte) (queue.Serial, error) {
	if _, err := oldID(key); err != nil {
		return 0, err
	}
	return decodeSerial(key, value)
}

// AppendIndexed appends the value that says how far the index goes: the ids of all specs below this
// serial are in it. Where there is no such record, as in memory, all are.
func AppendIndexed(b []byte, below queue.Serial) []byte { return AppendIndex(b, below) }

// DecodeIndexed reads how far the index goes.
func DecodeIndexed(key, value []byte) (queue.Serial, error) { return decodeSerial(key, value) }

func decodeSerial(key, value []byte) (queue.Serial, error) {
	s, err := open(key, value, nil)
	if err != nil {
		return 0, err
	}
	v := s.serial()
	return v, s.done(key)
}

// serial reads a serial, of which none is 0.
func (s *scan) serial() queue.Serial {
	v := queue.Serial(s.uvarint())
	if v == 0 {
		s.fail("serial 0")
	}
	return v
}
