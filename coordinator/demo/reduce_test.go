package main

import (
	"strings"
	"testing"
)

// TestReduceInstruction: every document is there to be read, and has its place in what is put together.
func TestReduceInstruction(t *testing.T) {
	t.Chdir("../..")
	text := reduceInstruction()
	for _, d := range documents {
		if read, err := d.text(); err != nil || len(strings.Fields(read)) < 50 {
			t.Errorf("%s: %q, %v", d.task, read, err)
		}
		if strings.Count(text, "{{ results."+d.task+".text }}") != 1 {
			t.Errorf("%s is not in %s", d.task, text)
		}
	}
}

// TestContains: only a text with the whole of its parent's has it.
func TestContains(t *testing.T) {
	child, parent := &taskView{ID: "c"}, &taskView{ID: "p"}
	for _, one := range []struct {
		child, parent string
		well          bool
	}{{"a\nb\nc", "b", true}, {"a\nb\nc", "b\nc", true}, {"a", "b", false}, {"a", "", false}} {
		child.Status.Result.Text, parent.Status.Result.Text = one.child, one.parent
		if err := child.contains(parent); (err == nil) != one.well {
			t.Errorf("%q in %q: %v", one.parent, one.child, err)
		}
	}
}
