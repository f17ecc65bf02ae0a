package blackbox

// The files limits_*_test.go are about queues with settings: what they hold back, how agents share them, and what is spent.
//
//	limits_test.go          helpers
//	limits_call_test.go     the calls, as people make them with grpcurl and the command line
//	limits_grant_test.go    what is granted: by labels, keys, weights and limits
//	limits_money_test.go    a budget that holds under kills, and what the events say of it
//	limits_results_test.go  results handed to the tasks that depend on them

import (
	"testing"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// set changes the named settings of a queue.
func (l *link) set(t *testing.T, q *stintv1.Queue, fields ...string) *stintv1.Queue {
	t.Helper()
	req := &stintv1.UpdateQueueRequest{Queue: q, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields}}
	resp, err := l.queues.UpdateQueue(bounded(t), req, patient)
	if err != nil {
		t.Fatalf("update %v: %v", q, err)
	}
	return resp.GetQueue()
}

func (l *link) queue(t *testing.T, name string) *stintv1.Queue {
	t.Helper()
	resp, err := l.queues.GetQueue(bounded(t), &stintv1.GetQueueRequest{Queue: name}, patient)
	if err != nil {
		t.Fatalf("queue %s: %v", name, err)
	}
	return resp.GetQueue()
}

// explain gives why a task is not running, by code.
func (l *link) explain(t *testing.T, id string) map[stintv1.ExplanationCode]*stintv1.Explanation {
	t.Helper()
	resp, err := l.tasks.ExplainTask(bounded(t), &stintv1.ExplainTaskRequest{TaskId: id}, patient)
	if err != nil {
		t.Fatalf("explain %s: %v", id, err)
	}
	reasons := map[stintv1.ExplanationCode]*stintv1.Explanation{}
	for _, r := range resp.GetReasons() {
		reasons[r.GetCode()] = r
	}
	return reasons
}

// spend is what GetSpend says by name of agent or key; that of a queue has the name of the queue.
func (l *link) spend(t *testing.T, queue string, by stintv1.SpendGroup) map[string]*stintv1.Spend {
	t.Helper()
	sums := map[string]*stintv1.Spend{}
	req := &stintv1.GetSpendRequest{Queue: queue, GroupBy: by, PageSize: 2}
	for more := true; more; more = req.GetPageToken() != "" {
		resp, err := l.queues.GetSpend(bounded(t), req, patient)
		if err != nil {
			t.Fatalf("spend: %v", err)
		}
		for _, s := range resp.GetSpend() {
			name := s.GetAgentId() + s.GetFairnessKey()
			if by == stintv1.SpendGroup_SPEND_GROUP_QUEUE {
				name = s.GetQueue()
			}
			if sums[name] != nil {
				t.Errorf("spend: %q stands there twice", name)
			}
			sums[name] = s
		}
		req.PageToken = resp.GetNextPageToken()
	}
	return sums
}

func requires(expressions ...string) func(*stintv1.Task) {
	return func(t *stintv1.Task) { t.Requires = expressions }
}

func costs(least, most float64) func(*stintv1.Task) {
	return func(t *stintv1.Task) { t.Budget = &stintv1.Budget{MinUsd: &least, MaxUsd: &most} }
}

func ofKey(fairness, concurrency string) func(*stintv1.Task) {
	return func(t *stintv1.Task) { t.FairnessKey, t.ConcurrencyKey = fairness, concurrency }
}

// gauge counts what runs, by the events: in all, and by a key that the test chooses.
type gauge struct {
	key  func(task string) string
	now  map[string]int
	most map[string]int
}

// measure reads a history, in which each task is granted at most once at a time.
func measure(events []*stintv1.Event, key func(task string) string) gauge {
	g := gauge{key: key, now: map[string]int{}, most: map[string]int{}}
	live := map[string]bool{}
	for _, e := range events {
		id := e.GetTaskId()
		switch _, ends := terminal[e.GetKind()]; {
		case e.GetKind() == grantedEvent:
			live[id] = true
			g.now[key(id)]++
			g.most[key(id)] = max(g.most[key(id)], g.now[key(id)])
		case live[id] && (ends || e.GetKind() == endedEvent || e.GetKind() == failedAttempt):
			live[id] = false
			g.now[key(id)]--
		}
	}
	return g
}
