package record

import (
	"encoding/binary"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Generation is a million serials that follow each other. The index of ids is divided by them, so that
// what is complete is never merged with what comes later, although ids come at random.
type Generation uint32

// generationBits of a serial are within its generation. Part of the format.
const generationBits = 20

// GenerationSize is how many serials a generation has.
const GenerationSize = 1 << generationBits

// GenerationOf is the generation of a serial.
func GenerationOf(s queue.Serial) Generation { return Generation(s >> generationBits) }

// AppendGeneration appends the lowest possible key of a generation of the index.
func AppendGeneration(b []byte, g Generation) []byte {
	return binary.BigEndian.AppendUint32(append(b, byte(KindIndex)), uint32(g))
}

// AppendGenerationEnd appends the key just above all keys of a generation of the index.
func AppendGenerationEnd(b []byte, g Generation) []byte {
	if g+1 == 0 {
		return AppendKindEnd(b, KindIndex)
	}
	return AppendGeneration(b, g+1)
}

// AppendIndexKey appends the key under which the serial of a task's id is found in the generation of
// that serial. Given a prefix of ids, it is the lowest key of all that have it.
func AppendIndexKey(b []byte, g Generation, id string) []byte {
	return append(AppendGeneration(b, g), id...)
}

// AppendIndexEnd appends the key just above those of the ids in a generation that start with a prefix.
func AppendIndexEnd(b []byte, g Generation, prefix string) []byte {
	start := len(b)
	b = AppendIndexKey(b, g, prefix)
	for i := len(b) - 1; i >= start+idAt; i-- {
		if b[i] < 0xff {
			b[i]++
			return b[:i+1]
		}
	}
	return AppendGenerationEnd(b[:start], g)
}

// IndexOf is the generation and the task id in a key of the index. The id is of the key's bytes.
func IndexOf(key []byte) (g Generation, id []byte, err error) {
	if KindOf(key) != KindIndex || len(key) <= idAt {
		return 0, nil, corrupt(key, "no generation and id in the key")
	}
	return generationIn(key), key[idAt:], nil
}

// generationIn is that in a key of the index, however much of the key there is.
func generationIn(key []byte) Generation {
	var g [idAt]byte
	copy(g[:], key)
	return Generation(binary.BigEndian.Uint32(g[1:]))
}

// GenerationEnd is the key just above the generation of the index that a key is in, or would be.
func GenerationEnd(key []byte) []byte { return AppendGenerationEnd(nil, generationIn(key)) }
