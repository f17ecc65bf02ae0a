package client

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

var update = flag.Bool("update", false, "write what the verbs show to testdata, as what is wanted")

// golden compares what a verb wrote, noted and answered with testdata/name.golden.
func golden(t *testing.T, name string, b *bench, err error) {
	t.Helper()
	text := "-- out --\n" + b.out.String() + "-- notes --\n" + b.notes.String() + "-- error --\n"
	if err != nil {
		text += err.Error() + "\n"
	}
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, readErr := os.ReadFile(file)
	if readErr != nil {
		t.Fatal(readErr)
	}
	if text != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, text, want)
	}
}

// verbs is one call of each verb, with the answers of the coordinator.
var verbs = []struct {
	name   string
	script map[string][]reply
	call   func(context.Context, *Client) error
}{
	{
		"add", map[string][]reply{"SubmitTask": {ok(&stintv1.SubmitTaskResponse{Task: ready("sum"), AlreadyExisted: true})}},
		func(ctx context.Context, c *Client) error { return c.Add(ctx, Spec{ID: "sum", Instruction: "2+2"}) },
	},
	{
		"get", map[string][]reply{"GetTask": {ok(&stintv1.GetTaskResponse{Task: completed()})}},
		func(ctx context.Context, c *Client) error { return c.Get(ctx, "rivers") },
	},
	{
		"get-failed", map[string][]reply{"GetTask": {ok(&stintv1.GetTaskResponse{Task: failed()})}},
		func(ctx context.Context, c *Client) error { return c.Get(ctx, "broken") },
	},
	{
		"get-running", map[string][]reply{"GetTask": {ok(&stintv1.GetTaskResponse{Task: running()})}},
		func(ctx context.Context, c *Client) error { return c.Get(ctx, "busy") },
	},
	{
		"list", map[string][]reply{"ListTasks": {
			ok(&stintv1.ListTasksResponse{Tasks: []*stintv1.Task{completed(), failed()}, NextPageToken: "2"}),
			ok(&stintv1.ListTasksResponse{NextPageToken: "3"}),
			ok(&stintv1.ListTasksResponse{Tasks: append(waiting(), running(), ready("sum"))}),
		}},
		func(ctx context.Context, c *Client) error { return c.List(ctx, Filter{}, 100) },
	},
	{
		"list-nothing", map[string][]reply{"ListTasks": {ok(&stintv1.ListTasksResponse{})}},
		func(ctx context.Context, c *Client) error { return c.List(ctx, Filter{Queue: "q"}, 100) },
	},
	{
		"status", map[string][]reply{
			"GetStatus":  {ok(standing(&stintv1.TaskCounts{Submitted: 30, Running: 3, Completed: 20, Failed: 5, Pruned: 2}))},
			"ListQueues": {ok(&stintv1.ListQueuesResponse{Queues: []*stintv1.Queue{line(false), {Name: "empty"}}})},
			"ListTasks": {
				ok(&stintv1.ListTasksResponse{Tasks: []*stintv1.Task{failed()}}),
				ok(&stintv1.ListTasksResponse{Tasks: []*stintv1.Task{running()}}),
			},
		},
		func(ctx context.Context, c *Client) error { return c.Status(ctx) },
	},
	{
		"status-held", map[string][]reply{
			"GetStatus": {ok(standing(&stintv1.TaskCounts{Submitted: 30, Ready: 30}))},
			"ListQueues": {
				ok(&stintv1.ListQueuesResponse{Queues: []*stintv1.Queue{limited("exhausted"), limited("head"), limited("fits")}, NextPageToken: "2"}),
				ok(&stintv1.ListQueuesResponse{Queues: []*stintv1.Queue{limited("paused"), limited("full"), limited("slow"), limited("idle"), line(false)}}),
			},
			"ListTasks": {
				ok(&stintv1.ListTasksResponse{Tasks: []*stintv1.Task{ready("waits")}}),
				ok(&stintv1.ListTasksResponse{Tasks: []*stintv1.Task{ready("next")}}),
				ok(&stintv1.ListTasksResponse{}),
			},
			"ExplainTask": {
				ok(explained(stintv1.ExplanationCode_EXPLANATION_CODE_BUDGET)),
				ok(explained(stintv1.ExplanationCode_EXPLANATION_CODE_NO_FREE_AGENT)),
			},
		},
		func(ctx context.Context, c *Client) error { return c.Status(ctx) },
	},
	{
		"cancel", map[string][]reply{"CancelTask": {
			ok(&stintv1.CancelTaskResponse{Task: failed()}),
			fails(refusal(codes.NotFound, "TASK_NOT_FOUND", `task "gone" does not exist`)),
			ok(&stintv1.CancelTaskResponse{Task: ready("sum")}),
		}},
		func(ctx context.Context, c *Client) error {
			return c.Cancel(ctx, []string{"broken", "gone", "sum"}, "no need")
		},
	},
	{
		"retry", map[string][]reply{"RetryTask": {ok(&stintv1.RetryTaskResponse{Task: ready("broken")})}},
		func(ctx context.Context, c *Client) error { return c.Retry(ctx, []string{"broken"}, "1h") },
	},
	{
		"cancel-count", map[string][]reply{"CancelTasks": {
			ok(&stintv1.CancelTasksResponse{Matched: 1000, Changed: 990, NextPageToken: "2"}),
			ok(&stintv1.CancelTasksResponse{Matched: 5, Changed: 4}),
		}},
		func(ctx context.Context, c *Client) error {
			return c.CancelMatching(ctx, Filter{Queue: "q"}, "", false)
		},
	},
	{
		"retry-matching", map[string][]reply{"RetryTasks": {
			ok(&stintv1.RetryTasksResponse{Matched: 8, Changed: 7}),
			ok(&stintv1.RetryTasksResponse{Matched: 7, Changed: 7}),
		}},
		func(ctx context.Context, c *Client) error {
			return c.RetryMatching(ctx, Filter{States: []string{"failed"}}, "", true)
		},
	},
	{
		"cancel-broken-off", map[string][]reply{"CancelTasks": {
			ok(&stintv1.CancelTasksResponse{Matched: 1001, Changed: 991}),
			ok(&stintv1.CancelTasksResponse{Matched: 1000, Changed: 990, NextPageToken: "2"}),
			fails(status.Error(codes.Unavailable, "error reading from server: EOF")),
		}},
		func(ctx context.Context, c *Client) error { return c.CancelMatching(ctx, Filter{Queue: "q"}, "", true) },
	},
	{
		"explain", map[string][]reply{"ExplainTask": {ok(&stintv1.ExplainTaskResponse{
			State: stintv1.TaskState_TASK_STATE_BLOCKED,
			Reasons: []*stintv1.Explanation{
				{Code: stintv1.ExplanationCode_EXPLANATION_CODE_BLOCKED, Message: "waits for 2 tasks", TaskIds: []string{"rivers", "later"}},
				{Code: stintv1.ExplanationCode_EXPLANATION_CODE_NOT_BEFORE, Message: "not before its time", Until: at(3600e9)},
			},
		})}},
		func(ctx context.Context, c *Client) error { return c.Explain(ctx, "child") },
	},
	{
		"explain-limits", map[string][]reply{"ExplainTask": {ok(&stintv1.ExplainTaskResponse{
			State: stintv1.TaskState_TASK_STATE_READY,
			Reasons: []*stintv1.Explanation{
				{Code: stintv1.ExplanationCode_EXPLANATION_CODE_QUEUE_LIMIT, Message: "5 of 5 run", Position: 3},
				{Code: stintv1.ExplanationCode_EXPLANATION_CODE_RATE_LIMIT, Message: "the rate is used up", Until: at(2e9)},
				{Code: stintv1.ExplanationCode_EXPLANATION_CODE_BUDGET, Message: "0.05 USD are left", Until: at(3600e9)},
				{Code: stintv1.ExplanationCode_EXPLANATION_CODE_CONCURRENCY_KEY, Message: "1 of 1 of key \"acme\" runs"},
				{Code: stintv1.ExplanationCode_EXPLANATION_CODE_NO_MATCHING_AGENT, Message: "no agent has region in (eu,us)"},
			},
		})}},
		func(ctx context.Context, c *Client) error { return c.Explain(ctx, "child") },
	},
	{
		"agents", map[string][]reply{"ListAgents": {
			ok(&stintv1.ListAgentsResponse{Agents: []*stintv1.Agent{agent()}, NextPageToken: "2"}),
			ok(&stintv1.ListAgentsResponse{Agents: []*stintv1.Agent{{Id: "me", State: stintv1.AgentState_AGENT_STATE_UNARY, Queues: []string{"a", "b"}}}}),
		}},
		func(ctx context.Context, c *Client) error { return c.Agents(ctx) },
	},
	{
		"drain", map[string][]reply{"DrainAgent": {ok(&stintv1.DrainAgentResponse{Agent: agent()})}},
		func(ctx context.Context, c *Client) error { return c.Drain(ctx, "worker_0a", 0) },
	},
	{
		"queues", map[string][]reply{"ListQueues": {ok(&stintv1.ListQueuesResponse{Queues: []*stintv1.Queue{line(false), {Name: "empty"}}})}},
		func(ctx context.Context, c *Client) error { return c.Queues(ctx) },
	},
	{
		"queue", map[string][]reply{"GetQueue": {ok(&stintv1.GetQueueResponse{Queue: line(false)})}},
		func(ctx context.Context, c *Client) error { return c.Queue(ctx, "default") },
	},
	{
		"queue-limited", map[string][]reply{"GetQueue": {ok(&stintv1.GetQueueResponse{Queue: limited("exhausted")})}},
		func(ctx context.Context, c *Client) error { return c.Queue(ctx, "exhausted") },
	},
	{
		"queue-set", map[string][]reply{
			"GetQueue":    {ok(&stintv1.GetQueueResponse{Queue: line(false)})},
			"UpdateQueue": {ok(&stintv1.UpdateQueueResponse{Queue: limited("default")})},
		},
		func(ctx context.Context, c *Client) error {
			return c.SetQueue(ctx, "default", QueueSettings{MaxRunning: ptr[int32](5), Rate: "10/s", Budget: "20", Period: "day"})
		},
	},
	{
		"queue-set-new", map[string][]reply{
			"GetQueue":    {fails(refusal(codes.NotFound, "QUEUE_NOT_FOUND", `queue "new" does not exist`))},
			"UpdateQueue": {ok(&stintv1.UpdateQueueResponse{Queue: &stintv1.Queue{Name: "new", Weight: 3}})},
		},
		func(ctx context.Context, c *Client) error {
			return c.SetQueue(ctx, "new", QueueSettings{Weight: ptr[int32](3)})
		},
	},
	{
		"queue-set-same", map[string][]reply{
			"GetQueue":    {ok(&stintv1.GetQueueResponse{Queue: line(false)})},
			"UpdateQueue": {ok(&stintv1.UpdateQueueResponse{Queue: line(false)})},
		},
		func(ctx context.Context, c *Client) error {
			return c.SetQueue(ctx, "default", QueueSettings{Weight: ptr[int32](1)})
		},
	},
	{
		"queue-set-stale", map[string][]reply{
			"GetQueue":    {ok(&stintv1.GetQueueResponse{Queue: line(false)})},
			"UpdateQueue": {fails(refusal(codes.Aborted, "ETAG_MISMATCH", `queue "default" was changed meanwhile`))},
		},
		func(ctx context.Context, c *Client) error {
			return c.SetQueue(ctx, "default", QueueSettings{Weight: ptr[int32](2), Etag: "old"})
		},
	},
	{
		"spend", map[string][]reply{"GetSpend": {
			ok(&stintv1.GetSpendResponse{Spend: []*stintv1.Spend{{Queue: "a", SpentUsd: 1.25, Attempts: 12}}, NextPageToken: "2"}),
			ok(&stintv1.GetSpendResponse{Spend: []*stintv1.Spend{{Queue: "b", Attempts: 1}}}),
		}},
		func(ctx context.Context, c *Client) error { return c.Spend(ctx, "", "queue") },
	},
	{
		"spend-agent", map[string][]reply{"GetSpend": {ok(&stintv1.GetSpendResponse{
			Spend: []*stintv1.Spend{{Queue: "a", AgentId: "worker_0a", SpentUsd: 0.1, Attempts: 2}},
		})}},
		func(ctx context.Context, c *Client) error { return c.Spend(ctx, "a", "agent") },
	},
	{
		"spend-key", map[string][]reply{"GetSpend": {ok(&stintv1.GetSpendResponse{
			Spend: []*stintv1.Spend{{Queue: "a", SpentUsd: 0.1, Attempts: 2}, {Queue: "a", FairnessKey: "acme", SpentUsd: 0.000001, Attempts: 1}},
		})}},
		func(ctx context.Context, c *Client) error { return c.Spend(ctx, "a", "key") },
	},
	{
		"pause", map[string][]reply{"PauseQueue": {ok(&stintv1.PauseQueueResponse{Queue: line(true)})}},
		func(ctx context.Context, c *Client) error { return c.Pause(ctx, "default") },
	},
	{
		"resume", map[string][]reply{"ResumeQueue": {ok(&stintv1.ResumeQueueResponse{Queue: line(false)})}},
		func(ctx context.Context, c *Client) error { return c.Resume(ctx, "default") },
	},
	{
		"wait", map[string][]reply{
			"GetTask":  {ok(&stintv1.GetTaskResponse{Task: running()})},
			"WaitTask": {ok(&stintv1.WaitTaskResponse{Task: completed()}), ok(&stintv1.WaitTaskResponse{Task: failed()})},
		},
		func(ctx context.Context, c *Client) error { return c.Wait(ctx, []string{"rivers", "broken"}, 0) },
	},
}

// Each verb shows what the coordinator answered: a table, and the same as JSON lines.
func TestVerbs(t *testing.T) {
	for _, v := range verbs {
		for _, form := range []string{"table", "json"} {
			t.Run(v.name+"/"+form, func(t *testing.T) {
				script := map[string][]reply{}
				for method, lines := range v.script {
					script[method] = lines
				}
				b := newBench(t, script, func(o *Options) { o.JSON = form == "json" })
				err := v.call(t.Context(), b.Client)
				golden(t, v.name+"."+form, b, err)
				for i, limit := range b.fake.limits {
					if limit <= 0 || limit > waitTimeout+callTimeout {
						t.Errorf("call %d has a deadline of %v", i, limit)
					}
				}
			})
		}
	}
}
