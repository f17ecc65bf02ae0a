package blackbox

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// tinyDisk mounts an empty disk of so many bytes until the end of the test. It takes root.
func tinyDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		required(t, "no disk can be mounted: %v; run as root", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill writes a file until the disk is full, and gives its name.
func fill(t *testing.T, dir string) string {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 4<<10)
	for err == nil {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

// TestOutboxDiskFull: the disk of the outbox is full when a result comes, and the coordinator away (D2). The agent keeps the
// report, writes it as soon as the disk lets it, and then it survives a kill.
func TestOutboxDiskFull(t *testing.T) {
	t.Parallel()
	full := injected(t, "a result on a full disk")
	c := startCoordinator(t, "--lease-ttl", "2s")
	api := startGated(t)
	l := c.dial(t)
	outbox := tinyDisk(t, "256k")
	flags := []string{"--agent-id", "agent-1", "--outbox-dir", outbox}
	agent := startAgent(t, c, api.addr, flags...)
	l.submit(t, task("paid"))
	api.await(t, "paid")
	c.kill()
	ballast := fill(t, outbox)
	api.release("paid")
	agent.says(`msg="report not on disk, kept in memory"`)
	full.fired()
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the report on disk", func() bool { return len(entries(t, outbox, "agent-1")) == 1 })
	agent.kill()
	c.serve(t)
	startAgent(t, c, api.addr, flags...)
	one := l.completed(t, "paid")
	if a := one.GetStatus().GetAttempts(); len(a) != 1 || a[0].GetOutcome() != stintv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED {
		t.Errorf("L4: attempts %v, want the first to win", a)
	}
	if nonce(one) != api.nonce("paid", 1) {
		t.Errorf("C2: recorded is %q, the call was answered %q", nonce(one), api.nonce("paid", 1))
	}
}
