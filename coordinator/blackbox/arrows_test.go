package blackbox

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/stint-dev/stint/"

// contract is the package that the .proto files become. Both halves may import it, but only where they speak it.
const contract = "gen/stint/v1"

// heights has every package of the module. Arrows point down only: a package imports what stands lower in its own half,
// and nothing at its own height. Whoever adds a package says here where it stands.
var heights = map[string]int{
	"coordinator":                              7,
	"coordinator/internal/server":              6,
	"coordinator/internal/web":                 6,
	"coordinator/internal/transfer":            6,
	"coordinator/internal/engine":              5,
	"coordinator/internal/ledger/ledgertest":   4,
	"coordinator/internal/ledger/pebbleledger": 4,
	"coordinator/internal/ledger/memledger":    4,
	"coordinator/internal/ledger/keyed":        3,
	"coordinator/internal/ledger/record":       2,
	"coordinator/internal/ledger":              1,
	"coordinator/internal/queue":               0,
	"coordinator/internal/faults":              7, // tests only

	// These use the programs, not the packages.
	"coordinator/blackbox":                0,
	"coordinator/demo":                    0,
	"coordinator/internal/faults/planted": 0,

	"agent":                  1,
	"agent/internal/session": 0,
	"agent/internal/runner":  0,
	"agent/internal/outbox":  0,
	"agent/internal/client":  0,
	"agent/internal/sandbox": 0,
	"agent/internal/bench":   0,

	contract: 0,
	"proto":  0, // tests only
}

// speakers are the packages that may import the contract: those that speak it, and those whose work is its tasks and
// reports. All others have types of their own.
var speakers = []string{
	"coordinator/internal/server", "coordinator/internal/web", "coordinator/internal/transfer",
	"agent/internal/session", "agent/internal/runner", "agent/internal/outbox", "agent/internal/client", "agent/internal/bench",
}

// choosers may know which ledger there is; all others know the seam.
var choosers = []string{"coordinator", "coordinator/internal/ledger/pebbleledger", "coordinator/internal/ledger/memledger",
	"coordinator/internal/ledger/keyed", "coordinator/internal/ledger/record"}

// wrong says what is wrong with an arrow, or "".
func wrong(from, to string) string {
	_, known := heights[to]
	half, _, _ := strings.Cut(from, "/")
	toHalf, _, _ := strings.Cut(to, "/")
	switch {
	case to == contract && slices.Contains(speakers, from):
		return ""
	case to == contract:
		return "it does not speak the contract"
	case !known:
		return "that is at no height"
	case half != toHalf:
		return "the halves share nothing but the contract"
	case heights[to] >= heights[from]:
		return "that does not stand lower"
	case strings.HasPrefix(to, "coordinator/internal/ledger/") && !slices.Contains(choosers, from):
		return "only the program knows which ledger there is"
	}
	return ""
}

// listed is what `go list` tells of a package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Dir        string
	GoFiles    []string
}

// list gives the packages of the module and all that they need, without tests.
func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Standard,Imports,Dir,GoFiles", "./...")
	cmd.Dir = root
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []listed
	for dec := json.NewDecoder(out); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestArrowsPointDown: a package of the module imports only what stands below it.
func TestArrowsPointDown(t *testing.T) {
	seen := 0
	for _, p := range list(t) {
		from, ours := strings.CutPrefix(p.ImportPath, module)
		if !ours {
			continue
		}
		seen++
		if _, known := heights[from]; !known {
			t.Errorf("%s is at no height: add it to the table", from)
			continue
		}
		for _, imported := range p.Imports {
			if to, ours := strings.CutPrefix(imported, module); ours {
				if why := wrong(from, to); why != "" {
					t.Errorf("%s imports %s: %s", from, to, why)
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("go list shows %d packages of the module: that can't be all", seen)
	}
}

// TestWrongArrows: the judgement above refuses what it should.
func TestWrongArrows(t *testing.T) {
	for _, arrow := range [][2]string{
		{"coordinator/internal/queue", "coordinator/internal/engine"},
		{"coordinator/internal/engine", "coordinator/internal/ledger/pebbleledger"},
		{"coordinator/internal/engine", contract},
		{"coordinator/internal/queue", contract},
		{"coordinator/internal/web", "coordinator/internal/server"},
		{"agent/internal/session", "agent/internal/outbox"},
		{"agent", contract},
		{"agent", "coordinator/internal/queue"},
		{"coordinator/internal/server", "coordinator/internal/newcomer"},
	} {
		if wrong(arrow[0], arrow[1]) == "" {
			t.Errorf("%s may import %s", arrow[0], arrow[1])
		}
	}
}

// outOfTheCore is what a state machine that is told the time and draws nothing at random has no use for.
var outOfTheCore = []string{"context", "crypto/rand", "io", "io/fs", "log", "log/slog", "math/rand", "math/rand/v2", "net",
	"net/http", "os", "os/exec", "path/filepath", "runtime", "sync", "sync/atomic", "syscall"}

// TestCoreIsPure: the core imports the standard library alone, and of that nothing that does I/O, waits, logs or guesses.
func TestCoreIsPure(t *testing.T) {
	all := list(t)
	at := slices.IndexFunc(all, func(p listed) bool { return p.ImportPath == module+"coordinator/internal/queue" })
	if at < 0 {
		t.Fatal("the core is not there")
	}
	core := all[at]
	for _, imported := range core.Imports {
		if slices.Contains(outOfTheCore, imported) {
			t.Errorf("the core imports %s", imported)
		}
		of := slices.IndexFunc(all, func(p listed) bool { return p.ImportPath == imported })
		if of >= 0 && !all[of].Standard {
			t.Errorf("the core imports %s, which is not of the standard library", imported)
		}
	}
	for _, call := range []string{"time.Now", "time.Since", "time.Until", "time.After", "time.Sleep", "time.NewTimer", "time.NewTicker", "time.Tick"} {
		for _, file := range core.GoFiles {
			if uses(t, filepath.Join(core.Dir, file), call) {
				t.Errorf("the core reads the clock: %s in %s", call, file)
			}
		}
	}
}
