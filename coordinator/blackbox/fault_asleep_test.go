package blackbox

import (
	"fmt"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	sleepTTL   = 2 * time.Second
	sleepTasks = 6
)

// TestAgentAsleep stops an agent with SIGSTOP for 3 TTL while another takes its tasks over, and lets it go on (L1–L4, C1,
// C2). The API has answered its calls meanwhile: where the other was done before, that result is refused and kept; where it
// was not, the first result wins and the other is stopped.
func TestAgentAsleep(t *testing.T) {
	t.Parallel()
	slept, won := injected(t, "SIGSTOP of an agent for 3 TTL"), injected(t, "a success of a lost attempt that wins")
	c := startCoordinator(t, "--lease-ttl", sleepTTL.String())
	api := startGated(t)
	l := c.dial(t)
	outbox := t.TempDir()
	agent := func(name string) *process {
		return startAgent(t, c, api.addr, "--agent-id", name, "--slots", strconv.Itoa(sleepTasks), "--outbox-dir", outbox)
	}
	sleeper := agent("sleeper")
	var tasks []*stintv1.Task
	for i := range sleepTasks {
		tasks = append(tasks, task(fmt.Sprintf("z%d", i)))
	}
	l.submit(t, tasks...)
	called := func(id string, attempt int32) {
		api.find(t, "a call", func(x arrival) bool { return x.task == id && x.attempt == attempt })
	}
	for _, one := range tasks {
		called(one.GetId(), 1)
	}
	sleeper.signal(syscall.SIGSTOP)
	slept.fired()
	other := agent("other")
	waitOut(t, 3*sleepTTL)
	for _, one := range tasks {
		called(one.GetId(), 2)
	}
	early, late := tasks[:sleepTasks/2], tasks[sleepTasks/2:]
	for _, one := range early {
		api.release(key(one.GetId(), 2))
		l.completed(t, one.GetId())
	}
	for _, one := range tasks {
		api.release(key(one.GetId(), 1))
	}
	sleeper.signal(syscall.SIGCONT)
	ends := regexp.MustCompile(`msg=(finished|cancelled) .*\battempt=1\b`)
	if sleeper.stderr.find(bounded(t), ends, sleepTasks) == nil {
		t.Fatal("the sleeper never came to an end with its work")
	}
	eventually(t, "an empty outbox of the sleeper", func() bool { return len(entries(t, outbox, "sleeper")) == 0 })
	for _, one := range late { // a late cancel may have been faster than the answer: then the other has to do it
		if l.get(t, one.GetId()).GetStatus().GetFinishTime() != nil {
			won.fired()
			other.says(`msg=cancelled .*\btask=` + one.GetId() + ` .*SUPERSEDED`)
		}
		api.release(key(one.GetId(), 2))
	}
	for i, one := range tasks {
		winner := l.completed(t, one.GetId())
		n := int32(1)
		if winner.GetStatus().GetAttempts()[0].GetOutcome() != stintv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED {
			n = 2
		}
		if i < len(early) && n != 2 || nonce(winner) != api.nonce(one.GetId(), n) {
			t.Errorf("L4, C2: %s: attempt %d won with %q, answered was %q", one.GetId(), n, nonce(winner), api.nonce(one.GetId(), n))
		}
	}
	if n := refusedReports(t, outbox, "sleeper"); n != len(early) {
		t.Errorf("the sleeper keeps %d refused results, want %d", n, len(early))
	}
	if _, err := fold(l.history(t), nil); err != nil {
		t.Error(err)
	}
}
