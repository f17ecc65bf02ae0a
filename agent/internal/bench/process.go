package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a program that the bench started. It is tied to the bench: where the system can do
// it, it is killed when the bench is.
type process struct {
	cmd   *exec.Cmd
	name  string
	stdin io.Closer     // its end tells helpers of the bench to end
	over  chan struct{} // closed: it has ended, and err is set
	err   error
	tail  tail
}

// tail keeps the last lines that a program wrote, for the error that tells of its end.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailLines = 5

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	t.lines = t.lines[max(0, len(t.lines)-tailLines):]
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, " | ")
}

// launch starts a program and waits for the line, on either output, in which ready finds what
// it looks for. What it wrote before and after is dropped but for the last lines.
func launch(ctx context.Context, ready func(line string) (string, bool), program string, args ...string) (*process, string, error) {
	p := &process{cmd: exec.Command(program, args...), name: filepath.Base(program), over: make(chan struct{})}
	p.cmd.SysProcAttr = tiedToUs()
	out, feed := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = feed, feed
	stdin, err := p.cmd.StdinPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		return nil, "", fmt.Errorf("bench: start %s: %w; build both programs, or give the path of the coordinator", program, err)
	}
	p.stdin = stdin
	found := make(chan string, 1)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		p.read(out, ready, found)
	}()
	go func() {
		p.err = p.cmd.Wait() // after all output was taken
		_ = feed.Close()
		<-heard // its last words are in the tail
		close(p.over)
	}()
	timeout := time.NewTimer(startWithin)
	defer timeout.Stop()
	select {
	case what := <-found:
		return p, what, nil
	case <-p.over:
		return nil, "", fmt.Errorf("bench: %s ended at once: %w: %s", p.name, errors.Join(p.err, errEnded), &p.tail)
	case <-timeout.C:
		err = fmt.Errorf("bench: %s is not ready after %v: %s", p.name, startWithin, &p.tail)
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.kill()
	return nil, "", err
}

var errEnded = errors.New("it was expected to go on")

// read looks for the line that ready wants, then only keeps the tail.
func (p *process) read(out io.Reader, ready func(string) (string, bool), found chan<- string) {
	lines := bufio.NewReader(out)
	for looking := true; ; {
		line, err := lines.ReadString('\n')
		if line = strings.TrimSpace(line); line != "" {
			p.tail.add(line)
		}
		if what, ok := ready(line); looking && ok {
			looking = false
			found <- what
		}
		if err != nil {
			return
		}
	}
}

// end tells it to end and waits; what takes too long is killed. Its input stays open: a helper that
// is about to end because of that no longer catches the signal, and would die of it.
func (p *process) end() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.kill() // a system without that signal, or it has ended already
		return nil
	}
	timeout := time.NewTimer(endWithin)
	defer timeout.Stop()
	select {
	case <-p.over:
	case <-timeout.C:
		p.kill()
		return fmt.Errorf("bench: %s did not end within %v and was killed: %s", p.name, endWithin, &p.tail)
	}
	if p.err != nil {
		return fmt.Errorf("bench: %s: %w: %s", p.name, p.err, &p.tail)
	}
	return nil
}

// kill ends it without a word, as a crash would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // an error says that it has ended
	_ = p.stdin.Close()
	<-p.over
}

// start starts the coordinator on the target's folder, and waits until it serves.
func (t *target) start(ctx context.Context) error {
	p, address, err := launch(ctx, serving, t.bench.Program, "serve",
		"--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir", filepath.Join(t.folder, "data"),
		"--max-live-tasks", fmt.Sprint(mostLive), "--log-level", "info", "--log-format", "json")
	if err != nil {
		return err
	}
	t.process, t.address = p, address
	return nil
}

// serving finds the address in the coordinator's log line.
func serving(line string) (string, bool) {
	var entry struct{ Msg, GRPC string }
	err := json.Unmarshal([]byte(line), &entry)
	return entry.GRPC, err == nil && entry.Msg == "serving"
}

// saying finds what follows a word, in the output of our own helpers.
func saying(word string) func(string) (string, bool) {
	return func(line string) (string, bool) { return strings.CutPrefix(line, word+" ") }
}
