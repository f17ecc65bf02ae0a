package outbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNamedFolderIsLocked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "on", "the", "way")
	o := open(t, dir, "a1")
	if _, err := Open(Config{Dir: dir, AgentID: "a1"}); err == nil || !strings.Contains(err.Error(), `agent-id "a1" is in use`) {
		t.Errorf("error = %v; want one that says who has it", err)
	}
	if o.reopen(t).AgentID() != "a1" {
		t.Error("not free after close")
	}
}

func TestWithoutAnIDTheFirstFreeFolderIsTaken(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "0-not-an-agents"), 0o700); err != nil {
		t.Fatal(err)
	}
	first := open(t, dir, "")
	if !strings.HasPrefix(first.AgentID(), "worker_") || len(first.AgentID()) != len("worker_")+8 {
		t.Errorf("id = %q; want worker_ and 8 hex digits", first.AgentID())
	}
	second := open(t, dir, "")
	if second.AgentID() == first.AgentID() {
		t.Error("two processes share a folder")
	}
	id := first.AgentID()
	first.Put("l", report("x", ""))
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, "")
	if again.AgentID() != id {
		t.Errorf("id = %q; want %q, which is free again", again.AgentID(), id)
	}
	wantPending(t, again, "l", "x")
}

func TestFaultyConfigIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, cfg := range map[string]Config{
		"outbox-dir is empty":   {},
		`agent-id "../a" is no`: {Dir: t.TempDir(), AgentID: "../a"},
		"make folder":           {Dir: file, AgentID: "a"},
		"list outbox-dir":       {Dir: file},
	} {
		if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v; want %q", cfg, err, want)
		}
	}
}
