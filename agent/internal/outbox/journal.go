package outbox

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
)

const (
	// rewriteSize is the size, in bytes, from which the file is written anew when half of it may be done with: far more than
	// what is usually pending, and too little to be missed on any disk.
	rewriteSize = 1 << 20

	// keptBuffer is the most memory, in bytes, that is kept for the next append.
	keptBuffer = 64 << 10
)

// journal is the file of records. Its methods are called by one goroutine at a time.
type journal struct {
	path string
	file *os.File // nil: there is none, or it can't be trusted; rewrite makes one
	size int64    // of the file
	base int64    // the size after the newest rewrite
	buf  []byte
}

// due is true if nothing can be appended before a rewrite.
func (j *journal) due() bool {
	return j.file == nil || j.size >= max(rewriteSize, 2*j.base)
}

// append adds data, synced if need be. After an error it is unknown what the file holds, and a failed sync can't be
// repeated: only a rewrite helps.
func (j *journal) append(data []byte, sync bool) error {
	_, err := j.file.Write(data)
	if err == nil && sync {
		err = j.file.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("outbox: append to %s: %w", j.path, err), j.close())
	}
	j.size += int64(len(data))
	if cap(data) <= keptBuffer {
		j.buf = data[:0]
	}
	return nil
}

// rewrite puts a new file in the place of the old one, which is closed before: some systems rename over no open file.
func (j *journal) rewrite(write func(path string, fill func(io.Writer) error) error, fill func(io.Writer) error) error {
	_ = j.close() // all that is wanted of it goes to the new one
	if err := write(j.path, fill); err != nil {
		return err
	}
	file, err := os.OpenFile(j.path, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("outbox: open: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(fmt.Errorf("outbox: look at %s: %w", j.path, err), file.Close())
	}
	j.file, j.size, j.base = file, info.Size(), info.Size()
	return nil
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	file := j.file
	j.file = nil
	return file.Close()
}

// fillWith writes entries one by one: together they may be larger than what memory should hold twice.
func fillWith(entries []*entry, failed func(*entry, error)) func(io.Writer) error {
	return func(w io.Writer) error {
		buffered := bufio.NewWriter(w)
		for _, e := range entries {
			data, err := appendReport(buffered.AvailableBuffer(), e)
			if err != nil {
				failed(e, err)
				continue
			}
			if _, err := buffered.Write(data); err != nil {
				return err
			}
		}
		return buffered.Flush()
	}
}
