package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The programs, as make builds them.
const (
	agentProgram       = "bin/stint-agent" + suffix
	coordinatorProgram = "bin/stint-coordinator" + suffix
)

// stopWithin is how long a process may take to end after it was asked to: longer than the drain it was given.
const stopWithin = 10 * time.Second

// process is a program that was started here.
type process struct {
	name  string
	cmd   *exec.Cmd
	log   *journal
	ended chan struct{}
}

// start starts a program in a process group of its own, so that a Ctrl-C reaches it through us and in order.
func start(name, logFile, program string, args ...string) (*process, error) {
	file, err := os.Create(logFile)
	if err != nil {
		return nil, err
	}
	p := &process{name: name, cmd: exec.Command(program, args...), ended: make(chan struct{}),
		log: &journal{file: file, grown: make(chan struct{})}}
	p.cmd.Env = ownEnvironment()
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	p.cmd.SysProcAttr = ownGroup()
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), file.Close())
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // what there is to know is in ProcessState
		p.log.end()
	}()
	return p, nil
}

// ownEnvironment is the environment without what would reach the programs as flags.
func ownEnvironment() []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "STINT_") {
			env = append(env, v)
		}
	}
	return env
}

// says waits for a line of the log.
func (p *process) says(ctx context.Context, line *regexp.Regexp) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, stopWithin)
	defer cancel()
	for {
		text, grown := p.log.soFar()
		if m := line.FindStringSubmatch(text); m != nil {
			return m, nil
		}
		select {
		case <-grown:
		case <-p.ended:
			return nil, fmt.Errorf("%s ended: %s", p.name, lastLine(text))
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: no line like %s in %s", p.name, line, p.log.file.Name())
		}
	}
}

// kill is kill -9.
func (p *process) kill() error {
	err := p.cmd.Process.Kill()
	<-p.ended
	return err
}

// stop asks it to end, and makes it if it doesn't. A process that has ended is left alone.
func (p *process) stop() error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return p.kill() // Windows knows no other way
	}
	late := time.NewTimer(stopWithin)
	defer late.Stop()
	select {
	case <-p.ended:
	case <-late.C:
		return errors.Join(fmt.Errorf("%s did not end within %v and was killed", p.name, stopWithin), p.kill())
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		text, _ := p.log.soFar()
		return fmt.Errorf("%s ended with exit code %d: %s", p.name, code, lastLine(text))
	}
	return nil
}

// show runs a command to its end, with its output on ours.
func show(ctx context.Context, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = ownEnvironment()
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", program, args[0], err)
	}
	return nil
}

// read runs a command to its end and gives what it wrote.
func read(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = ownEnvironment()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", program, args[0], err)
	}
	return out, nil
}

// journal is a log that goes to a file and can be waited for.
type journal struct {
	mu    sync.Mutex
	file  *os.File
	text  strings.Builder
	grown chan struct{} // closed, and made anew, when there is more
}

// Write takes a piece of the log.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.Write(p)
	close(j.grown)
	j.grown = make(chan struct{})
	return j.file.Write(p)
}

func (j *journal) soFar() (string, <-chan struct{}) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String(), j.grown
}

func (j *journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.file.Close(); err != nil {
		_, _ = io.WriteString(os.Stderr, "demo: "+err.Error()+"\n") // the log is a convenience
	}
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
