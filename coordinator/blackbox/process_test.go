package blackbox

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a program that a test has started. It is ended at the end of the test at the latest.
type process struct {
	t      *testing.T
	name   string
	cmd    *exec.Cmd
	stdout *journal
	stderr *journal
	ended  chan struct{} // closed when it has ended and all it wrote is in the journals
}

// environment is the test's own without what would reach the programs as flags.
func environment(extra ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "STINT_") {
			env = append(env, v)
		}
	}
	return append(env, extra...)
}

// command is one call of a program, before it is started.
type command struct {
	name  string // of the program, or the path of another
	args  []string
	env   []string // NAME=VALUE, added to the environment
	dir   string   // the working folder; empty: a fresh one
	stdin string
}

// start starts it.
func (c command) start(t *testing.T) *process {
	t.Helper()
	path := c.name
	if _, ours := packages[c.name]; ours {
		path = program(t, c.name)
	}
	p := &process{t: t, name: c.name, cmd: exec.Command(path, c.args...),
		stdout: newJournal(), stderr: newJournal(), ended: make(chan struct{})}
	if c.dir == "" {
		c.dir = t.TempDir()
	}
	p.cmd.Dir = c.dir
	p.cmd.Env = environment(c.env...)
	p.cmd.Stdin = strings.NewReader(c.stdin)
	p.cmd.Stdout, p.cmd.Stderr = p.stdout, p.stderr
	p.cmd.WaitDelay = liveness
	p.cmd.SysProcAttr = tiedToUs()
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", c.name, err)
	}
	go p.reap()
	t.Cleanup(p.cleanUp)
	return p
}

// run starts it and waits for its end.
func (c command) run(t *testing.T) outcome {
	t.Helper()
	p := c.start(t)
	return outcome{code: p.wait(), stdout: p.stdout.String(), stderr: p.stderr.String()}
}

// outcome is what a process that has ended leaves.
type outcome struct {
	code           int
	stdout, stderr string
}

func (p *process) reap() {
	_ = p.cmd.Wait() // what there is to know is in ProcessState
	p.stdout.end()
	p.stderr.end()
	close(p.ended)
}

func (p *process) cleanUp() {
	p.t.Helper()
	wentWell := p.hasEnded() && p.cmd.ProcessState.Success()
	p.kill()
	if strings.Contains(p.stderr.String(), "WARNING: DATA RACE") {
		p.t.Errorf("%s: data race", p.name)
	}
	if p.t.Failed() && !wentWell {
		p.t.Logf("%s %s\n%s%s", p.name, strings.Join(p.cmd.Args[1:], " "), tail(p.stdout), tail(p.stderr))
	}
}

// tail is the end of a journal, short enough for a test's log.
func tail(j *journal) string {
	const most = 60
	lines := j.lines()
	return strings.Join(append(lines[max(0, len(lines)-most):], ""), "\n")
}

// kill is kill -9; it returns when the process has gone. Killing one that has ended does nothing.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it fails if the process has ended, which is what we want
	<-p.ended
}

// signal sends a signal.
func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatalf("%s: %v", p.name, err)
	}
}

// stop is SIGTERM, and the exit code that follows.
func (p *process) stop() int {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	return p.wait()
}

// wait gives the exit code; -1 after a signal that was not handled.
func (p *process) wait() int {
	p.t.Helper()
	late := time.NewTimer(liveness)
	defer late.Stop()
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-late.C:
		p.t.Fatalf("%s %s: does not end", p.name, strings.Join(p.cmd.Args[1:], " "))
		return -1
	}
}

// hasEnded says whether it has ended by now.
func (p *process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// says waits for a line on standard error, and gives the match with its groups.
func (p *process) says(pattern string) []string {
	p.t.Helper()
	match := p.stderr.find(bounded(p.t), regexp.MustCompile(pattern), 1)
	if match == nil {
		p.t.Fatalf("%s %s: no line like %s", p.name, strings.Join(p.cmd.Args[1:], " "), pattern)
	}
	return match
}
