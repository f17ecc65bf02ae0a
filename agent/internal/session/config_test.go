package session

import (
	"strings"
	"testing"
)

func TestConfigNamesEveryFault(t *testing.T) {
	_, err := New(Config{
		Coordinators: []string{"localhost", "a:1", "b:707O", "c:0"}, AgentID: "-", Slots: 0, MaxTasks: -1, MaxIdleCycles: -1, DrainTime: -1,
		Labels: map[string]string{"gpu": "yes please"}, Queues: []string{""},
	})
	for _, want := range []string{
		`coordinator "localhost" is no address`, `coordinator "b:707O" is no address`, `coordinator "c:0" is no address`, `agent-id "-"`, "slots 0 is out of bounds; give 1 to 10000", "MAX_TASKS -1 is negative",
		"max-idle-cycles -1 is negative", "drain -1ns is negative", `label "gpu=yes please" is no label`, `queue "" is no id`, "agent id, runner or outbox is missing",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	if _, err := New(Config{MaxIdleCycles: 1}); err == nil || !strings.Contains(err.Error(), "idle-interval 0s") ||
		!strings.Contains(err.Error(), "coordinator is empty") {
		t.Errorf("error = %v", err)
	}
}
