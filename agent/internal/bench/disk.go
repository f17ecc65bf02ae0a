package bench

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// syncer appends 4 KiB to a file and syncs it: what a durable store can't do without.
type syncer struct {
	file  *os.File
	block []byte
}

const (
	// syncBlock is the size of one append, in bytes: a page of most file systems.
	syncBlock = 4 << 10
	// syncFor is how long the disk's own rate is measured.
	syncFor = time.Second
)

func newSyncer(folder string) (*syncer, error) {
	f, err := os.CreateTemp(folder, "stint-bench-sync-")
	if err != nil {
		return nil, fmt.Errorf("bench: file to sync: %w", err)
	}
	return &syncer{file: f, block: make([]byte, syncBlock)}, nil
}

func (s *syncer) sync() (time.Duration, error) {
	began := time.Now()
	if _, err := s.file.Write(s.block); err != nil {
		return 0, fmt.Errorf("bench: append: %w", err)
	}
	if err := s.file.Sync(); err != nil {
		return 0, fmt.Errorf("bench: sync: %w", err)
	}
	return time.Since(began), nil
}

func (s *syncer) close() error { return errors.Join(s.file.Close(), os.Remove(s.file.Name())) }

// disk measures how many appends with fsync a second the file system of a folder makes.
func (f Figures) disk(folder string) (err error) {
	s, err := newSyncer(folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var took histogram
	n, began := 0, time.Now()
	for ; time.Since(began) < syncFor; n++ {
		d, err := s.sync()
		if err != nil {
			return err
		}
		took.add(d)
	}
	f["disk_fsync_per_second"] = float64(n) / time.Since(began).Seconds()
	f["disk_fsync_p50_ms"] = float64(took.at(50)) / float64(time.Millisecond)
	return nil
}
