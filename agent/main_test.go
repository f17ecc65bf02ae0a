package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// exited is what ends a program under test that asks to end.
type exited int

// runLine runs one command line as main does.
func runLine(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(stdin), stdout: &out, stderr: &errs, exit: func(code int) { panic(exited(code)) }}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case exited:
			code, stdout, stderr = int(r), out.String(), errs.String()
		default:
			panic(r)
		}
	}()
	return a.main(args), out.String(), errs.String()
}

// A wrong command line ends with 1, prints the usage to standard error, and names the word, and what to do.
func TestWrongCommandLines(t *testing.T) {
	for _, tc := range []struct {
		line []string
		want []string
	}{
		{[]string{"frobnicate"}, []string{"Usage: stint-agent <command>", `unknown command "frobnicate"`, "give one of run, add"}},
		{[]string{"abc", "--output", "json"}, []string{"Usage: stint-agent <command>", `unknown command "abc"`}},
		{[]string{"run", "abc"}, []string{"Usage: stint-agent run", `MAX_TASKS "abc"`, "0 for no limit"}},
		{[]string{"run", "-1"}, []string{"Usage: stint-agent run", `MAX_TASKS "-1"`, "0 for no limit"}},
		{[]string{"run", "1.5"}, []string{`MAX_TASKS "1.5"`, "0 for no limit"}},
		{[]string{"-1"}, []string{`MAX_TASKS "-1"`, "0 for no limit"}},
		{[]string{"run", "-1", "--coordinator", "127.0.0.1:1"}, []string{`MAX_TASKS "-1"`}},
		{[]string{"run", "99999999999999999999"}, []string{`MAX_TASKS "99999999999999999999"`}},
		{[]string{"run", "1", "2"}, []string{"unexpected argument 2"}},
		{[]string{"get"}, []string{"Usage: stint-agent get", `expected "<id>"`, "stint-agent get --help"}},
		{[]string{"get", "a", "b"}, []string{"unexpected argument b"}},
		{[]string{"get", "a", "--bogus"}, []string{"unknown flag --bogus", "put -- before"}},
		{[]string{"get", "a", "--output", "xml"}, []string{"--output", `"xml"`, `"table","json"`}},
		{[]string{"get", "\xff"}, []string{"argument 2", "not UTF-8"}},
		{[]string{"list", "--limit", "many"}, []string{"--limit", `"many"`}},
		{[]string{"add", "a"}, []string{"Usage: stint-agent add", "no instruction", "--instruction-file"}},
		{[]string{"add", "a", "do", "b", "--instruction-file", "-"}, []string{`"do"`, "leave out one"}},
		{[]string{"add", "a", "do", "--label", "team"}, []string{"--label", `"<key>=<value>"`, `"team"`}},
		{[]string{"add", "a", "do", "--max-budget", "lots"}, []string{"--max-budget", `"lots"`}},
		{[]string{"cancel"}, []string{"Usage: stint-agent cancel", "no task is given", "--state failed"}},
		{[]string{"cancel", "--yes"}, []string{"no task is given"}},
		{[]string{"retry", "a", "--queue", "q"}, []string{"both given", "STINT_QUEUE"}},
		{[]string{"status", "--follow"}, []string{"--follow", "give --watch too"}},
		{[]string{"queue"}, []string{"Usage: stint-agent queue", "list", "pause"}},
		{[]string{"queue", "set"}, []string{"Usage: stint-agent queue set", `expected "<queue>"`}},
		{[]string{"queue", "set", "q", "--max-running", "many"}, []string{"--max-running", `"many"`}},
		{[]string{"queue", "set", "q", "--retry-max-backoff", "long"}, []string{"--retry-max-backoff", `"long"`}},
		{[]string{"spend", "--by", "week"}, []string{"--by", `"week"`, `"queue","agent","key"`}},
		{[]string{"watch", "--from", "start"}, []string{"--from", `"start"`}},
		{[]string{"sandbox", "--latency", "slow"}, []string{"--latency", `"slow"`}},
	} {
		t.Run(fmt.Sprint(tc.line), func(t *testing.T) {
			code, stdout, stderr := runLine("", tc.line...)
			if code != 1 || stdout != "" {
				t.Errorf("code %d and output %q, want 1 and none", code, stdout)
			}
			for _, part := range append(tc.want, "Usage: stint-agent") {
				if !strings.Contains(stderr, part) {
					t.Errorf("no %q in %q", part, stderr)
				}
			}
			if last := stderr[strings.LastIndex(strings.TrimSuffix(stderr, "\n"), "\n")+1:]; !strings.HasPrefix(last, "stint-agent: ") {
				t.Errorf("last line is %q, want the error", last)
			}
		})
	}
}

// A command that fails ends with 1 and one line, without usage: the command line was right.
func TestFailuresExitOne(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := ln.Addr().String()
	_ = ln.Close()
	none := "no coordinator at " + address
	long := filepath.Join(t.TempDir(), "long")
	if err := os.WriteFile(long, []byte(strings.Repeat("я", maxInstruction)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		line []string
		want string
	}{
		{[]string{"add", "a", "do"}, none},
		{[]string{"add", "a", "--instruction-file", "-"}, none},
		{[]string{"add", "a", "--instruction-file", filepath.Join(t.TempDir(), "none")}, "instruction-file"},
		{[]string{"add", "a", "--instruction-file", long}, "has over 524288 bytes"},
		{[]string{"add", "a", "do", "--intensity", "max"}, `intensity "max" is unknown`},
		{[]string{"get", "a"}, none},
		{[]string{"list"}, none},
		{[]string{"list", "--state", "done"}, `state "done" is unknown`},
		{[]string{"status"}, none},
		{[]string{"status", "--watch"}, none},
		{[]string{"wait", "a"}, none},
		{[]string{"explain", "a"}, none},
		{[]string{"watch", "--from", "0"}, none},
		{[]string{"cancel", "a"}, none},
		{[]string{"cancel", "--state", "ready", "--yes"}, none},
		{[]string{"retry", "a"}, none},
		{[]string{"agents"}, none},
		{[]string{"drain", "a"}, none},
		{[]string{"queue", "list"}, none},
		{[]string{"queue", "show", "q"}, none},
		{[]string{"queue", "pause", "q"}, none},
		{[]string{"queue", "resume", "q"}, none},
		{[]string{"queue", "set", "q", "--weight", "2"}, none},
		{[]string{"queue", "set", "q", "--no-strict-fencing"}, none},
		{[]string{"spend"}, none},
		{[]string{"spend", "q", "--by", "key"}, none},
	} {
		t.Run(fmt.Sprint(tc.line), func(t *testing.T) {
			code, stdout, stderr := runLine("text", append(tc.line, "--coordinator", address)...)
			if code != 1 || stdout != "" || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, tc.want) {
				t.Errorf("code %d, output %q, errors %q, want 1 and one line with %q", code, stdout, stderr, tc.want)
			}
		})
	}
}

// What ends as asked ends with 0, and nothing on standard error.
func TestCleanExits(t *testing.T) {
	for _, line := range [][]string{{"--help"}, {"add", "--help"}, {"run", "--help"}, {"queue", "--help"}, {"version"}} {
		code, stdout, stderr := runLine("", line...)
		if code != 0 || stderr != "" || !strings.Contains(stdout, "stint-agent") {
			t.Errorf("%v: code %d, output %q, errors %q", line, code, stdout, stderr)
		}
	}
}

// An interrupt of what was not done yet is no clean end, and hides no other error.
func TestInterruptBeforeTheAnswerIsAnError(t *testing.T) {
	var errs bytes.Buffer
	a := &app{stderr: &errs}
	both := errors.Join(errors.New("client: cancel task a: TASK_NOT_FOUND"), fmt.Errorf("client: cancel task b: %w", context.Canceled))
	if code := a.finish(both); code != 1 || !strings.Contains(errs.String(), "TASK_NOT_FOUND") {
		t.Errorf("code %d, errors %q", code, errs.String())
	}
	if code := a.finish(context.DeadlineExceeded); code != 1 || errs.Len() == 0 {
		t.Errorf("code %d, errors %q, want an error", code, errs.String())
	}
}

// No arguments, a number alone and flags alone are run.
func TestRunIsTheDefault(t *testing.T) {
	for _, line := range [][]string{nil, {"5"}, {"0"}, {"run"}, {"run", "5"}, {"--coordinator", "127.0.0.1:1"}, {"--coordinator", "127.0.0.1:1", "5"}} {
		command, err := (&app{stdout: os.Stderr, stderr: os.Stderr}).parse(line)
		if err != nil || command.Selected().Name != "run" {
			t.Errorf("%v: got %v, %v", line, command, err)
		}
	}
}

// Negative numbers that no flag takes go behind a "--"; all else stays where it is.
func TestNumbersLast(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"run 5 --slots 2", "run 5 --slots 2"},
		{"run -1", "run -- -1"},
		{"-1", "-- -1"},
		{"run -1 --slots 2", "run --slots 2 -- -1"},
		{"run --slots -1", "run --slots -1"},
		{"run --slots=2 -1", "run --slots=2 -- -1"},
		{"run -- -1", "run -- -1"},
		{"run -- 3 -1", "run -- 3 -1"},
		{"run -h", "run -h"},
	} {
		if got := strings.Join(numbersLast(strings.Fields(tc.in)), " "); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.in, got, tc.want)
		}
	}
}

// Every flag has its variable and a help; flags of one name share the variable, and so must read it alike.
func TestFlags(t *testing.T) {
	parser, err := (&app{exit: os.Exit}).parser()
	if err != nil {
		t.Fatal(err)
	}
	type reading struct {
		kind        reflect.Type
		sep, mapSep rune
	}
	seen := map[string]reading{}
	err = kong.Visit(parser.Model, func(node kong.Visitable, next kong.Next) error {
		flag, is := node.(*kong.Flag)
		if !is || flag.Name == "help" {
			return next(nil)
		}
		want := "STINT_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		if len(flag.Envs) != 1 || flag.Envs[0] != want {
			t.Errorf("--%s: variables %v, want %s", flag.Name, flag.Envs, want)
		}
		if !strings.HasSuffix(strings.TrimRight(flag.Help, "."), ")") && !strings.Contains(flag.Help, "(") {
			if flag.Help == "" || flag.Default == "" {
				t.Errorf("--%s: help %q tells no default", flag.Name, flag.Help)
			}
		}
		kind := flag.Target.Type()
		if kind.Kind() == reflect.Slice {
			kind = kind.Elem() // one value and a list of them read a single word alike
		}
		r := reading{kind: kind, sep: flag.Tag.Sep, mapSep: flag.Tag.MapSep}
		if before, again := seen[flag.Name]; again && before != r {
			t.Errorf("--%s is read in two ways: %+v and %+v", flag.Name, before, r)
		}
		seen[flag.Name] = r
		return next(nil)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// The words behind the id are the instruction and the dependencies, or with a file the dependencies alone.
func TestAddWords(t *testing.T) {
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		cmd               addCmd
		instruction, deps string
	}{
		{addCmd{Instruction: "do", DependsOn: "a,b"}, "do", "a,b"},
		{addCmd{InstructionFile: "-"}, "from standard input", ""},
		{addCmd{InstructionFile: file, Instruction: "a,b"}, "from a file\n", "a,b"},
	} {
		instruction, deps, err := tc.cmd.words(strings.NewReader("from standard input"))
		if err != nil || instruction != tc.instruction || deps != tc.deps {
			t.Errorf("%+v: got %q, %q, %v", tc.cmd, instruction, deps, err)
		}
	}
	if _, _, err := (&addCmd{InstructionFile: "-"}).words(strings.NewReader("")); err == nil || !strings.Contains(err.Error(), "is empty") {
		t.Errorf("empty file: got %v", err)
	}
	if got := splitIDs(" a, b,,c "); !reflect.DeepEqual(got, []string{"a", "b", "c"}) {
		t.Errorf("got %q", got)
	}
}

// Settings that aren't given are told from those that are zero; an expression may have commas.
func TestSettingsThatAreGiven(t *testing.T) {
	c := &cli{}
	parser, err := kong.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(strings.Fields("queue set q --max-running 0 --no-strict-fencing --retry-max-backoff 0s")); err != nil {
		t.Fatal(err)
	}
	set := c.Queue.Set
	if set.MaxRunning == nil || *set.MaxRunning != 0 || set.StrictFencing == nil || *set.StrictFencing || set.RetryMaxBackoff == nil ||
		set.MaxPerKey != nil || set.Weight != nil || set.RetryInitialBackoff != nil {
		t.Errorf("got %+v", set)
	}
	if _, err := parser.Parse([]string{"add", "a", "do", "--require", "region in (eu,us)", "--require", "!spot", "--budget", "0.5"}); err != nil {
		t.Fatal(err)
	}
	if want := []string{"region in (eu,us)", "!spot"}; !reflect.DeepEqual(c.Add.Require, want) || c.Add.MaxBudget == nil || *c.Add.MaxBudget != 0.5 {
		t.Errorf("got %+v", c.Add)
	}
}

// Only a yes is a yes; an interrupt ends the wait for an answer.
func TestAsk(t *testing.T) {
	for said, want := range map[string]bool{"y\n": true, "Yes \n": true, "yes": true, "n\n": false, "\n": false, "": false, "yeah\n": false} {
		var out bytes.Buffer
		if got, err := ask(t.Context(), strings.NewReader(said), &out, "cancel 3?"); err != nil || got != want || out.String() != "cancel 3? [y/N] " {
			t.Errorf("%q: got %v, %v after %q", said, got, err, out.String())
		}
	}
	silent, end := net.Pipe()
	defer func() { _, _ = silent.Close(), end.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := ask(ctx, silent, &bytes.Buffer{}, "cancel 3?"); got || !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: got %v, %v", got, err)
	}
	if asker(&app{stdin: strings.NewReader("y"), stderr: &bytes.Buffer{}}) != nil {
		t.Error("somebody is asked where there is no terminal")
	}
}
