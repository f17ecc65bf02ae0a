package record

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
)

// version is the first byte of every value.
const version = 1

// corrupt is the error of a record that cannot be read.
func corrupt(key []byte, why string) error {
	return fmt.Errorf("record: key %q: %s: %w", key, why, ledger.ErrCorrupt)
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendBytes(b, s []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// bit gives f if there is something to write.
func bit(is bool, f uint64) uint64 {
	if is {
		return f
	}
	return 0
}

// scan reads a value from its front. The first fault sticks: all later reads give zeros,
// and done reports it.
type scan struct {
	b     []byte
	names *Names
	why   string
}

// open starts a scan behind the version byte.
func open(key, value []byte, names *Names) (scan, error) {
	switch {
	case len(value) == 0:
		return scan{}, corrupt(key, "empty value")
	case value[0] == 0:
		return scan{}, corrupt(key, "version 0")
	case value[0] > version:
		return scan{}, fmt.Errorf("record: key %q: version %d: %w", key, value[0], ledger.ErrFormat)
	}
	return scan{b: value[1:], names: names}, nil
}

// done is the fault met, or that bytes were left over.
func (s *scan) done(key []byte) error {
	if s.why == "" && len(s.b) > 0 {
		s.why = "bytes left over"
	}
	if s.why != "" {
		return corrupt(key, s.why)
	}
	return nil
}

func (s *scan) fail(why string) {
	if s.why == "" {
		s.why = why
	}
	s.b = nil
}

func (s *scan) uvarint() uint64 {
	v, n := binary.Uvarint(s.b)
	if n <= 0 {
		s.fail("cut or overlong number")
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *scan) varint() int64 {
	v, n := binary.Varint(s.b)
	if n <= 0 {
		s.fail("cut or overlong number")
		return 0
	}
	s.b = s.b[n:]
	return v
}

func (s *scan) int32() int32 {
	v := s.varint()
	if v < math.MinInt32 || v > math.MaxInt32 {
		s.fail("number out of range")
		return 0
	}
	return int32(v)
}

func (s *scan) byte() byte {
	if len(s.b) == 0 {
		s.fail("cut short")
		return 0
	}
	v := s.b[0]
	s.b = s.b[1:]
	return v
}

func (s *scan) bool() bool {
	v := s.byte()
	if v > 1 {
		s.fail("neither yes nor no")
	}
	return v == 1
}

// float reads a number that is not negative; endless and no number are faults.
func (s *scan) float() float64 {
	b := s.take(8)
	if b == nil {
		return 0
	}
	v := math.Float64frombits(binary.BigEndian.Uint64(b))
	if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
		s.fail("number out of range")
		return 0
	}
	return v
}

// flags reads a word of flags, of which only those in known may be set.
func (s *scan) flags(known uint64) uint64 {
	f := s.uvarint()
	if f&^known != 0 {
		s.fail("unknown flag")
		return 0
	}
	return f
}

// take gives the next n bytes in place.
func (s *scan) take(n uint64) []byte {
	if n > uint64(len(s.b)) {
		s.fail("length beyond the end")
		return nil
	}
	v := s.b[:n]
	s.b = s.b[n:]
	return v
}

func (s *scan) bytes() []byte { return s.take(s.uvarint()) }

func (s *scan) string() string { return string(s.bytes()) }

// name reads a string that many records share.
func (s *scan) name() string { return s.names.of(s.bytes()) }

// count reads how many things of at least size bytes follow.
func (s *scan) count(size int) int {
	n := s.uvarint()
	if n > uint64(len(s.b)/size) {
		s.fail("count beyond the end")
		return 0
	}
	return int(n)
}

// maxNames bounds what Names keeps: names of queues, agents and labels in use.
const maxNames = 8192

// Names gives equal names as one string, so that reading many records does not make a
// string for each. A nil Names makes them anew. It is not safe for concurrent use.
type Names struct{ m map[string]string }

func (n *Names) of(b []byte) string {
	if n == nil || len(b) == 0 {
		return string(b)
	}
	if s, ok := n.m[string(b)]; ok {
		return s
	}
	if n.m == nil || len(n.m) >= maxNames {
		n.m = make(map[string]string)
	}
	s := string(b)
	n.m[s] = s
	return s
}
