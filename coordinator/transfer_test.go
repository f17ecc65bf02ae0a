package main

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
)

const (
	goodQueue = `{"api_endpoint": "http://10.0.0.5:8420", "tasks": [
  {"id": "a", "prompt": "One", "status": "completed"},
  {"id": "b", "prompt": "Two", "depends_on": ["a"]},
  {"id": "c", "prompt": "Three", "depends_on": ["b"], "colour": "red"}]}`
	badQueue = `{"tasks": [{"id": "a", "prompt": "One", "depends_on": ["nowhere"]}, {"id": "b"}`
)

// folder makes an empty folder with these files the current one.
func folder(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// call runs the program and compares its exit code.
func call(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	if got := run(args, &out, &err); got != want {
		t.Fatalf("%q exits with %d, want %d\n%s%s", args, got, want, &out, &err)
	}
	return out.String(), err.String()
}

func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q is not in\n%s", p, text)
		}
	}
}

func TestImportTellsWhatItDidAndWhatToDo(t *testing.T) {
	folder(t, map[string]string{"queue.json": goodQueue})
	out, _ := call(t, exitOK, "import", "queue.json")
	wants(t, out, "stint-agent run --api-endpoint http://10.0.0.5:8420", `parameter: "colour" of 1 task`,
		"imported 3 tasks (1 ready, 1 blocked, 1 completed), 0 already there: ./stint-data")
	out, _ = call(t, exitOK, "import", "queue.json")
	wants(t, out, "imported 0 tasks, 3 already there")
}

func TestImportDryRunChangesNothing(t *testing.T) {
	folder(t, map[string]string{"queue.json": goodQueue})
	out, _ := call(t, exitOK, "import", "--dry-run", "queue.json")
	wants(t, out, "would import 3 tasks (1 ready, 1 blocked, 1 completed), 0 already there")
	if _, err := os.Stat("stint-data"); err == nil {
		t.Error("a ledger was made")
	}
	call(t, exitOK, "import", "queue.json")
	out, _ = call(t, exitOK, "import", "--dry-run", "queue.json")
	wants(t, out, "would import 0 tasks, 3 already there")
}

func TestImportOfABadFileExitsWith1AndMakesNoLedger(t *testing.T) {
	folder(t, map[string]string{"queue.json": badQueue})
	_, text := call(t, exitError, "import", "queue.json")
	wants(t, text, "import: transfer: 1 fault; nothing was imported", "queue.json:1:80: not JSON: unexpected end of JSON input")
	if _, err := os.Stat("stint-data"); err == nil {
		t.Error("a ledger was made")
	}
}

func TestExportedFileIsImported(t *testing.T) {
	folder(t, map[string]string{"queue.json": goodQueue})
	call(t, exitOK, "import", "queue.json")
	out, text := call(t, exitOK, "export")
	wants(t, text, "exported 3 tasks")
	call(t, exitOK, "export", "--output", "tasks.jsonl")
	file, err := os.ReadFile("tasks.jsonl")
	if err != nil || string(file) != out {
		t.Errorf("file %q, standard output %q (%v)", file, out, err)
	}
	out, _ = call(t, exitOK, "import", "--data-dir", "other", "tasks.jsonl")
	wants(t, out, "imported 3 tasks (1 ready, 1 blocked, 1 completed), 0 already there: other")
	if rest, _ := filepath.Glob(".tasks*"); len(rest) > 0 {
		t.Errorf("left behind: %q", rest)
	}
}

func TestVerifyOfAnImportFindsNoFault(t *testing.T) {
	folder(t, map[string]string{"queue.json": goodQueue})
	call(t, exitOK, "import", "queue.json")
	out, text := call(t, exitOK, "verify")
	wants(t, out, "3 tasks (2 live, 1 terminal, 0 awaiting pruning)", "0 faults")
	wants(t, text, "verified ")
}

func TestVerifyOfADamagedLedgerExitsWith1AndChangesNothing(t *testing.T) {
	folder(t, map[string]string{"queue.json": goodQueue})
	call(t, exitOK, "import", "queue.json")
	tables, err := filepath.Glob("stint-data/*.log")
	if more, _ := filepath.Glob("stint-data/*.sst"); err != nil || len(more) > 0 {
		tables = more
	}
	for _, name := range tables {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := range min(len(b), 400) {
			b[i] ^= 0x5a
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := contents(t, "stint-data")
	_, text := call(t, exitError, "verify")
	wants(t, text, "unreadable data")
	if after := contents(t, "stint-data"); after != before {
		t.Errorf("the ledger was changed from\n%sto\n%s", before, after)
	}
}

// contents are the files of a folder and when they were written.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "LOCK" { // taken, which touches it
			return err
		}
		info, err := d.Info()
		if err == nil {
			b.WriteString(path + " " + info.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTransferCommandsNeedAFreeLedger(t *testing.T) {
	folder(t, map[string]string{"queue.json": goodQueue})
	call(t, exitOK, "import", "queue.json")
	l := pebbleledger.New(pebbleledger.Options{Dir: "stint-data", Logger: slog.New(slog.DiscardHandler)})
	if _, err := l.Lead(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, args := range [][]string{{"import", "queue.json"}, {"export"}, {"verify"}} {
		_, text := call(t, exitError, args...)
		wants(t, text, args[0]+": pebbleledger: folder", "held by another process", "stop the coordinator that uses it")
	}
}

func TestTransferCommandsNameTheLedgerThatIsMissing(t *testing.T) {
	folder(t, nil)
	for _, command := range []string{"export", "verify"} {
		_, text := call(t, exitError, command, "--data-dir", "nowhere")
		wants(t, text, command+": --data-dir nowhere: there is no ledger; give the folder of one")
	}
	_, text := call(t, exitError, "import", "nothing.json")
	wants(t, text, "nothing.json: no such file or directory; give a file that can be read")
}
