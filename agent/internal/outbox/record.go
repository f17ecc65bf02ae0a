package outbox

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// A record is magic, CRC-32C of all that follows, length of the body, body. A body is a kind, and
//
//	kindReport   the number, the length of the ledger id, ledger id, report
//	kindDone     the numbers of reports that are done with
//
// Numbers have eight bytes, lengths and the checksum four, big-endian.
const (
	// magic begins every record, so that the next one is found behind a damaged one; its last byte is the version of the
	// format.
	magic = "stintob2"

	kindReport = 'r'
	kindDone   = 'd'

	sumAt    = len(magic)
	lengthAt = sumAt + 4
	headSize = lengthAt + 4
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errTorn = errors.New("outbox: entry is torn or was changed: its checksum does not fit")
)

// begin appends a head to be sealed, and a kind.
func begin(data []byte, kind byte) []byte {
	data = append(data, magic...)
	data = append(data, make([]byte, headSize-len(magic))...)
	return append(data, kind)
}

// seal fills in the head of a whole record.
func seal(record []byte) {
	binary.BigEndian.PutUint32(record[lengthAt:], uint32(len(record)-headSize))
	binary.BigEndian.PutUint32(record[sumAt:], crc32.Checksum(record[lengthAt:], castagnoli))
}

// appendReport appends e's record; on an error data stays as it was.
func appendReport(data []byte, e *entry) ([]byte, error) {
	more := begin(data, kindReport)
	more = binary.BigEndian.AppendUint64(more, e.number)
	more = binary.BigEndian.AppendUint32(more, uint32(len(e.ledgerID)))
	more = append(more, e.ledgerID...)
	more, err := proto.MarshalOptions{}.MarshalAppend(more, e.report)
	if err != nil {
		return data, fmt.Errorf("outbox: report can't be encoded: %w", err)
	}
	seal(more[len(data):])
	return more, nil
}

func appendDone(data []byte, numbers []uint64) []byte {
	start := len(data)
	data = begin(data, kindDone)
	for _, number := range numbers {
		data = binary.BigEndian.AppendUint64(data, number)
	}
	seal(data[start:])
	return data
}

// scan hands on what data holds: each report, each number that is done with, and each stretch between that is no record.
type scan struct {
	report  func(*entry)
	done    func(number uint64)
	damaged func(stretch []byte, cause error)
}

func (s scan) run(data []byte) {
	for len(data) > 0 {
		size, err := s.record(data)
		if err == nil {
			data = data[size:]
			continue
		}
		size = nextRecord(data)
		s.damaged(data[:size], err)
		data = data[size:]
	}
}

// nextRecord is where the first whole record behind the start of data begins, or the end of data.
func nextRecord(data []byte) int {
	for at := 1; ; at++ {
		found := bytes.Index(data[at:], []byte(magic))
		if found < 0 {
			return len(data)
		}
		if at += found; wholeRecord(data[at:]) != nil {
			return at
		}
	}
}

// wholeRecord is the record at the start of data; nil: there is none.
func wholeRecord(data []byte) []byte {
	if len(data) < headSize || string(data[:len(magic)]) != magic {
		return nil
	}
	size := uint64(binary.BigEndian.Uint32(data[lengthAt:]))
	if size > uint64(len(data)-headSize) {
		return nil
	}
	record := data[:headSize+int(size)]
	if crc32.Checksum(record[lengthAt:], castagnoli) != binary.BigEndian.Uint32(record[sumAt:]) {
		return nil
	}
	return record
}

// record reads the record at the start of data and gives its size.
func (s scan) record(data []byte) (size int, err error) {
	record := wholeRecord(data)
	if record == nil {
		return 0, errTorn
	}
	switch body := record[headSize:]; {
	case len(body) > 0 && body[0] == kindDone && len(body)%8 == 1:
		for numbers := body[1:]; len(numbers) > 0; numbers = numbers[8:] {
			s.done(binary.BigEndian.Uint64(numbers))
		}
	case len(body) > 12 && body[0] == kindReport:
		e, err := decodeReport(body[1:])
		if err != nil {
			return 0, err
		}
		s.report(e)
	default:
		return 0, errors.New("outbox: entry is of no known kind: another version wrote it")
	}
	return len(record), nil
}

// decodeReport reads a body, of 12 bytes at least, behind its kind.
func decodeReport(body []byte) (*entry, error) {
	size := uint64(binary.BigEndian.Uint32(body[8:]))
	if size > uint64(len(body)-12) {
		return nil, errTorn
	}
	e := &entry{number: binary.BigEndian.Uint64(body), ledgerID: string(body[12 : 12+size]), report: &stintv1.Report{}}
	if err := proto.Unmarshal(body[12+size:], e.report); err != nil {
		return nil, fmt.Errorf("outbox: entry holds no report: %w", err)
	}
	return e, nil
}
