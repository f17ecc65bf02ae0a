package blackbox

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// What worker.py did, row by row, and the tests that show where it is now. Tests without a package are in this one.
//
//	add ID INSTRUCTION [dep,dep]        TestWorkerPyAdd; agent: TestAddWords
//	run [max_iterations]                TestWorkerPyRunCountsAttempts, TestWorkerPyRunIsTheDefault; session: TestCreditNeverExceedsMaxTasks
//	exit codes                          TestWorkerPyExitCodes; agent: TestWrongCommandLines, TestCleanExits
//	idle cycles                         TestWorkerPyIdleCycles; session: TestIdleCyclesDoNotCountWithoutALink
//	LOCK_TIMEOUT_SECONDS                TestWorkerPyLeaseLength
//	  stale lock (its test 1)           TestWorkerPyStaleLeaseIsTakenOver
//	API_REQUEST_TIMEOUT                 TestWorkerPyRequestTimeout
//	budgets and intensity               TestWorkerPyDefaults
//	queue.json, execution log           TestWorkerPyQueueJSON; transfer: TestWorkerPyQueueAndExecutionLogAreImported
//	corrupted queue (2)                 TestWorkerPyCorruptQueueJSON; transfer: TestSamplesAreReadAndFaultsAreTold
//	_log(level, message)                TestWorkerPyLogLines
//	error texts, network failures (3)   TestWorkerPyNetworkFailures; runner: TestStatusDecidesTheClass
//	CLI validation (4)                  TestWorkerPyCLIValidation
//	failed is final                     TestWorkerPyFailedIsFinal
//	child of a failed task              TestWorkerPyChildOfAFailedTask; transfer: TestWorkerPyChildOfFailedTaskWaits
//	lock released on every path         TestWorkerPyLeaseIsReleasedAtTheEnd; session: TestDrainFinishesAndReleasesTheRest
//	  failing to unlock is not fatal    outbox: TestFailureToDeleteIsLoggedAndTriedAgain
//	  release on exception (6)          TestWorkerPyLeaseOfAStoppedAgent; session: TestPanicOfTheRunnerIsReported
//	exception in the loop               TestWorkerPyLoopGoesOn; runner: TestPanicInADialectIsInternal
//	missing folders                     TestWorkerPyMissingFolders
//	status                              TestWorkerPyStatus; client: TestVerbs, TestFollow
//	concurrent workers (5)              TestWorkerPyConcurrentWorkers

// TestWorkerPyRunCountsAttempts: MAX_TASKS ends the agent after so many attempts, failed or not, and it never takes one
// more than it may run.
func TestWorkerPyRunCountsAttempts(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	var number atomic.Int32
	flaky := serveAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		if number.Add(1)%2 == 1 {
			http.Error(w, `{"error":"no"}`, http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"result":"yes"}`)
	})
	for i := range 6 {
		l.submit(t, task(fmt.Sprintf("t%d", i)))
	}
	agent := command{name: agentName, args: []string{"run", "4", "--coordinator", c.grpc, "--api-endpoint", "http://" + flaky.addr}}.start(t)
	if code := agent.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	granted := 0
	for _, e := range l.history(t) {
		if e.GetKind() == stintv1.EventKind_EVENT_KIND_GRANTED {
			granted++
		}
	}
	n := l.status(t).GetCounts()
	if granted != 4 || n.GetCompleted() != 2 || n.GetFailed() != 2 || n.GetReady() != 2 {
		t.Errorf("%d granted, %v; want 4 granted, 2 completed, 2 failed, 2 ready", granted, n)
	}
}

// TestWorkerPyRunIsTheDefault: without a command the program runs tasks; its settings may come from the environment.
func TestWorkerPyRunIsTheDefault(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	l.submit(t, task("one"))
	agent := command{name: agentName, env: []string{"STINT_COORDINATOR=" + c.grpc, "STINT_API_ENDPOINT=http://" + serveAPI(t, nil).addr,
		"STINT_MAX_IDLE_CYCLES=1", "STINT_IDLE_INTERVAL=50ms"}}.start(t)
	if code := agent.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	l.completed(t, "one")
}

// TestLogReaderThatGoesEndsNothing: at Ctrl-C a `tee` that reads the log dies with the terminal, and the agent is to finish.
func TestLogReaderThatGoesEndsNothing(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	l.submit(t, task("one"))
	dir := t.TempDir()
	sh := command{name: "/bin/sh", dir: dir, args: []string{"-c", `{ "$0" "$@"; echo $? >code; } 2>&1 | read line`,
		program(t, agentName), "run", "1", "--coordinator", c.grpc, "--api-endpoint", "http://" + serveAPI(t, nil).addr}}
	sh.run(t)
	if code, err := os.ReadFile(filepath.Join(dir, "code")); err != nil || string(code) != "0\n" {
		t.Errorf("exit code %q, %v; want 0", code, err)
	}
	l.completed(t, "one")
}

// TestWorkerPyIdleCycles: an agent that finds nothing to do ends with 0 after ten checks, each logged; under
// --max-idle-cycles 0 it stays.
func TestWorkerPyIdleCycles(t *testing.T) {
	c := startCoordinator(t)
	args := []string{"run", "--coordinator", c.grpc, "--idle-interval", "20ms"}
	agent := command{name: agentName, args: args}.start(t)
	if code := agent.wait(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	checks := regexp.MustCompile(`msg="nothing to do".* cycle=\d+ of=10\b`)
	if n := agent.stderr.count(checks); n != 10 {
		t.Errorf("%d checks logged, want 10", n)
	}

	stays := command{name: agentName, args: append(args, "--max-idle-cycles", "0", "--agent-id", "stays")}.start(t)
	stays.says(`msg=connected`)
	l := c.dial(t)
	l.submit(t, task("late"))
	l.granted(t, "late", 1)
	if stays.hasEnded() {
		t.Error("ended under --max-idle-cycles 0")
	}
}

// TestWorkerPyLeaseIsReleasedAtTheEnd: an agent that is told to end gives back what it can't finish; the task is READY at
// once, at no cost, and the exit code is 0.
func TestWorkerPyLeaseIsReleasedAtTheEnd(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	slow := serveAPI(t, hanging(t))
	agent := startAgent(t, c, slow.addr, "--drain", "200ms")
	l.submit(t, task("held"))
	l.granted(t, "held", 1)
	agent.says(`msg=granted`)
	if code := agent.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if e := l.event(t, "held", stintv1.EventKind_EVENT_KIND_LEASE_ENDED); e.GetLeaseEndReason() != stintv1.LeaseEndReason_LEASE_END_REASON_RELEASED {
		t.Errorf("lease ended %v, want RELEASED", e.GetLeaseEndReason())
	}
	s := l.get(t, "held").GetStatus()
	if s.GetState() != stintv1.TaskState_TASK_STATE_READY || s.GetCountedFailures() != 0 || s.GetLostLeases() != 0 {
		t.Errorf("after the release: %v", s)
	}
}

// TestWorkerPyLeaseOfAStoppedAgent: a second SIGTERM stops an agent at once; its lease goes to another when it expires.
func TestWorkerPyLeaseOfAStoppedAgent(t *testing.T) {
	c := startCoordinator(t, "--lease-ttl", "1s")
	l := c.dial(t)
	slow := serveAPI(t, hanging(t))
	agent := startAgent(t, c, slow.addr, "--drain", "1h")
	l.submit(t, task("held"))
	l.held(t, "held")
	agent.signal(syscall.SIGTERM)
	agent.says(`msg=draining`)
	if code := agent.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	startAgent(t, c, serveAPI(t, nil).addr)
	if s := l.completed(t, "held").GetStatus(); len(s.GetAttempts()) != 2 {
		t.Errorf("attempts: %v", s.GetAttempts())
	}
}

// TestWorkerPyStaleLeaseIsTakenOver: the lease of an agent that died runs out, and another agent does the task.
func TestWorkerPyStaleLeaseIsTakenOver(t *testing.T) {
	c := startCoordinator(t, "--lease-ttl", "1s")
	l := c.dial(t)
	dying := startAgent(t, c, serveAPI(t, hanging(t)).addr, "--agent-id", "dying")
	l.submit(t, task("orphan"))
	l.held(t, "orphan")
	dying.kill()
	startAgent(t, c, serveAPI(t, nil).addr, "--agent-id", "heir")
	s := l.completed(t, "orphan").GetStatus()
	a := s.GetAttempts()
	if len(a) != 2 || a[0].GetFailure().GetFailureClass() != stintv1.FailureClass_FAILURE_CLASS_LEASE_EXPIRED ||
		a[1].GetAgentId() != "heir" || s.GetLostLeases() != 1 {
		t.Errorf("status: %v", s)
	}
}

// TestWorkerPyConcurrentWorkers: agents that work side by side do every task once.
func TestWorkerPyConcurrentWorkers(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	api := startSandbox(t, "--latency", "100ms") // long enough for every agent to get a share
	const tasks, agents = 200, 4
	var batch []*stintv1.Task
	for i := range tasks {
		batch = append(batch, task(fmt.Sprintf("t%03d", i)))
	}
	for i := range agents {
		startAgent(t, c, api.addr, "--agent-id", fmt.Sprintf("agent-%d", i)).says(`msg=connected`)
	}
	l.submit(t, batch...)
	for _, one := range batch {
		l.completed(t, one.GetId())
	}
	calls := map[string]int{}
	for _, call := range api.calls(t) {
		calls[call.TaskID]++
	}
	workers := map[string]bool{}
	for _, one := range l.all(t) {
		if n := calls[one.GetId()]; n != 1 {
			t.Errorf("%s was called %d times", one.GetId(), n)
		}
		workers[one.GetStatus().GetAttempts()[0].GetAgentId()] = true
	}
	if len(workers) != agents {
		t.Errorf("worked: %v, want all %d", workers, agents)
	}
}

// TestWorkerPyLoopGoesOn: answers that can't be used end their tasks, not the agent.
func TestWorkerPyLoopGoesOn(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	answers := []string{`not JSON`, ``, `[]`, `{"status":"completed"}`, `{"error":"broken"}`, `{"result":"fine"}`}
	var number atomic.Int32
	bad := serveAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, answers[number.Add(1)-1])
	})
	agent := startAgent(t, c, bad.addr, "--slots", "1")
	for i := range answers {
		id := fmt.Sprintf("t%d", i)
		l.submit(t, task(id))
		want := stintv1.TaskState_TASK_STATE_FAILED
		if i == len(answers)-1 {
			want = stintv1.TaskState_TASK_STATE_COMPLETED
		}
		l.endedAs(t, id, want)
	}
	if agent.hasEnded() {
		t.Error("the agent has ended")
	}
}

// TestWorkerPyMissingFolders: folders that are not there are made, with their parents.
func TestWorkerPyMissingFolders(t *testing.T) {
	deep := filepath.Join(t.TempDir(), "not", "there", "yet")
	c := serveFrom(t, filepath.Join(deep, "data"))
	l := c.dial(t)
	l.submit(t, task("one"))
	startAgent(t, c, serveAPI(t, nil).addr, "--outbox-dir", filepath.Join(deep, "outbox"))
	l.completed(t, "one")
}

// TestWorkerPyLogLines: each line of an agent has a time in UTC, a level and the agent's id, which is worker_ and eight hex
// digits unless it was named.
func TestWorkerPyLogLines(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	l.submit(t, task("one"))
	agent := command{name: agentName, args: []string{"run", "1", "--coordinator", c.grpc,
		"--api-endpoint", "http://" + serveAPI(t, nil).addr}, env: []string{"TZ=Asia/Tokyo"}}.start(t)
	agent.wait()
	shape := regexp.MustCompile(`^time=(\S+) level=(DEBUG|INFO|WARN|ERROR) msg=.* ?agent=worker_[0-9a-f]{8}\b`)
	for _, line := range agent.stderr.lines() {
		m := shape.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("no time, level or agent: %s", line)
			continue
		}
		at, err := time.Parse(time.RFC3339, m[1])
		if _, offset := at.Zone(); err != nil || offset != 0 || !strings.HasSuffix(m[1], "Z") {
			t.Errorf("time %s is not UTC: %v", m[1], err)
		}
	}
	if n := len(agent.stderr.lines()); n < 4 {
		t.Errorf("%d lines: started, connected, granted, finished are wanted", n)
	}
}
