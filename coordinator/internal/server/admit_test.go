package server

import (
	"bytes"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// A task that comes by another road is stored just as a submit would store it.
func TestAdmissionMakesWhatSubmitMakes(t *testing.T) {
	a, err := NewAdmission()
	if err != nil {
		t.Fatal(err)
	}
	task := &stintv1.Task{Id: "a", Instruction: "One", DependsOn: []string{"b"}, Budget: &stintv1.Budget{MinUsd: proto.Float64(0.2)}}
	got, err := a.Spec(proto.CloneOf(task))
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := newIDs(nil).specs([]*stintv1.Task{task}, func(int) string { return "task" })
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Payload, want[0].Payload) || got.Digest != want[0].Digest || got.Retry != want[0].Retry {
		t.Errorf("got %+v, want %+v", got, want[0])
	}
}

func TestAdmissionNamesTheFieldAndTheRemedy(t *testing.T) {
	a, err := NewAdmission()
	if err != nil {
		t.Fatal(err)
	}
	for text, task := range map[string]*stintv1.Task{
		"id must be set": {},
		"id: ":           {Id: "a b"},
		"instruction and parameters have 524289 bytes encoded": {Id: "a", Instruction: strings.Repeat("x", maxTaskInput+1)},
		"requires[1]: asks x for two values":                   {Id: "a", Requires: []string{"x=1", "x=2"}},
	} {
		if _, err := a.Spec(task); err == nil || !strings.HasPrefix(strings.TrimPrefix(err.Error(), ": "), text) {
			t.Errorf("got %v, want %q", err, text)
		}
	}
}
