package blackbox

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	awayTTL   = time.Second
	awayTimes = 60 // TTLs that the coordinator is away
	awaySlots = 20 // of each of the two agents
)

// TestCoordinatorAwayForLong: agents finish work while the coordinator is away for 60 TTL (D2, L4, C2, C6). Afterwards every
// result that the API gave is recorded, or was refused because another one had won; and refused ones are kept.
func TestCoordinatorAwayForLong(t *testing.T) {
	t.Parallel()
	down := injected(t, "coordinator away for 60 TTL")
	overtaken := injected(t, "an agent asleep until others have redone its work")
	c := startCoordinator(t, "--lease-ttl", awayTTL.String())
	api := startSandbox(t, "--latency", "3s", "--log-level", "debug")
	l := c.dial(t)
	outbox := t.TempDir()
	agent := func(name string) *process {
		return startAgent(t, c, api.addr, "--agent-id", name, "--slots", strconv.Itoa(awaySlots), "--outbox-dir", outbox)
	}
	first := agent("first")
	agent("second")
	b := newBook()
	var tasks []*stintv1.Task
	for i := range 2 * awaySlots {
		tasks = append(tasks, task(fmt.Sprintf("a%02d", i)))
	}
	l.submit(t, tasks...)
	b.submit(nil, tasks...)
	waits := regexp.MustCompile(`msg="call waits"`)
	if api.stderr.find(bounded(t), waits, 2*awaySlots) == nil {
		t.Fatal("the calls did not all begin")
	}
	c.kill()
	down.fired()
	full := func(name string) func() bool {
		return func() bool { return len(entries(t, outbox, name)) == awaySlots }
	}
	eventually(t, "all results of the first agent on its disk", full("first"))
	eventually(t, "all results of the second agent on its disk", full("second"))
	first.signal(syscall.SIGSTOP)
	overtaken.fired()
	waitOut(t, awayTimes*awayTTL)
	c.serve(t)
	for _, one := range tasks {
		l.completed(t, one.GetId())
	}
	first.signal(syscall.SIGCONT)
	empty := func(name string) func() bool { return func() bool { return len(entries(t, outbox, name)) == 0 } }
	eventually(t, "an empty outbox of the first agent", empty("first"))
	eventually(t, "an empty outbox of the second agent", empty("second"))

	tales := judge(t, c, l, b, api)
	allEnded(t, tales)
	kept := refusedReports(t, outbox, "first") + refusedReports(t, outbox, "second")
	if results := len(api.answered(t)); results != len(tasks)+kept {
		t.Errorf("C6: the API answered %d calls; %d results are recorded, %d refused ones kept", results, len(tasks), kept)
	}
	if kept < awaySlots {
		t.Errorf("%d results were refused, want those of the agent that was overtaken, %d at least", kept, awaySlots)
	}
	for id, f := range tales {
		if f.grants[0].agent == "second" && f.winner != 1 {
			t.Errorf("L4: %s was won by attempt %d", id, f.winner)
		}
	}
	t.Logf("%d results recorded, %d refused and kept", len(tasks), kept)
}

// refusedReports are the successes that an agent keeps because another one had won.
func refusedReports(t *testing.T, outbox, agent string) int {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(outbox, agent, "refused", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	return len(found)
}
