package blackbox

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

func instructed(text string, also ...func(*stintv1.Task)) func(*stintv1.Task) {
	return func(t *stintv1.Task) {
		t.Instruction = text
		for _, change := range also {
			change(t)
		}
	}
}

// scripted answers each task with what the test says; one without an answer fails.
func scripted(answers map[string]map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, known := answers[r.Header.Get("Idempotency-Key")]
		if !known {
			http.Error(w, "no such thing", http.StatusUnprocessableEntity)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// TestResultsReachChildren: the API is asked with the results of the parents in the instruction, filled in once; a parent that
// failed leaves nothing, and a value that is not there fails the attempt before the API is called.
func TestResultsReachChildren(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	done := map[string]any{"result": "done"}
	api := serveAPI(t, scripted(map[string]map[string]any{
		"rivers": {"result": "Nile\nPo", "list": []any{"Nile", map[string]any{"length": 652}}},
		"sly":    {"result": "{{ results.rivers.text }}"},
		"sum":    done, "run": done,
	}))
	startAgent(t, c, api.addr)
	run := func(t *stintv1.Task) { t.OnDependencyFailure = stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_RUN }
	l.submit(t,
		task("rivers"), task("sly"), task("broken", attempts(1)),
		task("sum", after("rivers", "sly"), instructed("Sum up {{ results.rivers.text }}, {{results.rivers.output.list.1.length}} km, "+
			"{{ results.rivers.output.list }} and {{ results.sly.text }}; not {{ this }}.")),
		task("run", after("rivers", "broken"), run, instructed("<{{ results.broken.text }}{{ results.broken.output.x }}> {{ results.rivers.text }}")),
		task("wrong", after("rivers"), instructed("{{ results.rivers.output.lakes }}")),
	)
	l.completed(t, "sum")
	l.completed(t, "run")
	asked := map[string]string{}
	for _, call := range api.calls() {
		id, _ := call["task_id"].(string)
		asked[id], _ = call["prompt"].(string)
	}
	if want := "Sum up Nile\nPo, 652 km, [\"Nile\",{\"length\":652}] and {{ results.rivers.text }}; not {{ this }}."; asked["sum"] != want {
		t.Errorf("sum was asked %q, want %q", asked["sum"], want)
	}
	if want := "<> Nile\nPo"; asked["run"] != want {
		t.Errorf("run was asked %q, want %q", asked["run"], want)
	}
	wrong := l.endedAs(t, "wrong", stintv1.TaskState_TASK_STATE_FAILED).GetStatus()
	if f := wrong.GetFailure(); f.GetFailureClass() != stintv1.FailureClass_FAILURE_CLASS_INVALID_REQUEST || !strings.Contains(f.GetMessage(), "results.rivers.output.lakes") {
		t.Errorf("wrong: %v", f)
	}
	for _, call := range api.calls() {
		if call["task_id"] == "wrong" {
			t.Errorf("the API was called for wrong: %v", call)
		}
	}
}

// TestTooMuchFromParents: results of more than 1 MiB in all are not handed out; the attempt fails, and so does the task, with a
// class that says why. One parent's alone is.
func TestTooMuchFromParents(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	large := strings.Repeat("x", 600<<10)
	api := serveAPI(t, scripted(map[string]map[string]any{
		"left": {"result": large}, "right": {"result": large}, "one": {"result": "done"}, "both": {"result": "done"},
	}))
	startAgent(t, c, api.addr)
	l.submit(t, task("left"), task("right"),
		task("one", after("left"), instructed("{{ results.left.text }}")),
		task("both", after("left", "right"), instructed("{{ results.left.text }}")))
	l.completed(t, "one")
	if f := l.endedAs(t, "both", stintv1.TaskState_TASK_STATE_FAILED).GetStatus().GetFailure(); f.GetFailureClass() != stintv1.FailureClass_FAILURE_CLASS_RESULT_TOO_LARGE {
		t.Errorf("both: %v", f)
	}
	for _, call := range api.calls() {
		if call["task_id"] == "both" {
			t.Error("the API was called for both")
		}
	}
}

// TestReferencesAreCheckedAtSubmit: one that names no parent, or no field of a result, is refused with the place.
func TestReferencesAreCheckedAtSubmit(t *testing.T) {
	c := startCoordinator(t)
	for _, instruction := range []string{"{{ results.nobody.text }}", "{{ results.a.model }}", "{{ results.a.text", "{{ results.a.output. }}"} {
		out := cli(t, c, "add", "child", instruction)
		if out.code != 1 || !strings.Contains(out.stderr, "FIELD_INVALID") || !strings.Contains(out.stderr, "instruction") {
			t.Errorf("%q: exit code %d: %s", instruction, out.code, out.stderr)
		}
	}
	if out := cli(t, c, "add", "child", "{{ result }} {{ x.results.y }} {{"); out.code != 0 {
		t.Errorf("text: exit code %d: %s", out.code, out.stderr)
	}
}
