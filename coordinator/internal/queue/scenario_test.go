package queue

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the traces of testdata/*.txt anew")

// TestScenarios plays testdata/*.txt. A line at the margin is a command of script_test.go; the
// lines indented below it are what came of it. The first line of a file says which rule it
// shows. With -update the traces are written anew: read the difference before keeping it.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { playFile(t, f) })
	}
}

func playFile(t *testing.T, file string) {
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got := play(t, string(want))
	switch {
	case got == string(want):
	case *update:
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s: %s", file, firstDifference(got, string(want)))
	}
}

// play runs the commands of a script and gives it with its trace.
func play(t *testing.T, script string) string {
	var out strings.Builder
	p := newPlayer(t, &out, scenarioConfig)
	for i, line := range strings.Split(strings.TrimRight(script, "\n"), "\n") {
		switch {
		case i == 0 && !strings.HasPrefix(line, "# "):
			t.Fatal("the first line does not say what the script shows")
		case strings.HasPrefix(line, "  "): // the trace
		case line == "" || strings.HasPrefix(line, "#"):
			fmt.Fprintln(&out, line)
		default:
			fmt.Fprintln(&out, line)
			p.line(line)
		}
	}
	return out.String()
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		a, b := "(end)", "(end)"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\n got: %s\nwant: %s", i+1, a, b)
		}
	}
	return "equal"
}
