package pebbleledger

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
)

// failure remembers the first failure for good, and is Pebble's logger and listener, which is
// how Pebble tells of failures in the background.
type failure struct {
	log     *slog.Logger
	once    sync.Once
	err     atomic.Pointer[error]
	onFatal func(error)
	exit    func(int) // os.Exit
}

func newFailure(o *Options) *failure {
	return &failure{log: o.Logger, onFatal: o.OnFatal, exit: os.Exit}
}

// retryPause is between two tries of Pebble's background after a failure. Nobody waits for them: the
// process is about to exit.
const retryPause = time.Second

// set notes a failure, if it is the first, and gives the first.
func (f *failure) set(err error) error {
	f.once.Do(func() {
		f.err.Store(&err)
		f.log.Error("ledger failed", "error", err)
		if f.onFatal != nil {
			f.onFatal(err)
		}
	})
	return f.get()
}

// get is the first failure, nil if there was none.
func (f *failure) get() error {
	if p := f.err.Load(); p != nil {
		return *p
	}
	return nil
}

// tail is the format of Pebble's message about the end of a log that it has read.
const tail = "WAL %s stopped reading at offset"

// Infof is pebble.Logger's. The end of a log read is worth knowing after a crash; all else
// is detail.
func (f *failure) Infof(format string, args ...any) {
	if strings.Contains(format, tail) {
		f.log.Info("ledger log read", "detail", fmt.Sprintf(format, args...))
		return
	}
	f.log.Debug("ledger", "detail", fmt.Sprintf(format, args...))
}

// Errorf is pebble.Logger's.
func (f *failure) Errorf(format string, args ...any) {
	f.log.Error("ledger trouble", "detail", fmt.Sprintf(format, args...))
}

// Fatalf is pebble.Logger's. Pebble relies on it not to return.
func (f *failure) Fatalf(format string, args ...any) {
	f.log.Error("ledger failed, exiting", "detail", fmt.Sprintf(format, args...))
	f.exit(1)
	panic("pebbleledger: " + fmt.Sprintf(format, args...))
}

func (f *failure) listener() *pebble.EventListener {
	return &pebble.EventListener{
		BackgroundError: func(err error) {
			if f.get() != nil {
				time.Sleep(retryPause) // or Pebble tries a table again and again, at full speed
				return
			}
			_ = f.set(fmt.Errorf("pebbleledger: background: %w", explain(err)))
		},
		DataCorruption: func(i pebble.DataCorruptionInfo) {
			_ = f.set(fmt.Errorf("pebbleledger: %s: %w", i.Path, errors.Join(ledger.ErrCorrupt, i.Details)))
		},
		DiskSlow: func(i pebble.DiskSlowInfo) {
			f.log.Warn("ledger disk slow", "file", i.Path, "operation", i.OpType.String(), "took", i.Duration)
		},
		WriteStallBegin: func(i pebble.WriteStallBeginInfo) {
			f.log.Warn("ledger writes stalled", "reason", i.Reason)
		},
		WriteStallEnd: func() { f.log.Info("ledger writes go on") },
		LowDiskSpace: func(i pebble.LowDiskSpaceInfo) {
			f.log.Warn("ledger disk nearly full", "detail", i.String())
		},
	}
}
