package blackbox

import (
	"path/filepath"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// TestOutboxSurvivesAgentKill: an agent that is killed after its result is in the outbox and before it could be sent, the
// coordinator having gone meanwhile, hands it in when both are back.
func TestOutboxSurvivesAgentKill(t *testing.T) {
	c := startCoordinator(t)
	api := startSandbox(t, "--latency", "2s", "--log-level", "debug")
	outbox := t.TempDir()
	flags := []string{"--agent-id", "agent-1", "--outbox-dir", outbox}
	agent := startAgent(t, c, api.addr, flags...)
	l := c.dial(t)
	l.submit(t, task("paid"))

	api.says(`msg="call waits" task_id=paid`)
	c.kill()
	eventually(t, "an entry in the outbox", func() bool { return len(entries(t, outbox, "agent-1")) == 1 })
	agent.kill()
	c.serve(t)
	startAgent(t, c, api.addr, flags...)

	one := l.completed(t, "paid")
	if n := len(one.GetStatus().GetAttempts()); n > 2 {
		t.Errorf("%d attempts: %v", n, one.GetStatus().GetAttempts())
	}
	if first := one.GetStatus().GetAttempts()[0]; first.GetOutcome() != stintv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED {
		t.Errorf("attempt 1, whose result was in the outbox: %v", first)
	}
	cameFrom(t, one, 1, api.answered(t))
	eventually(t, "an empty outbox", func() bool { return len(entries(t, outbox, "agent-1")) == 0 })
}

// entries are the reports that wait in an agent's outbox.
func entries(t *testing.T, outbox, agent string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(outbox, agent, "[0-9]*"))
	if err != nil {
		t.Fatal(err)
	}
	var whole []string
	for _, name := range found {
		if filepath.Ext(name) == "" { // one with an ending is still being written
			whole = append(whole, name)
		}
	}
	return whole
}
