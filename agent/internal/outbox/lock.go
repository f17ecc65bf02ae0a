package outbox

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// lockName is the file that is locked, and by which a folder is known to be an agent's.
const lockName = "lock"

var (
	errLocked = errors.New("outbox: locked by another process")

	idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)
)

// claim locks the folder of agentID and makes it if need be. Without an id it takes the first unlocked folder of an
// agent, by name, or makes one under a new id. The folder stays locked until the file is closed.
func claim(dir, agentID string) (id string, lock *os.File, err error) {
	if agentID != "" {
		lock, err := claimID(dir, agentID)
		if errors.Is(err, errLocked) {
			err = fmt.Errorf("outbox: agent-id %q is in use by another process with outbox-dir %q; stop that one or give another agent-id",
				agentID, dir)
		}
		return agentID, lock, err
	}
	folders, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", nil, fmt.Errorf("outbox: list outbox-dir: %w", err)
	}
	for _, folder := range folders {
		if !isAgents(dir, folder.Name()) {
			continue
		}
		lock, err := claimID(dir, folder.Name())
		if errors.Is(err, errLocked) {
			continue
		}
		return folder.Name(), lock, err
	}
	id = newID()
	lock, err = claimID(dir, id)
	return id, lock, err
}

// isAgents tells the folder of an agent from whatever else lies there.
func isAgents(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name, lockName))
	return err == nil && idPattern.MatchString(name)
}

func claimID(dir, id string) (*os.File, error) {
	if !idPattern.MatchString(id) {
		return nil, fmt.Errorf("outbox: agent-id %q is no id; give 1 to 128 of A-Z a-z 0-9 . _ : - beginning with a letter or digit", id)
	}
	folder := filepath.Join(dir, id)
	if err := makeDir(folder); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(folder, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("outbox: open lock: %w", err)
	}
	if err := tryLock(f); err != nil {
		_ = f.Close() // nothing was written, and the reason is in err
		if errors.Is(err, errLocked) {
			return nil, err
		}
		return nil, fmt.Errorf("outbox: lock %s: %w", f.Name(), err)
	}
	return f, nil
}

// newID is the id of an agent that nobody named.
func newID() string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails, by its documentation
	return "worker_" + hex.EncodeToString(random[:])
}
