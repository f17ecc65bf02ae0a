package record

import (
	"encoding/binary"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Kind is the first byte of a key: which sort of record it names.
type Kind byte

// The kinds of records. Part of the format.
const (
	KindMeta     Kind = 'm'
	KindHead     Kind = 'h'
	KindQueue    Kind = 'q'
	KindSpend    Kind = 'p' // since format 2
	KindSpec     Kind = 'w' // since format 3
	KindIndex    Kind = 'k' // since format 4
	KindIndexed  Kind = 'j' // since format 3
	KindOldSpec  Kind = 's' // up to format 2: by id, with the serial in it
	KindOldIndex Kind = 'i' // of format 3: by id alone
	KindLive     Kind = 'l'
	KindTerminal Kind = 't'
	KindAttempt  Kind = 'a'
	KindDeferred Kind = 'd'
	KindEvents   Kind = 'e'
)

const (
	serialKeySize  = 1 + 8     // kind, serial
	attemptKeySize = 1 + 8 + 4 // kind, serial, number
	idAt           = 1 + 4     // in a key of the index: behind kind and generation
)

// KindOf is the kind that a key is of, 0 of an empty key.
func KindOf(key []byte) Kind {
	if len(key) == 0 {
		return 0
	}
	return Kind(key[0])
}

// AppendKind appends the key of a record that is alone in its kind, which is also the
// lowest possible key of the kind.
func AppendKind(b []byte, k Kind) []byte { return append(b, byte(k)) }

// AppendKindEnd appends the key just above all keys of a kind.
func AppendKindEnd(b []byte, k Kind) []byte { return append(b, byte(k)+1) }

// AppendQueueKey appends the key of a queue's record.
func AppendQueueKey(b []byte, name string) []byte {
	return append(append(b, byte(KindQueue)), name...)
}

// AppendSerialKey appends the key of a spec, of a live or terminal record or of a deferral.
func AppendSerialKey(b []byte, k Kind, s queue.Serial) []byte {
	return binary.BigEndian.AppendUint64(append(b, byte(k)), uint64(s))
}

// AppendAttemptKey appends the key of an attempt. Number 0 is below all attempts of a task.
func AppendAttemptKey(b []byte, s queue.Serial, number int32) []byte {
	b = AppendSerialKey(b, KindAttempt, s)
	return binary.BigEndian.AppendUint32(b, uint32(number))
}

// AppendEventsKey appends the key of the packed events that start with a sequence.
func AppendEventsKey(b []byte, first int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, byte(KindEvents)), uint64(first))
}

// oldID is the task id in a key of a format whose ids lay under their kind alone.
func oldID(key []byte) (string, error) {
	if len(key) < 2 {
		return "", corrupt(key, "no id in the key")
	}
	return string(key[1:]), nil
}

// QueueName is the name in the key of a queue.
func QueueName(key []byte) (string, error) {
	if KindOf(key) != KindQueue || len(key) < 2 {
		return "", corrupt(key, "not the key of a queue")
	}
	return string(key[1:]), nil
}

// SerialOf is the serial in the key of a spec, of a live or terminal record or of a deferral.
func SerialOf(key []byte) (queue.Serial, error) {
	if len(key) != serialKeySize {
		return 0, corrupt(key, "a key of this kind has 9 bytes")
	}
	s := queue.Serial(binary.BigEndian.Uint64(key[1:]))
	if s == 0 {
		return 0, corrupt(key, "serial 0")
	}
	return s, nil
}

// AttemptOf is what the key of an attempt names.
func AttemptOf(key []byte) (queue.AttemptKey, error) {
	if KindOf(key) != KindAttempt || len(key) != attemptKeySize {
		return queue.AttemptKey{}, corrupt(key, "not the key of an attempt")
	}
	return queue.AttemptKey{
		Serial: queue.Serial(binary.BigEndian.Uint64(key[1:])),
		Number: int32(binary.BigEndian.Uint32(key[serialKeySize:])),
	}, nil
}

// FirstEvent is the sequence in the key of packed events.
func FirstEvent(key []byte) (int64, error) {
	if KindOf(key) != KindEvents || len(key) != serialKeySize {
		return 0, corrupt(key, "not the key of events")
	}
	first := int64(binary.BigEndian.Uint64(key[1:]))
	if first < 1 {
		return 0, corrupt(key, "event sequence below 1")
	}
	return first, nil
}
