package main

import (
	"strings"
	"testing"
)

// TestQueuedTasks: every document that the demo has summed up is there, a dozen tasks in all, and each task stands behind
// those that it depends on.
func TestQueuedTasks(t *testing.T) {
	t.Chdir("../..")
	tasks, err := queuedTasks()
	if err != nil {
		t.Fatal(err)
	}
	if len(tasks) != 12 || tasks[len(tasks)-1].ID != lastTask {
		t.Errorf("%d tasks, the last is %s; want 12 and %s", len(tasks), tasks[len(tasks)-1].ID, lastTask)
	}
	seen := map[string]bool{}
	for _, one := range tasks {
		for _, parent := range one.DependsOn {
			if !seen[parent] {
				t.Errorf("%s depends on %s, which does not stand before it", one.ID, parent)
			}
		}
		seen[one.ID] = true
		if words := len(strings.Fields(one.Prompt)); words < 50 {
			t.Errorf("%s has %d words: is that the document?", one.ID, words)
		}
	}
}

// TestSection: a section ends at the next of its rank, and has sentences only.
func TestSection(t *testing.T) {
	const text = "# T\n\n## One\n\nFirst.\n\n### Sub\n\n| a | b |\n\n```\ncode\n```\n\nSecond.\n\n## Two\n\nThird.\n"
	if got, want := strings.Fields(section(text, "## One")), "First. Second."; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := section(text, "## Three"); got != "" {
		t.Errorf("a section that is not there: %q", got)
	}
}

// TestComments: what is left of a source file is its comments, without drawings, headings and calls.
func TestComments(t *testing.T) {
	const text = "// Package p does it.\n//\n// # Words\n//\n//\tdrawing\n// grpcurl -plaintext x\npackage p\n\n  // It counts.\nvar n int\n"
	if got, want := strings.Join(strings.Fields(comments(text)), " "), "Package p does it. It counts."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestMovedOnce: only a lease that expired under one agent and a success of the other is the story to be told.
func TestMovedOnce(t *testing.T) {
	moved := &taskView{ID: "t"}
	for _, step := range []struct {
		agent, outcome, class string
		well                  bool
	}{{"a", "ATTEMPT_OUTCOME_LOST", "FAILURE_CLASS_LEASE_EXPIRED", false}, {"b", "ATTEMPT_OUTCOME_SUCCEEDED", "", true}} {
		moved.Status.Attempts = append(moved.Status.Attempts, attempt{AgentID: step.agent, Outcome: step.outcome,
			Failure: failure{FailureClass: step.class}})
		if err := moved.movedOnce(); (err == nil) != step.well {
			t.Errorf("after %s: %v", step.outcome, err)
		}
	}
	moved.Status.Attempts[1].AgentID = "a"
	if moved.movedOnce() == nil {
		t.Error("the same agent twice is no move")
	}
}
