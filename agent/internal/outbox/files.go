package outbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// tmpSuffix marks a file that is being written; one found at start counts for nothing.
const tmpSuffix = ".tmp"

// writeFile puts what fill writes at path so that it is there whole or not at all, and stays there through a crash.
func writeFile(path string, fill func(io.Writer) error) (err error) {
	tmp := path + tmpSuffix
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("outbox: write %s: %w", path, err), removeFile(tmp))
		}
	}()
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = fill(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// allOf fills a file with data.
func allOf(data []byte) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

// removeFile removes path; that it is gone already is no error.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("outbox: remove: %w", err)
	}
	return nil
}

// makeDir makes a folder with its parents, and sees to it that they stay there through a crash.
func makeDir(path string) error {
	parent := filepath.Dir(path)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return syncDir(parent)
	}
	if _, err := os.Stat(parent); parent != path && errors.Is(err, os.ErrNotExist) {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("outbox: make folder: %w", err)
	}
	return syncDir(parent)
}
