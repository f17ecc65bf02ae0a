package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"
)

// call is one line of the call log. Every key is always there; what the caller did not send is "".
type call struct {
	Time           time.Time `json:"time"` // of arrival, UTC
	TaskID         string    `json:"task_id"`
	IdempotencyKey string    `json:"idempotency_key"`
	Attempt        string    `json:"attempt"`
	Nonce          string    `json:"nonce"`
	Path           string    `json:"path"`
	Status         int       `json:"status"` // 0: the call got no answer
}

// logFile is what the call log needs of a file.
type logFile interface {
	io.WriteCloser
	Sync() error
}

// callLog appends lines and returns from each append once it is synced; lines that come meanwhile share a sync.
// The first failure is final, for a sync that failed cannot be repeated.
type callLog struct {
	path     string
	openFile func(path string) (logFile, error)

	mu      sync.Mutex // guards the fields below
	file    logFile
	written uint64
	err     error

	syncing sync.Mutex // guards synced; held during a sync
	synced  uint64
}

func newCallLog(path string) *callLog { return &callLog{path: path, openFile: openLogFile} }

// open makes the file and its parent folders ready; append does so too when nobody has.
func (l *callLog) open() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.openLocked()
}

func (l *callLog) openLocked() error {
	if l.err != nil || l.file != nil {
		return l.err
	}
	l.file, l.err = l.openFile(l.path)
	if l.err != nil {
		l.err = fmt.Errorf("sandbox: call-log %q cannot be opened: %w; give a path that can be written", l.path, l.err)
	}
	return l.err
}

// append returns nil once c is on disk.
func (l *callLog) append(c *call) error {
	line, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("sandbox: call-log line: %w", err)
	}
	number, err := l.write(append(line, '\n'))
	if err != nil {
		return err
	}
	return l.syncTo(number)
}

func (l *callLog) write(line []byte) (number uint64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.openLocked(); err != nil {
		return 0, err
	}
	if _, err := l.file.Write(line); err != nil {
		return 0, l.failLocked(err)
	}
	l.written++
	return l.written, nil
}

func (l *callLog) syncTo(number uint64) error {
	l.syncing.Lock()
	defer l.syncing.Unlock()
	if l.synced >= number {
		return nil
	}
	l.mu.Lock()
	file, written, err := l.file, l.written, l.err
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.failLocked(err)
	}
	l.synced = written
	return nil
}

func (l *callLog) failLocked(err error) error {
	l.err = fmt.Errorf("sandbox: call-log %q cannot be written: %w; make room and start again", l.path, err)
	return l.err
}

// close ends the log; an append after it fails.
func (l *callLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	file := l.file
	l.file = nil
	if l.err == nil {
		l.err = errors.New("sandbox: call-log is closed")
	}
	if file == nil {
		return nil
	}
	return file.Close()
}

// openLogFile makes the parent folders, and ends a line that a crash has left torn, so that the next stands alone.
func openLogFile(path string) (logFile, error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(endTornLine(file), syncFolder(folder)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

func endTornLine(file *os.File) error {
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return err
	}
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, size-1); err != nil || last[0] == '\n' {
		return err
	}
	_, err = file.Write([]byte{'\n'})
	return err
}

// syncFolder makes the file's name durable. Windows does so by itself and cannot sync a folder.
func syncFolder(folder string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
