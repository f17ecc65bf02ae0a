package blackbox

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// TestWorkerPyAdd: a task is added by id, instruction and dependencies; adding it again changes nothing.
func TestWorkerPyAdd(t *testing.T) {
	c := startCoordinator(t)
	for _, args := range [][]string{{"add", "a", "First."}, {"add", "b", "Second."}, {"add", "c", "Third.", "a,b"}, {"add", "c", "Third.", "a,b"}} {
		if out := cli(t, c, args...); out.code != 0 {
			t.Errorf("%q: exit code %d: %s", args, out.code, out.stderr)
		}
	}
	l := c.dial(t)
	one := l.get(t, "c")
	if strings.Join(one.GetDependsOn(), ",") != "a,b" || one.GetStatus().GetState() != stintv1.TaskState_TASK_STATE_BLOCKED {
		t.Errorf("c: %v", one)
	}
	if n := l.status(t).GetCounts().GetSubmitted(); n != 3 {
		t.Errorf("%d tasks, want 3", n)
	}
	if out := cli(t, c, "add", "c", "Else."); out.code != 1 || !strings.Contains(out.stderr, "TASK_EXISTS") {
		t.Errorf("other content: exit code %d: %s", out.code, out.stderr)
	}
}

// TestWorkerPyCLIValidation: a wrong command line ends with 1 and tells, on standard error, what is wrong and how to say it;
// of the flags all faults are told at once.
func TestWorkerPyCLIValidation(t *testing.T) {
	for _, tt := range []struct {
		name, program string
		args, env     []string
		want          []string
	}{
		{"unknown command", agentName, []string{"ad", "x"}, nil, []string{`"ad"`, "add"}},
		{"unknown flag", agentName, []string{"run", "--slot", "3"}, nil, []string{"--slot", "stint-agent run --help"}},
		{"negative tasks", agentName, []string{"run", "-1"}, nil, []string{"MAX_TASKS", `"-1"`}},
		{"no number", agentName, []string{"run", "many"}, nil, []string{"MAX_TASKS", `"many"`}},
		{"no instruction", agentName, []string{"add", "a"}, nil, []string{"instruction"}},
		{"several faults", agentName, []string{"run", "--slots", "0", "--coordinator", "nowhere", "--agent-id", "an id", "--drain=-1s"}, nil,
			[]string{"slots 0", `"nowhere"`, `"an id"`, "drain -1s"}},
		{"bad environment", agentName, []string{"run"}, []string{"STINT_SLOTS=four"}, []string{"slots", "four"}},
		{"bad endpoint", agentName, []string{"run", "--api-endpoint", "ftp://x"}, nil, []string{"ftp://x"}},
		{"sandbox", agentName, []string{"sandbox", "--fail-rate", "2"}, nil, []string{"fail-rate 2"}},
		{"unknown command", coordinatorName, []string{"serv"}, nil, []string{"serv"}},
		{"unknown flag", coordinatorName, []string{"serve", "--port", "1"}, nil, []string{"--port"}},
		{"several faults", coordinatorName, []string{"serve", "--lease-ttl", "1ms", "--listen", "7070", "--log-level", "loud"}, nil,
			[]string{"--lease-ttl is 1ms", `--listen is "7070"`, `--log-level is "loud"`}},
		{"open address", coordinatorName, []string{"serve", "--listen", "0.0.0.0:0", "--http", "127.0.0.1:0"}, nil, []string{"--listen", "--insecure"}},
		{"bad environment", coordinatorName, nil, []string{"STINT_LEASE_TTL=soon"}, []string{"lease-ttl", "soon"}},
	} {
		t.Run(tt.program+" "+tt.name, func(t *testing.T) {
			out := command{name: tt.program, args: tt.args, env: tt.env}.run(t)
			if out.code != 1 || out.stdout != "" {
				t.Errorf("exit code %d, want 1 and nothing on standard output: %s", out.code, out.stdout)
			}
			for _, want := range tt.want {
				if !strings.Contains(out.stderr, want) {
					t.Errorf("no %q in: %s", want, out.stderr)
				}
			}
		})
	}
}

// TestWorkerPyExitCodes: 0 after an interrupt, whatever runs; 1 after what can't go on. The coordinator likewise.
func TestWorkerPyExitCodes(t *testing.T) {
	c := startCoordinator(t)
	agent := startAgent(t, c, refusingAddress(t))
	agent.says(`msg=connected`)
	alone := command{name: agentName, args: []string{"run", "--coordinator", refusingAddress(t), "--agent-id", "alone"}}.start(t)
	alone.says(`msg="no link`)
	watch := command{name: agentName, args: []string{"watch", "--from", "0", "--coordinator", c.grpc}}.start(t)
	sandbox := startSandbox(t)
	for _, p := range []*process{agent, alone, watch, sandbox.process} {
		p.signal(syscall.SIGINT)
		if code := p.wait(); code != 0 {
			t.Errorf("%q: exit code %d after an interrupt", p.cmd.Args[1], code)
		}
	}

	second := command{name: coordinatorName, args: []string{"--data-dir", c.dir, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"}}.run(t)
	if second.code != 1 || !strings.Contains(second.stderr, c.dir) {
		t.Errorf("a second coordinator on the folder: exit code %d: %s", second.code, second.stderr)
	}
	held := moveIn(t, c.dir, written(t, "queue.json", `{"tasks":[]}`))
	if held.code != 1 {
		t.Errorf("import into a folder in use: exit code %d: %s", held.code, held.stderr)
	}
	taken := command{name: coordinatorName, args: []string{"--data-dir", filepath.Join(t.TempDir(), "d"), "--listen", c.grpc, "--http", "127.0.0.1:0"}}.run(t)
	if taken.code != 1 || !strings.Contains(taken.stderr, c.grpc) {
		t.Errorf("a port in use: exit code %d: %s", taken.code, taken.stderr)
	}
	if missing := cli(t, c, "get", "nobody"); missing.code != 1 || !strings.Contains(missing.stderr, "TASK_NOT_FOUND") {
		t.Errorf("a task that is not there: exit code %d: %s", missing.code, missing.stderr)
	}
	if code := c.stop(); code != 0 {
		t.Errorf("coordinator: exit code %d after SIGTERM", code)
	}
}

// TestDrainByAnOperator: an agent that is told to drain finishes what it has, takes no more, and exits with 0.
func TestDrainByAnOperator(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	finish := make(chan struct{})
	agent := startAgent(t, c, serveAPI(t, held(finish)).addr, "--agent-id", "leaving", "--slots", "1")
	l.submit(t, task("first"), task("second"))
	l.granted(t, "first", 1)
	if out := cli(t, c, "drain", "leaving"); out.code != 0 {
		t.Errorf("drain: exit code %d: %s", out.code, out.stderr)
	}
	agent.says(`msg=draining`)
	close(finish)
	if code := agent.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	l.completed(t, "first")
	if s := l.get(t, "second").GetStatus(); s.GetState() != stintv1.TaskState_TASK_STATE_READY || len(s.GetAttempts()) != 0 {
		t.Errorf("second: %v", s)
	}
}

// TestSecondSIGTERM: the first lets calls under way finish, the second cuts them; the exit code is 0 both times.
func TestSecondSIGTERM(t *testing.T) {
	c := startCoordinator(t, "--drain", "1h")
	openSession(t, c.dial(t), "me", "i1")
	half := startAgent(t, c, serveAPI(t, hanging(t)).addr, "--drain", "1h", "--agent-id", "busy")
	l := c.dial(t)
	l.submit(t, task("endless"))
	l.held(t, "endless")
	half.signal(syscall.SIGTERM)
	half.says(`msg=draining`)
	half.signal(syscall.SIGTERM)
	if code := half.wait(); code != 0 {
		t.Errorf("agent: exit code %d", code)
	}
	c.signal(syscall.SIGTERM)
	c.signal(syscall.SIGTERM)
	if code := c.wait(); code != 0 {
		t.Errorf("coordinator: exit code %d", code)
	}
}

// TestCancelClosesTheCall: cancelling a task that runs closes the agent's HTTP request.
func TestCancelClosesTheCall(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	closed := make(chan struct{}, 1)
	startAgent(t, c, serveAPI(t, closing(closed)).addr)
	l.submit(t, task("unwanted"))
	l.held(t, "unwanted")
	if out := cli(t, c, "cancel", "unwanted", "--reason", "changed my mind"); out.code != 0 {
		t.Errorf("cancel: exit code %d: %s", out.code, out.stderr)
	}
	select {
	case <-closed:
	case <-bounded(t).Done():
		t.Error("the request was not closed")
	}
	l.endedAs(t, "unwanted", stintv1.TaskState_TASK_STATE_CANCELLED)
	if e := l.event(t, "unwanted", stintv1.EventKind_EVENT_KIND_CANCELLED); e.GetReason() != "changed my mind" {
		t.Errorf("event: %v", e)
	}
}
