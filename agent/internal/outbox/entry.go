package outbox

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// magic begins every entry; its last byte is the version of the format.
const magic = "stintob1"

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)

	errTorn = errors.New("outbox: entry is torn or was changed: its checksum does not fit")
)

// encodeEntry is magic, CRC-32C of all that follows, length of the ledger id, ledger id, report; numbers are four bytes,
// big-endian.
func encodeEntry(ledgerID string, report *stintv1.Report) ([]byte, error) {
	body := binary.BigEndian.AppendUint32(nil, uint32(len(ledgerID)))
	body = append(body, ledgerID...)
	body, err := proto.MarshalOptions{}.MarshalAppend(body, report)
	if err != nil {
		return nil, fmt.Errorf("outbox: report can't be encoded: %w", err)
	}
	data := binary.BigEndian.AppendUint32([]byte(magic), crc32.Checksum(body, castagnoli))
	return append(data, body...), nil
}

func decodeEntry(data []byte) (ledgerID string, report *stintv1.Report, err error) {
	const head = len(magic) + 4
	if len(data) < head+4 {
		return "", nil, errTorn
	}
	if string(data[:len(magic)]) != magic {
		return "", nil, fmt.Errorf("outbox: entry begins with %q, not with %q: it is of another version or no entry", data[:len(magic)], magic)
	}
	body := data[head:]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(data[len(magic):head]) {
		return "", nil, errTorn
	}
	size := uint64(binary.BigEndian.Uint32(body))
	if size > uint64(len(body)-4) {
		return "", nil, errTorn
	}
	report = &stintv1.Report{}
	if err := proto.Unmarshal(body[4+size:], report); err != nil {
		return "", nil, fmt.Errorf("outbox: entry holds no report: %w", err)
	}
	return string(body[4 : 4+size]), report, nil
}
