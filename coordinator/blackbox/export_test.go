package blackbox

import (
	"path/filepath"
	"strings"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// TestExportedTasksAreTheSame (C3): a task that took its queue's defaults is moved to another folder; the submit that made
// it is a repeat there too. Its own folder has it already.
func TestExportedTasksAreTheSame(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	l.set(t, &stintv1.Queue{Name: "tuned", Retry: &stintv1.RetryPolicy{MaxAttempts: 5}}, "retry")
	l.submit(t, task("a", in("tuned")))
	if n := l.get(t, "a").GetRetry().GetMaxAttempts(); n != 5 {
		t.Fatalf("a has %d attempts, want those of its queue", n)
	}
	if code := c.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}

	file := filepath.Join(t.TempDir(), "tasks.jsonl")
	out := command{name: coordinatorName, args: []string{"export", "--data-dir", c.dir, "--output", file}}.run(t)
	if out.code != 0 {
		t.Fatalf("export: exit code %d: %s", out.code, out.stderr)
	}
	other := filepath.Join(t.TempDir(), "data")
	for dir, want := range map[string]string{c.dir: "imported 0 tasks, 1 already there", other: "imported 1 task"} {
		if out := moveIn(t, dir, file); out.code != 0 || !strings.Contains(out.stdout, want) {
			t.Errorf("import: exit code %d, want %q: %s%s", out.code, want, out.stdout, out.stderr)
		}
	}

	resp, err := serveFrom(t, other).dial(t).tasks.SubmitTask(bounded(t), &stintv1.SubmitTaskRequest{Task: task("a", in("tuned"))}, patient)
	if err != nil || !resp.GetAlreadyExisted() {
		t.Errorf("the submit repeated: %v, %v; want that it existed", resp, err)
	}
}
