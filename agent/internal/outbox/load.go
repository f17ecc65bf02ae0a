package outbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// load makes the folder's reports pending again, and leaves a file that holds them alone.
func (b *Box) load() error {
	for _, dir := range []string{damagedDir, refusedDir} {
		if err := makeDir(filepath.Join(b.folder, dir)); err != nil {
			return err
		}
	}
	files, err := os.ReadDir(b.folder)
	if err != nil {
		return fmt.Errorf("outbox: list %q: %w", b.folder, err)
	}
	for _, file := range files {
		b.loadFile(file)
	}
	if n := len(b.pending); n > 0 {
		b.log.Info("reports waiting in the outbox", "reports", n)
	}
	b.flush(false)
	b.purge()
	return nil
}

func (b *Box) loadFile(file os.DirEntry) {
	path := filepath.Join(b.folder, file.Name())
	switch {
	case file.Name() == reportsName:
		data, err := os.ReadFile(path)
		if err != nil {
			b.setAside(path, err)
			return
		}
		b.loadReports(data)
	case file.IsDir() || file.Name() == lockName:
	case filepath.Ext(path) == tmpSuffix:
		if err := b.remove(path); err != nil {
			b.log.Error("half-written file not deleted, tried again at the next start", "file", path, "error", err)
		}
	default:
		b.setAside(path, errors.New("outbox: it is no part of an outbox"))
	}
}

func (b *Box) loadReports(data []byte) {
	pieces := 0
	scan{
		report: func(e *entry) {
			e.written = true
			b.kept[e.number] = e
			b.next = max(b.next, e.number+1)
		},
		done: func(number uint64) {
			delete(b.kept, number)
			b.next = max(b.next, number+1)
		},
		damaged: func(stretch []byte, cause error) {
			pieces++
			b.keepPiece(pieces, stretch, cause)
		},
	}.run(data)
	for _, e := range b.kept {
		b.pending[e.report.GetLeaseId()] = e
	}
}

// setAside moves a file that can't be read out of the way, for people to look at.
func (b *Box) setAside(path string, cause error) {
	b.log.Error("unreadable entry set aside", "file", path, "folder", damagedDir, "error", cause)
	name := fmt.Sprintf("%s-%d", filepath.Base(path), b.now().Unix()) // names come again
	if err := os.Rename(path, filepath.Join(b.folder, damagedDir, name)); err != nil {
		b.log.Error("unreadable entry not moved", "file", path, "error", err)
	}
}

// keepPiece copies a stretch of the file that can't be read to where people can look at it.
func (b *Box) keepPiece(number int, stretch []byte, cause error) {
	path := filepath.Join(b.folder, damagedDir, fmt.Sprintf("%s-%d-%d", reportsName, b.now().Unix(), number))
	b.log.Error("unreadable entry set aside", "file", path, "bytes", len(stretch), "error", cause)
	if err := b.write(path, allOf(stretch)); err != nil {
		b.log.Error("unreadable entry not kept", "file", path, "error", err)
	}
}
