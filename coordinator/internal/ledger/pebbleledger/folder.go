package pebbleledger

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
)

// folderMode keeps others out: the ledger holds payloads, results and a secret.
const folderMode = 0o700

// place is the file system and the folder to use: absolute on the machine's own, because the
// lock of a folder goes by its name within a process.
func (o *Options) place() (vfs.FS, string, error) {
	if o.FS != nil {
		return o.FS, o.Dir, nil
	}
	dir, err := filepath.Abs(o.Dir)
	return vfs.Default, dir, err
}

// makeFolder makes a folder and its parents so that a crash does not undo it: each that was
// missing is synced into the one above it.
func makeFolder(at vfs.FS, dir string) error {
	var above []string // folders to sync, lowest first
	for d := dir; ; {
		_, err := at.Stat(d)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		up := at.PathDir(d)
		above = append(above, up)
		if up == d {
			break
		}
		d = up
	}
	if err := at.MkdirAll(dir, folderMode); err != nil {
		return err
	}
	for _, d := range above {
		if err := syncFolder(at, d); err != nil {
			return err
		}
	}
	return nil
}

func syncFolder(at vfs.FS, dir string) error {
	f, err := at.OpenDir(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// takeLock takes the folder's lock. ErrLocked: someone has it.
func takeLock(at vfs.FS, dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, at)
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("pebbleledger: lock folder %q: %w", dir, err)
	}
	return nil, fmt.Errorf("pebbleledger: folder %q: %w (%w); stop the coordinator that uses it, or give another --data-dir",
		dir, ledger.ErrLocked, err)
}

// checkFolder refuses a folder that has data but no manifest that names it: Pebble would take
// it for empty and clean it up.
func checkFolder(at vfs.FS, dir string) error {
	names, err := at.List(dir)
	if err != nil {
		return fmt.Errorf("pebbleledger: list folder %q: %w", dir, err)
	}
	data := ""
	for _, n := range names {
		switch {
		case strings.HasPrefix(n, "marker.manifest."):
			return nil
		case strings.HasSuffix(n, ".sst"), strings.HasSuffix(n, ".log"), strings.HasSuffix(n, ".blob"):
			data = n
		}
	}
	if data == "" {
		return nil
	}
	return fmt.Errorf("pebbleledger: folder %q has data (%s) but no marker.manifest file: %w; restore the folder from a copy",
		dir, data, ledger.ErrCorrupt)
}
