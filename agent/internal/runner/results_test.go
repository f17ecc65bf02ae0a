package runner

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// parents are what the tests' references name. Ids may have points, and may look like references into each other.
func parents(t *testing.T) []*stintv1.ParentResult {
	t.Helper()
	output, err := structpb.NewStruct(map[string]any{
		"title": "Rivers <&>", "n": 3, "half": 0.5, "yes": true, "none": nil, "list": []any{"a", map[string]any{"b": "c"}},
		"deep": map[string]any{"er": map[string]any{"x": "down"}}, "b": map[string]any{"text": "of the shorter id"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return []*stintv1.ParentResult{
		{TaskId: "a", Result: &stintv1.Result{Text: "Nile,\nPo", Output: output}},
		{TaskId: "a.output.b", Result: &stintv1.Result{Text: "of the longer id"}},
		{TaskId: "sly", Result: &stintv1.Result{Text: "{{ results.a.text }} {{"}},
		{TaskId: "empty", Result: &stintv1.Result{}},
		{TaskId: "failed", State: stintv1.TaskState_TASK_STATE_FAILED, Failure: &stintv1.Failure{Message: "secret of the failure"}},
		{TaskId: "forgotten"},
	}
}

// References are filled in once, by the results that came with the lease; all other text stays as it is.
func TestResultsAreFilledIn(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"No reference.", "No reference."},
		{"", ""},
		{"Sum up: {{ results.a.text }}!", "Sum up: Nile,\nPo!"},
		{"{{results.a.text}}{{ results.a.text}}{{results.a.text }}", "Nile,\nPoNile,\nPoNile,\nPo"},
		{"{{\t results.a.output.title }}", "Rivers <&>"},
		{"{{ results.a.output.n }} {{ results.a.output.half }} {{ results.a.output.yes }} {{ results.a.output.none }}", "3 0.5 true null"},
		{"{{ results.a.output.list }} {{ results.a.output.list.0 }} {{ results.a.output.list.1.b }}", `["a",{"b":"c"}] a c`},
		{"{{ results.a.output.deep.er }} {{ results.a.output.deep.er.x }}", `{"x":"down"} down`},
		{"{{ results.a.output.b.text }}", "of the longer id"},
		{"{{ results.sly.text }}", "{{ results.a.text }} {{"},
		{"{{ results.sly.text }} results.a.text }}", "{{ results.a.text }} {{ results.a.text }}"},
		{"<{{ results.empty.text }}>", "<>"},
		{"<{{ results.failed.text }}{{ results.failed.output.x }}{{ results.forgotten.text }}>", "<>"},
		{"{{ result.a.text }} {{ .a }} {{}} {{ { }}", "{{ result.a.text }} {{ .a }} {{}} {{ { }}"},
		{"{{ other {{ results.empty.text }}", "{{ other "},
		{"{{{{ results.a.output.n }}}}", "{{3}}"},
		{"ends with {{", "ends with {{"},
	} {
		if got, err := fill(c.text, parents(t)); err != nil || got != c.want {
			t.Errorf("%q: got %q, %v, want %q", c.text, got, err, c.want)
		}
	}
}

// A reference that can't be filled is told by name, and fails the attempt before the API is called.
func TestWrongReferences(t *testing.T) {
	called := false
	r := api(t, Config{}, func(http.ResponseWriter, *http.Request) { called = true })
	for _, c := range []struct{ text, want string }{
		{"{{ results.b.text }}", "results.b.text }} names no result"},
		{"{{ results.a.model }}", "results.a.model }} names no result"},
		{"{{ results.a }}", "results.a }} names no result"},
		{"{{ results.a.output }}", "results.a.output }} names no result"},
		{"{{ results..text }}", "results..text }} names no result"},
		{"{{ results.a.text", "that no }} ends"},
		{"{{ results.a.output.title.x }}", "output of task a has no such value"},
		{"{{ results.a.output.list.2 }}", "output of task a has no such value"},
		{"{{ results.a.output.list.-1 }}", "output of task a has no such value"},
		{"{{ results.a.output. }}", "output of task a has no such value"},
		{"{{ results.empty.output.x }}", "output of task empty has no such value"},
	} {
		l := lease(t, nil)
		l.Task.Instruction, l.Parents = c.text, parents(t)
		f := r.Run(t.Context(), l).GetFailure()
		if f.GetFailureClass() != stintv1.FailureClass_FAILURE_CLASS_INVALID_REQUEST || !strings.Contains(f.GetMessage(), c.want) {
			t.Errorf("%q: got %v, want %q", c.text, f, c.want)
		}
	}
	if called {
		t.Error("the API was called")
	}
}

// What is sent has the results; the lease itself is left as it came.
func TestResultsReachTheAPI(t *testing.T) {
	var got http.Request
	var body string
	r := api(t, Config{}, capture(&got, &body))
	l := lease(t, nil)
	l.Task.Instruction, l.Parents = "Sum up {{ results.sly.text }}", parents(t)
	before := proto.CloneOf(l)
	if report := r.Run(t.Context(), l); report.GetResult() == nil {
		t.Fatalf("got %v", report)
	}
	if !strings.Contains(body, `"prompt":"Sum up {{ results.a.text }} {{"`) || !proto.Equal(l, before) {
		t.Errorf("sent %s, lease %v", body, l)
	}
}

// A short instruction can't ask for more memory than a bound.
func TestFilledInstructionIsBounded(t *testing.T) {
	large := []*stintv1.ParentResult{{TaskId: "a", Result: &stintv1.Result{Text: strings.Repeat("x", 1<<20)}}}
	if got, err := fill("{{ results.a.text }}"+strings.Repeat("y", 512<<10), large); err != nil || len(got) != 1<<20+512<<10 {
		t.Errorf("each once: got %d bytes, %v", len(got), err)
	}
	if _, err := fill(strings.Repeat("{{ results.a.text }}", 26000), large); err == nil || !strings.Contains(err.Error(), "over 2097152 bytes") {
		t.Errorf("many times: got %v", err)
	}
}
