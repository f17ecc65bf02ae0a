package blackbox

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// serveMoney starts the API that charges, and gives its address.
func serveMoney(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(priced))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// fleet are real agents that can be killed and started again, each with its outbox.
type fleet struct {
	t      *testing.T
	c      *coordinator
	api    string
	outbox string
	agents map[string]*process
}

func newFleet(t *testing.T, c *coordinator, api string) *fleet {
	t.Helper()
	f := &fleet{t: t, c: c, api: api, outbox: t.TempDir(), agents: map[string]*process{}}
	for i := range moneyAgents {
		f.start(fmt.Sprintf("agent-%d", i))
	}
	return f
}

func (f *fleet) start(id string) {
	f.agents[id] = startAgent(f.t, f.c, f.api, "--agent-id", id, "--outbox-dir", f.outbox, "--log-level", "error")
}

// killOne is kill -9 of one of them, which is started again at once.
func (f *fleet) killOne(r *rand.Rand) {
	id := fmt.Sprintf("agent-%d", r.IntN(moneyAgents))
	f.agents[id].kill()
	f.start(id)
}

// quiet waits until no report is left to be sent.
func (f *fleet) quiet(t *testing.T) {
	t.Helper()
	for id := range f.agents {
		eventually(t, "an empty outbox of "+id, func() bool { return len(entries(t, f.outbox, id)) == 0 })
	}
}

// exhausted waits until nothing runs, no report is on its way, and what waits does so for money.
func (f *fleet) exhausted(t *testing.T, l *link) {
	t.Helper()
	eventually(t, "an exhausted budget", func() bool {
		q := l.queue(t, moneyQueue)
		s := q.GetStatus()
		return s.GetRunning() == 0 && s.GetCounts().GetScheduled() == 0 && micro(s.GetSpentUsd()+moneyReserve) > micro(q.GetBudget().GetLimitUsd())
	})
	f.quiet(t)
	ready := &stintv1.TaskFilter{Queue: moneyQueue, States: []stintv1.TaskState{stintv1.TaskState_TASK_STATE_READY}}
	resp, err := l.tasks.ListTasks(bounded(t), &stintv1.ListTasksRequest{Filter: ready, PageSize: 1}, patient)
	if err != nil || len(resp.GetTasks()) != 1 {
		t.Fatalf("tasks that wait: %v, %v", resp, err)
	}
	id := resp.GetTasks()[0].GetId()
	if reasons := l.explain(t, id); reasons[stintv1.ExplanationCode_EXPLANATION_CODE_BUDGET] == nil {
		t.Errorf("%s waits, and not for the budget: %v", id, reasons)
	}
}

// soon has a failed attempt tried again in a moment.
func soon(t *stintv1.Task) {
	if t.Retry == nil {
		t.Retry = &stintv1.RetryPolicy{}
	}
	t.Retry.InitialBackoff, t.Retry.MaxBackoff = durationpb.New(loadBackoff), durationpb.New(2*loadBackoff)
}
