package server

import (
	"slices"
	"strings"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// References to results: what the agent could not fill in is refused at submit, by its field; what
// does not begin as a reference is text.
func TestReferences(t *testing.T) {
	parents := []string{"a", "a.b", "x.output.y"}
	for text, want := range map[string]string{
		"":                             "",
		"no {{ reference }} at all {{": "",
		"{{results}} {{ result.a.x }}": "",
		"{{ results.a.text }}":         "",
		"{{results.a.text}} and {{\tresults.a.b.text\t}}":  "",
		"{{ results.a.b.output.key.0.name }}":              "",
		"{{ results.x.output.y.text }}":                    "",
		"{{ {{ results.a.text }}":                          "",
		"{{ results.c.text }}":                             "names no task of depends_on",
		"{{ results.text }}":                               "names no task of depends_on",
		"{{ results.aa.text }}":                            "names no task of depends_on",
		"fine {{ results.a.text }}, {{ results.a.model }}": "a result has text and output.PATH",
		"{{ results.a.output }}":                           "a result has text and output.PATH",
		"{{ results.a.output. }}":                          "no step of a path",
		"{{ results.a.output.x..y }}":                      "no step of a path",
		"{{ results.a.output.x y }}":                       "no step of a path",
		"{{ results.a.output.{x }}":                        "no step of a path",
		"{{ results.a.text":                                "that no }} ends",
		"{{ results.a.text }":                              "that no }} ends",
	} {
		faults := checkReferences(text, parents)
		if want == "" && len(faults) > 0 {
			t.Errorf("%q is refused: %v", text, faults)
		}
		if want != "" && (len(faults) != 1 || faults[0].path != "instruction" || !strings.Contains(faults[0].text, want)) {
			t.Errorf("%q: %v, want %q", text, faults, want)
		}
	}
}

// A wrong reference refuses the whole call, at tasks[i].instruction.
func TestWrongReferenceIsRefusedAtSubmit(t *testing.T) {
	c := overEngine(t)
	_, err := c.tasks.SubmitTasks(t.Context(), &stintv1.SubmitTasksRequest{Tasks: []*stintv1.Task{
		{Id: "a"}, {Id: "b", DependsOn: []string{"a"}, Instruction: "{{ results.c.text }}"},
	}})
	if got := read(t, err); got.reason != "FIELD_INVALID" || !slices.Equal(got.fields, []string{"tasks[1].instruction"}) ||
		!strings.Contains(got.status.Message(), "{{ results.c.text }}: names no task of depends_on") {
		t.Errorf("got %v", got.status)
	}
	_, err = c.tasks.GetTask(t.Context(), &stintv1.GetTaskRequest{TaskId: "a"})
	if got := read(t, err); got.reason != "TASK_NOT_FOUND" {
		t.Errorf("a was made: %v", got.status)
	}
}
