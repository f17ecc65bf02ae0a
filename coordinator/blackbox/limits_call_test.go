package blackbox

import (
	"fmt"
	"strings"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// The methods that these tests call.
const (
	updateQueue = "stint.v1.QueueService/UpdateQueue"
	getQueue    = "stint.v1.QueueService/GetQueue"
	getSpend    = "stint.v1.QueueService/GetSpend"
	explainTask = "stint.v1.TaskService/ExplainTask"
)

// TestUpdateQueueByGrpcurl: a mask changes what it names and nothing else, an etag guards against others, and every change is
// one event.
func TestUpdateQueueByGrpcurl(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	made := answer(t, c, `{"queue":{"name":"q","max_running":5,"weight":3,"rate":{"per_second":2.5}}}`, updateQueue)
	if at(made, "queue", "maxRunning") != 5.0 || at(made, "queue", "weight") != 3.0 || at(made, "queue", "rate", "perSecond") != 2.5 {
		t.Errorf("made %v", made)
	}
	first, _ := at(made, "queue", "etag").(string)
	masked := answer(t, c, `{"queue":{"name":"q","etag":"`+first+`","weight":7,"budget":{"limit_usd":1.5,"period":"BUDGET_PERIOD_HOUR"}},"update_mask":{"paths":["budget","max_running"]}}`, updateQueue)
	if at(masked, "queue", "maxRunning") != nil || at(masked, "queue", "weight") != 3.0 || at(masked, "queue", "budget", "limitUsd") != 1.5 {
		t.Errorf("after the mask %v", masked)
	}
	got := answer(t, c, `{"queue":"q"}`, getQueue)
	if at(got, "queue", "status", "periodStartTime") == nil || at(got, "queue", "etag") != at(masked, "queue", "etag") || at(got, "queue", "etag") == first {
		t.Errorf("read %v", got)
	}
	same := answer(t, c, `{"queue":{"name":"q","weight":3}}`, updateQueue)
	if at(same, "queue", "etag") != at(got, "queue", "etag") {
		t.Errorf("an update that changes nothing changed the etag: %v", same)
	}
	for body, reason := range map[string]string{
		`{"queue":{"name":"q","etag":"` + first + `","weight":1}}`:                                        "ETAG_MISMATCH",
		`{"queue":{"name":"q","paused":true},"update_mask":{"paths":["paused"]}}`:                         "FIELD_INVALID",
		`{"queue":{"name":"q"},"update_mask":{"paths":["status"]}}`:                                       "FIELD_INVALID",
		`{"queue":{"name":"q","weight":1001}}`:                                                            "FIELD_INVALID",
		`{"queue":{"name":"q","rate":{"per_second":-1}}}`:                                                 "FIELD_INVALID",
		`{"queue":{"name":"not a name","weight":1}}`:                                                      "FIELD_INVALID",
		`{"queue":{"name":"q","budget":{"limit_usd":-1}}}`:                                                "FIELD_INVALID",
		`{"queue":{"name":"q","retry":{"max_attempts":1000}}}`:                                            "FIELD_INVALID",
		`{"queue":{"name":"q","max_running_per_key":-1},"update_mask":{"paths":["max_running_per_key"]}}`: "FIELD_INVALID",
	} {
		if out := curl(t, c, body, updateQueue, "-format-error"); out.code == 0 || !strings.Contains(out.stderr, reason) {
			t.Errorf("%s: exit %d, want %s: %s", body, out.code, reason, out.stderr)
		}
	}
	if n := count(l.history(t), stintv1.EventKind_EVENT_KIND_QUEUE_CHANGED); n != 2 {
		t.Errorf("%d events of changes, want 2: %v", n, l.history(t))
	}
}

// TestSettingsSurviveAKill: settings and sums are there again after a kill -9, and an empty mask then still leaves the rest.
func TestSettingsSurviveAKill(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	limit := 2.0
	set := l.set(t, &stintv1.Queue{Name: "q", Weight: 9, StrictFencing: true, Retry: &stintv1.RetryPolicy{MaxAttempts: 7},
		Budget: &stintv1.QueueBudget{LimitUsd: &limit, Period: stintv1.BudgetPeriod_BUDGET_PERIOD_MONTH}})
	startAgent(t, c, startSandbox(t).addr)
	l.submit(t, task("one", in("q"), costs(0.5, 1)))
	if n := l.completed(t, "one").GetRetry().GetMaxAttempts(); n != 7 {
		t.Errorf("max_attempts %d, want the queue's 7", n)
	}
	c.kill()
	c.serve(t)
	q := l.queue(t, "q")
	if q.GetEtag() != set.GetEtag() || q.GetWeight() != 9 || !q.GetStrictFencing() || q.GetBudget().GetLimitUsd() != 2 || q.GetStatus().GetSpentUsd() != 0.5 {
		t.Errorf("after the kill %v, want %v and 0.5 spent", q, set)
	}
	if got := l.spend(t, "q", stintv1.SpendGroup_SPEND_GROUP_QUEUE)["q"]; got.GetSpentUsd() != 0.5 || got.GetAttempts() != 1 {
		t.Errorf("spend %v", got)
	}
}

// TestMoneyByGrpcurl: reserved while it runs, settled by the report, summed by agent and key; a task that can never fit is
// refused, and one that does not fit now says so.
func TestMoneyByGrpcurl(t *testing.T) {
	c := startCoordinator(t)
	answer(t, c, `{"queue":{"name":"default","budget":{"limit_usd":1}}}`, updateQueue)
	answer(t, c, `{"tasks":[{"id":"hello","instruction":"x","budget":{"max_usd":0.75},"fairness_key":"acme"},{"id":"next","instruction":"x","budget":{"max_usd":0.5}}]}`,
		"stint.v1.TaskService/SubmitTasks")
	if out := curl(t, c, `{"task":{"budget":{"max_usd":1.01}}}`, sub, "-format-error"); out.code == 0 || !strings.Contains(out.stderr, "BUDGET_TOO_LARGE") {
		t.Errorf("a task above the whole budget: exit %d: %s", out.code, out.stderr)
	}
	lease := acquire(t, c, "r1", "hello")
	got := answer(t, c, `{"queue":"default"}`, getQueue)
	if at(got, "queue", "status", "reservedUsd") != 0.75 || at(got, "queue", "status", "spentUsd") != nil {
		t.Errorf("while it runs %v", got)
	}
	if got := answer(t, c, `{"task_id":"hello"}`, "stint.v1.TaskService/GetTask"); at(got, "task", "status", "reservedUsd") != 0.75 {
		t.Errorf("the task while it runs %v", got)
	}
	if got := answer(t, c, `{"agent_id":"me","request_id":"r2"}`, "stint.v1.AgentService/AcquireLeases"); at(got, "leases", 0) != nil {
		t.Errorf("B1: granted beyond the budget: %v", got)
	}
	if got := answer(t, c, `{"task_id":"next"}`, explainTask); !strings.Contains(fmt.Sprint(got), "EXPLANATION_CODE_BUDGET") {
		t.Errorf("explain %v", got)
	}
	answer(t, c, `{"reports":[{"lease_id":"`+lease+`","result":{"text":"4","budget_used_usd":0.25}}]}`, "stint.v1.AgentService/ReportLeases")
	got = answer(t, c, `{"queue":"default"}`, getQueue)
	if at(got, "queue", "status", "reservedUsd") != nil || at(got, "queue", "status", "spentUsd") != 0.25 {
		t.Errorf("after the report %v", got)
	}
	for by, want := range map[string][2]string{"AGENT": {"agentId", "me"}, "FAIRNESS_KEY": {"fairnessKey", "acme"}, "QUEUE": {"queue", "default"}} {
		got := answer(t, c, `{"queue":"default","group_by":"SPEND_GROUP_`+by+`"}`, getSpend)
		if at(got, "spend", 0, want[0]) != want[1] || at(got, "spend", 0, "spentUsd") != 0.25 || at(got, "spend", 0, "attempts") != "1" {
			t.Errorf("spend by %s: %v", by, got)
		}
	}
	acquire(t, c, "r3", "next")
}

// TestQueueSettingsByTheCommandLine: people set, see and explain limits, and are told what changed.
func TestQueueSettingsByTheCommandLine(t *testing.T) {
	c := startCoordinator(t)
	for _, row := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"queue", "set", "q", "--max-running", "5", "--rate", "30/m", "--budget", "20", "--period", "day"}, 0,
			[]string{"queue q was made", "Max running", "none", "5", "0.5/s", "20 a DAY"}},
		{[]string{"queue", "set", "q", "--weight", "3", "--no-strict-fencing", "--retry-max-attempts", "7"}, 0, []string{"Weight", "1", "3", "Retry", "7 attempts"}},
		{[]string{"queue", "set", "q", "--weight", "3"}, 0, []string{"nothing changed"}},
		{[]string{"queue", "set", "q", "--weight", "4", "--etag", "stale"}, 1, []string{"ETAG_MISMATCH", "queue show"}},
		{[]string{"queue", "set", "q", "--weight", "1001"}, 1, []string{"FIELD_INVALID", "weight"}},
		{[]string{"queue", "show", "q"}, 0, []string{"Max running", "5", "Rate", "0.5/s", "Budget USD", "20 a DAY", "Period ends"}},
		{[]string{"queue", "list"}, 0, []string{"default", "20 a DAY"}},
		{[]string{"queue", "set", "q", "--budget", "none", "--rate", "none", "--max-running", "0"}, 0, []string{"20 a DAY", "none"}},
		{[]string{"queue", "pause", "q"}, 0, []string{"yes"}},
		{[]string{"add", "held", "x", "--queue", "q", "--require", "region in (eu,us)", "--fairness-key", "acme", "--concurrency-key", "acme", "--budget", "0.5"}, 0,
			[]string{"held", "READY"}},
		{[]string{"status"}, 0, []string{"HELD QUEUE", "paused"}},
		{[]string{"explain", "held"}, 0, []string{"QUEUE_PAUSED", "NO_MATCHING_AGENT"}},
		{[]string{"get", "held"}, 0, []string{"region in (eu,us)", "acme", "0.5"}},
		{[]string{"spend"}, 0, []string{"QUEUE", "SPENT USD"}},
		{[]string{"spend", "nowhere", "--by", "agent"}, 1, []string{"QUEUE_NOT_FOUND"}},
	} {
		out := cli(t, c, row.args...)
		if out.code != row.code {
			t.Errorf("%q: exit code %d: %s", row.args, out.code, out.stderr)
		}
		for _, want := range row.want {
			if !strings.Contains(out.stdout+out.stderr, want) {
				t.Errorf("%q: no %q in:\n%s%s", row.args, want, out.stdout, out.stderr)
			}
		}
	}
}

// TestManyTasksByTheCommandLine: a filter selects more than a page; without --yes they are counted, with it all are changed.
func TestManyTasksByTheCommandLine(t *testing.T) {
	const many = 2500
	c := startCoordinator(t)
	l := c.dial(t)
	submitMany(t, l, many, func(one *stintv1.Task, i int) {
		one.Id, one.Labels = fmt.Sprintf("batch-%d", i), map[string]string{"batch": fmt.Sprint(i % 2)}
	})
	l.submit(t, task("other"))
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"cancel", "--id-prefix", "batch-"}, "tasks selected: 2500, of which would be cancelled: 2500"},
		{[]string{"cancel", "--id-prefix", "batch-", "--yes", "--reason", "no need"}, "tasks selected: 2500, of which were cancelled: 2500"},
		{[]string{"cancel", "--id-prefix", "batch-", "--yes"}, "tasks selected: 2500, of which were cancelled: 0"},
		{[]string{"retry", "--state", "cancelled", "--label", "batch=1", "--finished-after", "1h", "--yes"}, "tasks selected: 1250, of which were retried: 1250"},
	} {
		if out := cli(t, c, row.args...); out.code != 0 || !strings.Contains(out.stdout, row.want) {
			t.Errorf("%q: exit code %d, want %q:\n%s%s", row.args, out.code, row.want, out.stdout, out.stderr)
		}
	}
	if n := l.status(t).GetCounts(); n.GetReady() != many/2+1 || n.GetCancelled() != many/2 {
		t.Errorf("counts %v", n)
	}
}
