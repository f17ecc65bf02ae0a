package record

import (
	"encoding/binary"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// requiresFlag says how requirements are spelled: equalities alone as labels, which is how
// format 1 knew them, others in full.
func requiresFlag(rs []queue.Requirement) uint64 {
	if len(rs) == 0 {
		return 0
	}
	for i := range rs {
		if rs[i].Op != queue.In || len(rs[i].Values) != 1 {
			return termRequires
		}
	}
	return termEquals
}

func appendEquals(b []byte, rs []queue.Requirement) []byte {
	b = binary.AppendUvarint(b, uint64(len(rs)))
	for i := range rs {
		b = appendString(appendString(b, rs[i].Key), rs[i].Values[0])
	}
	return b
}

func (s *scan) equals(to []queue.Requirement) []queue.Requirement {
	const least = 2 // two lengths
	for range s.count(least) {
		to = append(to, queue.Requirement{Key: s.name(), Op: queue.In, Values: []string{s.name()}})
	}
	return to
}

func appendRequires(b []byte, rs []queue.Requirement) []byte {
	b = binary.AppendUvarint(b, uint64(len(rs)))
	for i := range rs {
		b = append(appendString(b, rs[i].Key), byte(rs[i].Op))
		b = appendStrings(b, rs[i].Values)
	}
	return b
}

func (s *scan) requires(to []queue.Requirement) []queue.Requirement {
	const least = 3 // a length, an operator, a count
	for range s.count(least) {
		r := queue.Requirement{Key: s.name(), Op: queue.Op(s.byte())}
		if r.Op < queue.In || r.Op > queue.Absent {
			s.fail("unknown operator")
		}
		n := s.count(1)
		if n > 0 {
			r.Values = make([]string, 0, n)
		}
		for range n {
			r.Values = append(r.Values, s.name())
		}
		to = append(to, r)
	}
	return to
}
