package pebbleledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
)

// The format of Pebble's logs: blocks of chunks, none across two blocks. A chunk is a checksum
// (4 bytes), the length of what it carries (2), a kind (1), the number of the log (4), and the
// offset up to which the log was synced when the chunk was written (8).
const (
	logBlock    = 32 << 10
	chunkHeader = 4 + 2 + 1 + 4 + 8
	firstKind   = 9 // of chunks with a synced offset: whole, first, middle, last of a record
	lastKind    = 12
)

// checkTail refuses a newest log that ends early although a later chunk in it says that it was
// synced further. Pebble looks for such a chunk only in the blocks behind the one with the
// damage, and takes the rest of that block for the torn end of a crash: acknowledged batches
// would be dropped (D6).
func checkTail(at vfs.FS, dir string) error {
	name, number, err := newestLog(at, dir)
	if err != nil || name == "" {
		return err
	}
	f, err := at.Open(at.PathJoin(dir, name))
	if err != nil {
		return fmt.Errorf("pebbleledger: open log %q: %w", name, err)
	}
	t := tailReader{number: uint32(number), bad: -1}
	err = t.read(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("pebbleledger: read log %q: %w", name, err)
	}
	if t.proof < 0 {
		return nil
	}
	return fmt.Errorf("pebbleledger: log %q of folder %q: unreadable at offset %d, and offset %d says that it was synced up to %d: %w; restore the folder from a copy",
		name, dir, t.bad, t.proof, t.synced, ledger.ErrCorrupt)
}

// newestLog gives the log with the highest number, "" if there is none.
func newestLog(at vfs.FS, dir string) (name string, number uint64, err error) {
	names, err := at.List(dir)
	if err != nil {
		return "", 0, fmt.Errorf("pebbleledger: list folder %q: %w", dir, err)
	}
	for _, n := range names {
		digits, ok := strings.CutSuffix(path.Base(n), ".log")
		if !ok {
			continue
		}
		if i, err := strconv.ParseUint(digits, 10, 64); err == nil && i >= number {
			name, number = n, i
		}
	}
	return name, number, nil
}

// tailReader walks a log to its first unreadable chunk, and then looks for a later one that tells
// that there had been more.
type tailReader struct {
	number uint32
	bad    int64 // where the log cannot be read on; −1: nowhere yet
	proof  int64 // a chunk behind it that promises more
	synced uint64
}

func (t *tailReader) read(r io.Reader) error {
	t.proof = -1
	block := make([]byte, logBlock)
	for start := int64(0); ; start += logBlock {
		n, err := io.ReadFull(r, block)
		if n > 0 {
			t.block(block[:n], start)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), t.proof >= 0:
			return nil
		case err != nil:
			return err
		}
	}
}

func (t *tailReader) block(b []byte, start int64) {
	at := 0
	for t.bad < 0 && at+chunkHeader <= len(b) {
		size, _, ok := t.chunk(b[at:])
		if !ok {
			t.bad = start + int64(at)
			break
		}
		at += size
	}
	if t.bad < 0 {
		return
	}
	// A broken length hides where the next chunk begins, so each place is tried.
	for ; at+chunkHeader <= len(b); at++ {
		if _, synced, ok := t.chunk(b[at:]); ok && synced > uint64(t.bad) {
			t.proof, t.synced = start+int64(at), synced
			return
		}
	}
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// chunk reads the chunk at the start of b: its size, and up to where the log was synced.
func (t *tailReader) chunk(b []byte) (size int, synced uint64, ok bool) {
	if kind := b[6]; kind < firstKind || kind > lastKind || binary.LittleEndian.Uint32(b[7:]) != t.number {
		return 0, 0, false
	}
	size = chunkHeader + int(binary.LittleEndian.Uint16(b[4:]))
	if size > len(b) {
		return 0, 0, false
	}
	sum := crc32.Checksum(b[6:size], castagnoli)
	sum = (sum>>15 | sum<<17) + 0xa282ead8 // as LevelDB stores it
	return size, binary.LittleEndian.Uint64(b[11:]), sum == binary.LittleEndian.Uint32(b)
}
