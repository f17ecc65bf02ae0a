package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"

	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
)

// dataDir is the ledger that a command works on while no coordinator runs on it.
type dataDir struct {
	DataDir string `default:"./stint-data" placeholder:"FOLDER" help:"Folder of the ledger; no coordinator may run on it (${default})."`
}

// exists tells whether the folder has anything in it. A ledger is opened only then by commands
// that must not make one.
func (d *dataDir) exists() (bool, error) {
	if d.DataDir == "" {
		return false, errors.New(`--data-dir is "": give the folder of the ledger`)
	}
	names, err := os.ReadDir(d.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("--data-dir: %w; give a folder that can be read", err)
	}
	return len(names) > 0, nil
}

// must is exists for commands that need a ledger.
func (d *dataDir) must() error {
	ok, err := d.exists()
	if err == nil && !ok {
		err = fmt.Errorf("--data-dir %s: there is no ledger; give the folder of one", d.DataDir)
	}
	return err
}

// open gives the ledger, which nobody leads yet.
func (d *dataDir) open(logger *slog.Logger) *pebbleledger.Ledger {
	return pebbleledger.New(pebbleledger.Options{Dir: d.DataDir, Logger: logger})
}
