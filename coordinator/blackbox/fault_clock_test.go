package blackbox

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const stallTTL = 2 * time.Second

// TestCoordinatorAsleep stops the coordinator with SIGSTOP for 3 TTL under the leases of hands and of a real agent (L6, L7):
// its own sleep ends no lease of an agent that lives, while that of one that died meanwhile ends after all.
func TestCoordinatorAsleep(t *testing.T) {
	t.Parallel()
	stalls := injected(t, "SIGSTOP of the coordinator for 3 TTL")
	c := startCoordinator(t, "--lease-ttl", stallTTL.String())
	api := startGated(t)
	l := c.dial(t)
	ctx := bounded(t)
	k := newCrew(ctx, t, c, 4, 5, newBook())
	defer k.end()
	agent := startAgent(t, c, api.addr, "--agent-id", "real", "--slots", "5", "--label", "real=yes")
	var tasks []*stintv1.Task
	for i := range 25 {
		tasks = append(tasks, task(fmt.Sprintf("c%02d", i), func(t *stintv1.Task) {
			if i >= 20 {
				t.Requires = []string{"real=yes"}
			}
		}))
	}
	l.submit(t, tasks...)
	l.follow(t, countTo(len(tasks), grantedEvent))
	confirmed(ctx, t, l)
	c.signal(syscall.SIGSTOP)
	stalls.fired()
	k.stop[0]() // dies while the coordinator cannot see it
	waitOut(t, 3*stallTTL)
	c.signal(syscall.SIGCONT)

	l.follow(t, countTo(5, endedEvent)) // the dead one's
	confirmed(ctx, t, l, "hand-0")
	for _, one := range tasks {
		k.let(one.GetId())
		api.release(one.GetId()) // the real agent may be granted what the dead one held
	}
	for _, one := range tasks {
		l.completed(t, one.GetId())
	}
	tales, err := fold(l.history(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	for id, f := range tales {
		if first := f.grants[0]; first.agent != "hand-0" && len(f.grants) != 1 {
			t.Errorf("L7: %s of %s, which lives: its lease ended %v", id, first.agent, first.reason)
		}
	}
	if agent.hasEnded() {
		t.Error("the agent did not survive the stall")
	}
}

// TestAgentSleepsForLong stops an agent for 10 TTL while its tasks are cancelled, done by others or waiting (L3, L9, C5):
// after it wakes, no call reaches the API for a lease that had ended before.
func TestAgentSleepsForLong(t *testing.T) {
	t.Parallel()
	slept := injected(t, "SIGSTOP of an agent for 10 TTL")
	c := startCoordinator(t, "--lease-ttl", "1s")
	api := startGated(t)
	l := c.dial(t)
	agent := startAgent(t, c, api.addr, "--agent-id", "sleeper", "--slots", "3")
	l.submit(t, task("p0"), task("p1"), task("p2"))
	for i := range 3 {
		api.await(t, fmt.Sprintf("p%d", i))
	}
	agent.signal(syscall.SIGSTOP)
	slept.fired()
	l.follow(t, countTo(3, endedEvent))
	if _, err := l.tasks.CancelTask(bounded(t), &stintv1.CancelTaskRequest{TaskId: "p0"}); err != nil {
		t.Fatal(err)
	}
	waitOut(t, 10*time.Second)
	l.submit(t, task("q0"), task("q1"))
	agent.signal(syscall.SIGCONT)
	woke := time.Now()
	for _, id := range []string{"q0", "q1", "p1", "p2"} {
		api.release(id)
		l.completed(t, id)
	}
	agent.says(`the machine slept`)
	ends := map[string]time.Time{}
	for _, e := range l.history(t) {
		if e.GetKind() == endedEvent {
			ends[key(e.GetTaskId(), e.GetAttempt())] = e.GetTime().AsTime()
		}
	}
	api.mu.Lock()
	defer api.mu.Unlock()
	later := slices.DeleteFunc(slices.Clone(api.arrivals), func(x arrival) bool { return x.when.Before(woke) })
	for _, x := range later {
		if end, over := ends[key(x.task, x.attempt)]; over && end.Before(x.when) {
			t.Errorf("L3: %s attempt %d was called %v after its lease had ended", x.task, x.attempt, x.when.Sub(end))
		}
	}
	if len(later) < 4 {
		t.Errorf("%d calls after it woke, want 4 at least", len(later))
	}
}
