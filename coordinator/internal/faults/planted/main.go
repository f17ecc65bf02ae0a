// Command planted shows that the tests can fail. It plants one bug after the other, each a patch
// of this folder, and runs the test that must find it; it prints a table of bug, test and what
// came of it, and exits with status 1 if a bug went unseen.
//
// A patch is a unified diff with two lines in front: "Bug: " and what is wrong, and "Test: ", a
// package and a pattern of test names. Nothing of the tree is changed: the patched files lie in
// a temporary folder and are laid over the tree for that one run. So production code has no
// switch for any of this. A patch that no longer fits, or does not compile, is an error: whoever
// changed the code adapts it.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// wanted is how many bugs there are: one that was lost would not be missed otherwise.
const wanted = 12

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "planted:", err)
		os.Exit(1)
	}
}

func run() error {
	names, err := filepath.Glob("coordinator/internal/faults/planted/*.patch")
	if err != nil {
		return err
	}
	if len(names) != wanted {
		return fmt.Errorf("%d patches, want %d; run it in the root of the tree", len(names), wanted)
	}
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BUG\tTEST\t")
	tried, unseen := 0, 0
	for _, name := range names {
		if len(os.Args) > 1 && !strings.Contains(name, os.Args[1]) {
			continue
		}
		tried++
		b, err := readBug(name)
		if err != nil {
			return err
		}
		caught, err := b.try()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		verdict := "caught"
		if !caught {
			unseen++
			verdict = "NOT CAUGHT"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", b.what, b.test, verdict)
		fmt.Fprintf(os.Stderr, "%s: %s\n", b.what, verdict) // the table comes at the end
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Printf("%d of %d caught\n", tried-unseen, tried)
	if unseen > 0 {
		return errors.New("some bugs were not caught")
	}
	return nil
}

// bug is one patch.
type bug struct {
	what, pkg, test string
	files           []file
}

func readBug(name string) (*bug, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	b := &bug{}
	for line := range strings.Lines(string(text)) {
		if what, ok := strings.CutPrefix(line, "Bug: "); ok {
			b.what = strings.TrimSpace(what)
		}
		if test, ok := strings.CutPrefix(line, "Test: "); ok {
			b.pkg, b.test, _ = strings.Cut(strings.TrimSpace(test), " ")
		}
	}
	if b.what == "" || b.test == "" {
		return nil, fmt.Errorf("%s: give the lines \"Bug: …\" and \"Test: PACKAGE PATTERN\"", name)
	}
	if b.files, err = parse(string(text)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return b, nil
}

// try runs the bug's test over the patched files; caught: it failed.
func (b *bug) try() (caught bool, err error) {
	dir, err := os.MkdirTemp("", "planted")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	overlay, err := b.overlay(dir)
	if err != nil {
		return false, err
	}
	args := []string{"-overlay", overlay, "-count=1", "-timeout", "3m", "-run", "^(" + b.test + ")$", "./" + b.pkg}
	if out, err := exec.Command("go", append([]string{"vet", "-overlay", overlay}, "./"+b.pkg)...).CombinedOutput(); err != nil {
		return false, fmt.Errorf("it does not compile: %w\n%s", err, out)
	}
	out, err := exec.Command("go", append([]string{"test"}, args...)...).CombinedOutput()
	switch {
	case bytes.Contains(out, []byte("no tests to run")):
		return false, fmt.Errorf("no test is called %s", b.test)
	case err == nil:
		return false, nil
	case bytes.Contains(out, []byte("--- FAIL")), bytes.Contains(out, []byte("panic: ")):
		return true, nil
	}
	return false, fmt.Errorf("%w\n%s", err, out)
}

// overlay writes the patched files, and the list of them that go test takes.
func (b *bug) overlay(dir string) (string, error) {
	replace := map[string]string{}
	for i, f := range b.files {
		text, err := f.patched()
		if err != nil {
			return "", err
		}
		from, err := filepath.Abs(f.name)
		if err != nil {
			return "", err
		}
		to := filepath.Join(dir, fmt.Sprintf("%d.go", i))
		if err := os.WriteFile(to, []byte(text), 0o600); err != nil {
			return "", err
		}
		replace[from] = to
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, list, 0o600)
}
