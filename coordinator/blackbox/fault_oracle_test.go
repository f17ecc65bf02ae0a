package blackbox

import (
	"strings"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// told makes a history out of one word an event: the kind, for a task other than a with its name before it, and an attempt.
func told(words ...string) (events []*stintv1.Event) {
	kinds := map[string]stintv1.EventKind{
		"submit": submittedEvent, "grant": grantedEvent, "fail": failedAttempt, "complete": completedEvent,
		"retry": retriedEvent, "prune": prunedEvent, "expire": endedEvent, "release": endedEvent, "supersede": endedEvent,
		"cancel": stintv1.EventKind_EVENT_KIND_CANCELLED,
	}
	reasons := map[string]stintv1.LeaseEndReason{
		"expire": whyExpired, "supersede": whySuperseded, "release": stintv1.LeaseEndReason_LEASE_END_REASON_RELEASED,
	}
	run := int32(1)
	for i, word := range words {
		task := "a"
		if name, rest, other := strings.Cut(word, "."); other {
			task, word = name, rest
		}
		e := &stintv1.Event{Sequence: int64(i + 1), TaskId: task, AgentId: "x", Run: run}
		if name, digit, numbered := strings.Cut(word, "#"); numbered {
			word, e.Attempt = name, int32(digit[0]-'0')
		}
		e.Kind, e.LeaseEndReason = kinds[word], reasons[word]
		if e.Kind == retriedEvent {
			run++
			e.Run = run
		}
		events = append(events, e)
	}
	return events
}

// TestFold holds the oracle to histories that it must take, and to others that each break one rule.
func TestFold(t *testing.T) {
	tasks := map[string]*stintv1.Task{"b": task("b", after("a"))}
	for _, h := range []struct{ history, rule string }{
		{"submit grant#1 complete#1", ""},
		{"submit grant#1 fail#1 grant#2 expire#2 grant#3 complete#2 supersede#3 prune", ""},
		{"submit grant#1 expire#1 complete#1", ""},
		{"submit cancel retry grant#1 complete#1", ""},
		{"submit b.submit grant#1 complete#1 b.grant#1", ""},
		{"submit submit", "D1"},
		{"submit prune", "D1"},
		{"grant#1", "D4"},
		{"submit grant#1 grant#2", "L1"},
		{"submit grant#2", "L2"},
		{"submit grant#1 expire#1 grant#1", "L2"},
		{"submit grant#1 expire#1 fail#1", "L3"},
		{"submit grant#1 fail#1 complete#1", "L4"},
		{"submit grant#1 release#1 complete#1", "L4"},
		{"submit grant#1 expire#1 expire#1", "L5"},
		{"submit grant#1 supersede#1", "L5"},
		{"submit grant#1 complete#1 complete#1", "C1"},
		{"submit grant#1 complete#1 retry", "C1"},
		{"submit cancel cancel", "C1"},
		{"submit grant#1 cancel", "C1"},
		{"submit retry", "C1"},
		{"submit complete#1", "C2"},
		{"submit grant#1 complete#2", "C2"},
		{"submit cancel grant#1", "C5"},
		{"submit b.submit b.grant#1", "Q2"},
		{"submit b.submit cancel b.grant#1", "Q2"},
	} {
		_, err := fold(told(strings.Fields(h.history)...), tasks)
		if h.rule == "" && err != nil || h.rule != "" && (err == nil || !strings.HasPrefix(err.Error(), h.rule+":")) {
			t.Errorf("%s: got %v, want %q", h.history, err, h.rule)
		}
	}
	gap := told("submit", "grant#1", "complete#1")
	gap[2].Sequence++
	if _, err := fold(gap, nil); err == nil || !strings.HasPrefix(err.Error(), "W1:") {
		t.Errorf("a gap: got %v, want W1", err)
	}
}
