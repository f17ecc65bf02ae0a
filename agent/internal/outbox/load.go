package outbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// load makes the folder's entries pending again.
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
	b.purge()
	return nil
}

func (b *Box) loadFile(file os.DirEntry) {
	path := filepath.Join(b.folder, file.Name())
	switch {
	case file.IsDir() || file.Name() == lockName:
		return
	case filepath.Ext(path) == tmpSuffix:
		b.deleteFile(path)
		return
	}
	number, err := strconv.ParseUint(file.Name(), 10, 64)
	if err != nil {
		b.setAside(path, errors.New("outbox: its name is no number"))
		return
	}
	b.next = max(b.next, number+1)
	data, err := os.ReadFile(path)
	if err != nil {
		b.setAside(path, err)
		return
	}
	ledgerID, report, err := decodeEntry(data)
	if err != nil {
		b.setAside(path, err)
		return
	}
	b.pending[report.GetLeaseId()] = &entry{number: number, ledgerID: ledgerID, report: report, written: true}
}

// setAside moves what can't be read out of the way, for people to look at.
func (b *Box) setAside(path string, cause error) {
	b.log.Error("unreadable entry set aside", "file", path, "folder", damagedDir, "error", cause)
	name := fmt.Sprintf("%s-%d", filepath.Base(path), b.now().Unix()) // names of entries come again
	if err := os.Rename(path, filepath.Join(b.folder, damagedDir, name)); err != nil {
		b.log.Error("unreadable entry not moved", "file", path, "error", err)
	}
}
