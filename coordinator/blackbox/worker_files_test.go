package blackbox

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// moveIn runs `stint-coordinator import` on a folder.
func moveIn(t *testing.T, dir string, args ...string) outcome {
	t.Helper()
	return command{name: coordinatorName, args: append([]string{"import", "--data-dir", dir}, args...)}.run(t)
}

// written is a file of the test's own.
func written(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWorkerPyQueueJSON: a queue and its log are moved in once, run on from where they stood, and come out again as lines
// with the same keys, from a running coordinator and from its folder.
func TestWorkerPyQueueJSON(t *testing.T) {
	queue := written(t, "queue.json", `{"version":"1.0","api_endpoint":"http://10.0.0.1:8420","tasks":[
		{"id":"a","type":"research","prompt":"First.","status":"completed"},
		{"id":"b","instruction":"Second.","depends_on":["a"],"status":"in_progress","max_budget":0.25,"temperature":0.2},
		{"id":"c","task":"Third.","depends_on":["b"]}],"completed":["a"],"failed":[]}`)
	log := written(t, "execution_log.jsonl",
		`{"task_id":"a","worker_id":"worker_1","status":"completed","timestamp":"2026-01-02T15:04:05Z","result_summary":"One."}`+"\n")
	dir := filepath.Join(t.TempDir(), "data")
	for _, args := range [][]string{{"--dry-run", queue, log}, {queue, log}, {queue, log}} {
		if out := moveIn(t, dir, args...); out.code != 0 {
			t.Fatalf("import %q: exit code %d: %s", args, out.code, out.stderr)
		}
	}

	c := serveFrom(t, dir)
	l := c.dial(t)
	if n := l.status(t).GetCounts(); n.GetSubmitted() != 3 || n.GetCompleted() != 1 || n.GetReady() != 1 || n.GetBlocked() != 1 {
		t.Errorf("after the import: %v", n)
	}
	if text := l.get(t, "a").GetStatus().GetResult().GetText(); text != "One." {
		t.Errorf("a: result %q", text)
	}
	api := serveAPI(t, nil)
	startAgent(t, c, api.addr)
	l.completed(t, "c")
	if call := api.calls()[0]; call["prompt"] != "Second." || call["max_budget"] != 0.25 || call["temperature"] != 0.2 {
		t.Errorf("b: the API got %v", call)
	}

	running := command{name: coordinatorName, args: []string{"export", "--coordinator", c.grpc}}.run(t)
	checkExport(t, running)
	if code := c.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	checkExport(t, command{name: coordinatorName, args: []string{"export", "--data-dir", dir}}.run(t))
}

// checkExport wants the three tasks of the queue, done.
func checkExport(t *testing.T, out outcome) {
	t.Helper()
	if out.code != 0 {
		t.Fatalf("export: exit code %d: %s", out.code, out.stderr)
	}
	done := map[string]bool{}
	for line := range strings.Lines(out.stdout) {
		var one struct{ ID, Status string }
		if err := json.Unmarshal([]byte(line), &one); err != nil {
			t.Fatalf("export: %v: %s", err, line)
		}
		done[one.ID] = one.Status == "completed"
	}
	if len(done) != 3 || !done["a"] || !done["b"] || !done["c"] {
		t.Errorf("export: %s", out.stdout)
	}
}

// TestWorkerPyCorruptQueueJSON: a queue that can't be read is a named error with its place; nothing is imported, and the
// file is not touched.
func TestWorkerPyCorruptQueueJSON(t *testing.T) {
	const torn = `{"version":"1.0","tasks":[` + "\n" + `{"id":"a","prompt":"Wri`
	queue := written(t, "queue.json", torn)
	dir := filepath.Join(t.TempDir(), "data")
	out := moveIn(t, dir, queue)
	if out.code != 1 || !strings.Contains(out.stderr, "queue.json:2:") {
		t.Errorf("exit code %d, %s; want 1 and the place", out.code, out.stderr)
	}
	if text, err := os.ReadFile(queue); err != nil || string(text) != torn {
		t.Errorf("the file is now %q, %v", text, err)
	}
	if n := serveFrom(t, dir).dial(t).status(t).GetCounts().GetSubmitted(); n != 0 {
		t.Errorf("%d tasks were imported", n)
	}
}

// TestWorkerPyStatus: status shows the counts, the failed tasks with their errors, and the live leases.
func TestWorkerPyStatus(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	startAgent(t, c, startSandbox(t, "--status", "422").addr, "--queue", "bad", "--agent-id", "failing")
	startAgent(t, c, serveAPI(t, hanging(t)).addr, "--queue", "slow", "--agent-id", "holding")
	l.submit(t, task("broken", in("bad")), task("busy", in("slow")), task("idle", in("other")))
	l.endedAs(t, "broken", stintv1.TaskState_TASK_STATE_FAILED)
	l.granted(t, "busy", 1)
	out := cli(t, c, "status")
	for _, want := range []string{"ready 1", "running 1", "failed 1", "all 3", "broken bad 1", "INVALID_REQUEST: 422", "busy 1 holding"} {
		if !strings.Contains(strings.Join(strings.Fields(out.stdout), " "), want) {
			t.Errorf("status has no %q:\n%s%s", want, out.stdout, out.stderr)
		}
	}
}

// TestStatusWatch: status --watch shows changes until nothing is left to do, and ends with 0.
func TestStatusWatch(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	finish := make(chan struct{})
	startAgent(t, c, serveAPI(t, nil).addr, "--queue", "quick")
	startAgent(t, c, serveAPI(t, held(finish)).addr, "--queue", "slow")
	l.submit(t, task("a", in("quick")), task("b", in("slow")))
	l.completed(t, "a")
	l.granted(t, "b", 1)
	watch := command{name: agentName, args: []string{"status", "--watch", "--coordinator", c.grpc}}.start(t)
	if watch.stdout.find(bounded(t), regexp.MustCompile(`1/2 done \(50%\) running 1 completed 1$`), 1) == nil {
		t.Fatalf("never half done: %s%s", watch.stdout, watch.stderr)
	}
	close(finish)
	if code := watch.wait(); code != 0 || !strings.Contains(watch.stdout.String(), "2/2 done (100%) completed 2") {
		t.Errorf("exit code %d: %s%s", code, watch.stdout, watch.stderr)
	}
}
