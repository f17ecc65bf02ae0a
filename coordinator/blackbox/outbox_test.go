package blackbox

import (
	"cmp"
	"encoding/binary"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

// stretch is where a record stands in its file.
type stretch struct{ from, to int }

// entries are the reports that wait in an agent's outbox, oldest first. Its file holds records, each with a head, the length
// of the rest and a kind: a report begins with its number, and the rest are the numbers that are done with. A record that is
// still being written ends it.
func entries(t *testing.T, outbox, agent string) []stretch {
	t.Helper()
	const lengthAt, headSize = 12, 16
	data, err := os.ReadFile(outboxFile(outbox, agent))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	found := map[uint64]stretch{}
	for at := 0; at+headSize < len(data); {
		end := at + headSize + int(binary.BigEndian.Uint32(data[at+lengthAt:]))
		if end > len(data) {
			break
		}
		body := data[at+headSize : end]
		if body[0] == 'r' {
			found[binary.BigEndian.Uint64(body[1:])] = stretch{at, end}
		}
		for done := body[1:]; body[0] == 'd' && len(done) > 0; done = done[8:] {
			delete(found, binary.BigEndian.Uint64(done))
		}
		at = end
	}
	return slices.SortedFunc(maps.Values(found), func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
}

// outboxFile is where an agent keeps its reports.
func outboxFile(outbox, agent string) string { return filepath.Join(outbox, agent, "reports") }
