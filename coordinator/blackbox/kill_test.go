package blackbox

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	kills       = 10
	killAgents  = 8
	killTasks   = 2000
	killPerCall = 20

	// readyWithin is how soon after its start a coordinator has to serve that was killed in full work: at most kills, since
	// the machine may have other work at one of them.
	readyWithin = 2 * time.Second
	// readyWithinRaced is the same under the race detector, beside all other tests.
	readyWithinRaced = 20 * time.Second
)

// TestKill9TenTimes kills the coordinator ten times while tasks are submitted, granted and reported (D1, D2, L2, C1, C2):
// every task whose submit was answered completes, each once, with the answer that its winning attempt got.
func TestKill9TenTimes(t *testing.T) {
	c := startCoordinator(t, "--lease-ttl", "5s")
	api := startSandbox(t, "--latency", "20ms")
	for i := range killAgents {
		startAgent(t, c, api.addr, "--agent-id", fmt.Sprintf("agent-%d", i), "--log-level", "warn")
	}
	l := c.dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	const perRound = killTasks / kills
	var submits sync.WaitGroup
	defer submits.Wait()
	done := &completions{l: l, ctx: ctx}
	slow := 0
	for round := range kills {
		submits.Go(func() { l.submitUntilTaken(ctx, t, round*perRound, perRound) })
		done.wait(t, round*perRound+perRound/2)
		c.kill()
		took := c.serve(t)
		t.Logf("kill %d after %d completions; ready in %v", round+1, done.seen, took)
		if took > readyLimit() {
			slow++
		}
	}
	if slow > kills/2 {
		t.Errorf("after %d of %d kills it was not ready within %v", slow, kills, readyLimit())
	}
	submits.Wait()
	done.wait(t, killTasks)
	checkOnce(t, l, api)
}

func readyLimit() time.Duration {
	if raced {
		return readyWithinRaced
	}
	return readyWithin
}

// submitUntilTaken submits tasks first, first+1, … in small calls, each repeated until it is answered.
func (l *link) submitUntilTaken(ctx context.Context, t *testing.T, first, count int) {
	for from := first; from < first+count; from += killPerCall {
		req := &stintv1.SubmitTasksRequest{}
		for i := from; i < from+killPerCall; i++ {
			req.Tasks = append(req.Tasks, task(fmt.Sprintf("t%04d", i)))
		}
		for {
			_, err := l.tasks.SubmitTasks(ctx, req, patient)
			if err == nil {
				break
			}
			if status.Code(err) != codes.Unavailable {
				t.Errorf("submit: %v", err)
				return
			}
		}
	}
}

// completions follows the history over all restarts, and counts.
type completions struct {
	l      *link
	ctx    context.Context
	seen   int
	resume int64
	stream grpc.ServerStreamingClient[stintv1.WatchEventsResponse]
}

// wait returns when so many tasks have completed.
func (c *completions) wait(t *testing.T, want int) {
	t.Helper()
	for c.seen < want {
		if err := c.next(); err != nil && status.Code(err) != codes.Unavailable {
			t.Fatalf("watch, %d of %d completed: %v", c.seen, want, err)
		}
	}
}

// next takes one message; after an end of the stream the next call opens another, from the last bookmark on.
func (c *completions) next() (err error) {
	if c.stream == nil {
		c.stream, err = c.l.tasks.WatchEvents(c.ctx, &stintv1.WatchEventsRequest{AfterSequence: &c.resume}, patient)
		if err != nil {
			c.stream = nil
			return err
		}
	}
	m, err := c.stream.Recv()
	if err != nil {
		c.stream = nil
		return err
	}
	for _, e := range m.GetEvents() {
		if e.GetKind() == stintv1.EventKind_EVENT_KIND_COMPLETED {
			c.seen++
		}
	}
	c.resume = m.GetBookmarkSequence()
	return nil
}

// life is what the history says of one task.
type life struct {
	submitted, completed int
	attempts             []string // the agent of each attempt, in order
	winner               int32
}

// checkOnce judges the whole history, and each task by it.
func checkOnce(t *testing.T, l *link, api *sandbox) {
	t.Helper()
	lives := map[string]*life{}
	for i, e := range l.history(t) {
		if e.GetSequence() != int64(i+1) {
			t.Fatalf("event %d has sequence %d", i+1, e.GetSequence())
		}
		if e.GetTaskId() != "" {
			live(t, lives, e)
		}
	}
	if len(lives) != killTasks {
		t.Errorf("the history has %d tasks, want %d", len(lives), killTasks)
	}
	tasks := l.all(t)
	if len(tasks) != killTasks {
		t.Errorf("the list has %d tasks, want %d", len(tasks), killTasks)
	}
	answered := api.answered(t)
	again := 0
	for _, one := range tasks {
		is := lives[one.GetId()]
		if is == nil || is.submitted != 1 || is.completed != 1 || one.GetStatus().GetState() != stintv1.TaskState_TASK_STATE_COMPLETED {
			t.Errorf("%s is %v, its history %+v, want one submit and one completion", one.GetId(), one.GetStatus().GetState(), is)
			continue
		}
		again += len(is.attempts) - 1
		cameFrom(t, one, is.winner, answered)
	}
	t.Logf("%d calls answered for %d tasks, %d further attempts granted", len(answered), len(tasks), again)
}

// live adds an event to the life of its task.
func live(t *testing.T, lives map[string]*life, e *stintv1.Event) {
	t.Helper()
	if lives[e.GetTaskId()] == nil {
		lives[e.GetTaskId()] = &life{}
	}
	is := lives[e.GetTaskId()]
	switch e.GetKind() {
	case stintv1.EventKind_EVENT_KIND_SUBMITTED:
		is.submitted++
	case stintv1.EventKind_EVENT_KIND_GRANTED:
		is.attempts = append(is.attempts, e.GetAgentId())
		if int(e.GetAttempt()) != len(is.attempts) {
			t.Errorf("%s: attempt %d is the grant number %d", e.GetTaskId(), e.GetAttempt(), len(is.attempts))
		}
	case stintv1.EventKind_EVENT_KIND_COMPLETED:
		is.completed++
		is.winner = e.GetAttempt()
		if n := int(e.GetAttempt()); n < 1 || n > len(is.attempts) || is.attempts[n-1] != e.GetAgentId() {
			t.Errorf("%s: completed by attempt %d of %s, granted were %q", e.GetTaskId(), n, e.GetAgentId(), is.attempts)
		}
	}
}

// all is every task, with its result.
func (l *link) all(t *testing.T) []*stintv1.Task {
	t.Helper()
	var all []*stintv1.Task
	req := &stintv1.ListTasksRequest{View: stintv1.TaskView_TASK_VIEW_FULL, PageSize: 1000}
	for {
		resp, err := l.tasks.ListTasks(bounded(t), req)
		if err != nil {
			t.Fatalf("list: %v", err)
		}
		all = append(all, resp.GetTasks()...)
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return all
		}
	}
}
