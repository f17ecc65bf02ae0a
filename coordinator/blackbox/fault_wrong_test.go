package blackbox

import (
	"path/filepath"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// TestWrongLedger starts a coordinator on an empty data folder at the address of another, and then the right one again (D2,
// L4, C2). Agents serve the stranger, and keep reports of the first ledger for it: one that finished before they met the
// stranger, one that finished after, and both again after a restart of the agent.
func TestWrongLedger(t *testing.T) {
	t.Parallel()
	for name, restart := range map[string]bool{"agent lives on": false, "agent is killed and started again": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrongLedger(t, restart)
		})
	}
}

func wrongLedger(t *testing.T, restart bool) {
	strange := injected(t, "a coordinator on an empty data folder")
	c := startCoordinator(t, "--lease-ttl", "2s")
	soon := startGated(t)
	outbox := t.TempDir()
	flags := []string{"--agent-id", "agent-1", "--outbox-dir", outbox}
	agent := startAgent(t, c, soon.addr, flags...)
	l := c.dial(t)
	l.submit(t, task("before"), task("after"))
	soon.await(t, "before")
	soon.await(t, "after")
	right := l.status(t).GetLedgerId()

	c.kill()
	soon.release("before")
	eventually(t, "the first result on disk", func() bool { return len(entries(t, outbox, "agent-1")) == 1 })
	data := c.dir
	c.dir = filepath.Join(t.TempDir(), "strange")
	c.serve(t)
	strange.fired()
	agent.says(`msg=connected .*\bledger=` + ledgerID(t, l, right))
	soon.release("after")
	eventually(t, "both results on disk", func() bool { return len(entries(t, outbox, "agent-1")) == 2 })
	if restart {
		agent.kill()
		startAgent(t, c, soon.addr, flags...)
	}
	soon.release("elsewhere")
	l.submit(t, task("elsewhere"))
	l.completed(t, "elsewhere")
	eventually(t, "only the reports for the right ledger left", func() bool { return len(entries(t, outbox, "agent-1")) == 2 })

	c.kill()
	c.dir = data
	c.serve(t)
	for _, id := range []string{"before", "after"} {
		one := l.completed(t, id)
		if a := one.GetStatus().GetAttempts()[0]; a.GetOutcome() != stintv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED {
			t.Errorf("L4: %s: the result that was kept did not win: %v", id, one.GetStatus().GetAttempts())
		}
		if soon.nonce(id, 1) != nonce(one) {
			t.Errorf("C2: %s: recorded is %q, the first call was answered %q", id, nonce(one), soon.nonce(id, 1))
		}
	}
	eventually(t, "an empty outbox", func() bool { return len(entries(t, outbox, "agent-1")) == 0 })
	if _, err := fold(l.history(t), nil); err != nil {
		t.Error(err)
	}
}

// ledgerID gives the id of the ledger behind a link, which must be another one.
func ledgerID(t *testing.T, l *link, other string) string {
	t.Helper()
	id := l.status(t).GetLedgerId()
	if id == other {
		t.Fatalf("the ledger is still %s", id)
	}
	return id
}
