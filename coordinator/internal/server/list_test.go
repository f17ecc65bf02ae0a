package server

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// shelf lists tasks as a ledger does: its cursor is a position, and it looks at no more tasks
// than it may.
func shelf(tasks []*engine.Task, matches func(i int) bool, queries *[]ledger.Query) func(ledger.Query) ([]*engine.Task, []byte, error) {
	return func(q ledger.Query) ([]*engine.Task, []byte, error) {
		*queries = append(*queries, q)
		at, _ := strconv.Atoi(string(q.Cursor))
		var out []*engine.Task
		for looked := 0; at < len(tasks) && len(out) < q.Limit && looked < q.Examine; looked++ {
			if matches(at) {
				out = append(out, tasks[at])
			}
			at++
		}
		if at == len(tasks) {
			return out, nil, nil
		}
		return out, []byte(strconv.Itoa(at)), nil
	}
}

func every(int) bool { return true }

// many gives tasks t0, t1, … with results of a size.
func many(t *testing.T, n, resultBytes int) []*engine.Task {
	t.Helper()
	result := encoded(t, &stintv1.Result{Text: strings.Repeat("x", resultBytes)})
	out := make([]*engine.Task, n)
	for i := range out {
		out[i] = &engine.Task{
			Spec:   specOf(t, &stintv1.Task{Id: "t" + strconv.Itoa(i)}),
			Status: queue.Status{State: queue.Completed, Run: 1}, Result: result,
		}
	}
	return out
}

// pages reads a list to its end.
func pages(t *testing.T, conn *grpc.ClientConn, r *stintv1.ListTasksRequest) (ids []string, sizes []int) {
	t.Helper()
	for {
		reply := must(stintv1.NewTaskServiceClient(conn).ListTasks(t.Context(), r))(t)
		if n := proto.Size(reply); n > maxReply+1<<10 && len(reply.GetTasks()) > 1 {
			t.Errorf("a reply of %d bytes with %d tasks", n, len(reply.GetTasks()))
		}
		for _, task := range reply.GetTasks() {
			ids = append(ids, task.GetId())
		}
		sizes = append(sizes, len(reply.GetTasks()))
		if r.PageToken = reply.GetNextPageToken(); r.PageToken == "" {
			return ids, sizes
		}
	}
}

// A list gets past a task that was granted very often, whatever the view.
func TestListPastManyAttempts(t *testing.T) {
	tasks := many(t, 5, 10)
	for i := range int32(100_000) {
		tasks[2].Attempts = append(tasks[2].Attempts, queue.Attempt{
			Number: i + 1, Run: 1, Agent: "worker_0123abcd", Start: after(1), Finish: after(2), Outcome: queue.OutcomeReleased,
		})
	}
	for _, view := range []stintv1.TaskView{stintv1.TaskView_TASK_VIEW_BASIC, stintv1.TaskView_TASK_VIEW_FULL} {
		f := newFake()
		var queries []ledger.Query
		f.list = shelf(tasks, every, &queries)
		conn, _ := served(t, f, time.Minute)
		if ids, _ := pages(t, conn, &stintv1.ListTasksRequest{View: view}); len(ids) != len(tasks) {
			t.Errorf("%v: listed %v", view, ids)
		}
	}
}

// Pages hold what was asked for, are cut at 2 MiB, and together hold each task once.
func TestListPages(t *testing.T) {
	for _, c := range []struct {
		name        string
		tasks, size int // of a result
		page        int32
		view        stintv1.TaskView
		sizes       []int
	}{
		{"default", 250, 10, 0, 0, []int{100, 100, 50}},
		{"small", 5, 10, 2, 0, []int{2, 2, 1}},
		{"cut", 7, 800 << 10, 100, stintv1.TaskView_TASK_VIEW_FULL, []int{2, 2, 2, 1}},
		{"none of it weighs", 7, 800 << 10, 100, stintv1.TaskView_TASK_VIEW_BASIC, []int{7}},
		{"one alone", 2, 3 << 20, 100, stintv1.TaskView_TASK_VIEW_FULL, []int{1, 1}},
		{"cut in a later chunk", 70, 40 << 10, 100, stintv1.TaskView_TASK_VIEW_FULL, []int{51, 19}},
	} {
		f := newFake()
		var queries []ledger.Query
		f.list = shelf(many(t, c.tasks, c.size), every, &queries)
		conn, _ := served(t, f, time.Minute)
		ids, sizes := pages(t, conn, &stintv1.ListTasksRequest{PageSize: c.page, View: c.view})
		if !slices.Equal(sizes, c.sizes) {
			t.Errorf("%s: pages of %v, want %v", c.name, sizes, c.sizes)
		}
		for i, id := range ids {
			if id != "t"+strconv.Itoa(i) {
				t.Errorf("%s: task %d is %s", c.name, i, id)
				break
			}
		}
		if len(ids) != c.tasks {
			t.Errorf("%s: %d of %d tasks", c.name, len(ids), c.tasks)
		}
	}
}

// One call looks at no more than 10,000 tasks, however few of them match, and goes on from there.
func TestListLooksAtSoMany(t *testing.T) {
	tasks := make([]*engine.Task, 25_000)
	one := many(t, 1, 1)[0]
	for i := range tasks {
		tasks[i] = one
	}
	for _, page := range []int32{0, 10, 1000} {
		f := newFake()
		var queries []ledger.Query
		f.list = shelf(tasks, func(i int) bool { return i == 12_345 }, &queries)
		conn, _ := served(t, f, time.Minute)
		calls := 0
		r := &stintv1.ListTasksRequest{PageSize: page}
		for {
			queries = nil
			reply := must(stintv1.NewTaskServiceClient(conn).ListTasks(t.Context(), r))(t)
			looked := 0
			for _, q := range queries {
				looked += q.Examine
			}
			if calls++; looked > examined {
				t.Errorf("page_size %d: one call looks at %d tasks", page, looked)
			}
			if r.PageToken = reply.GetNextPageToken(); r.PageToken == "" {
				break
			}
		}
		if calls != 3 {
			t.Errorf("page_size %d: %d calls for 25,000 tasks", page, calls)
		}
	}
}

func TestPageTokens(t *testing.T) {
	f := newFake()
	f.list = func(ledger.Query) ([]*engine.Task, []byte, error) {
		return nil, nil, fmt.Errorf("x: %w", ledger.ErrCursor)
	}
	conn, _ := served(t, f, time.Minute)
	c := stintv1.NewTaskServiceClient(conn)
	asked := false
	f.list = func(ledger.Query) ([]*engine.Task, []byte, error) {
		asked = true
		return nil, nil, fmt.Errorf("x: %w", ledger.ErrCursor)
	}
	other := listTasks.token([]byte("of another filter"))
	for _, token := range []string{"?", "dA", listAgents.token([]byte("x")), cancelTasks.token([]byte("x")), other} {
		_, err := c.ListTasks(t.Context(), &stintv1.ListTasksRequest{PageToken: token})
		if got := read(t, err); got.reason != "PAGE_TOKEN_INVALID" || !slices.Equal(got.fields, []string{"page_token"}) {
			t.Errorf("%q: %v", token, err)
		}
		if asked != (token == other) {
			t.Errorf("%q: the engine was asked: %v", token, asked)
		}
	}
	if listTasks.token(nil) != "" {
		t.Error("the last page has a token")
	}
}

func TestFilter(t *testing.T) {
	f := newFake()
	var queries []ledger.Query
	f.list = shelf(nil, every, &queries)
	conn, _ := served(t, f, time.Minute)
	must(stintv1.NewTaskServiceClient(conn).ListTasks(t.Context(), &stintv1.ListTasksRequest{
		View: stintv1.TaskView_TASK_VIEW_FULL,
		Filter: &stintv1.TaskFilter{
			Queue: "q", States: []stintv1.TaskState{stintv1.TaskState_TASK_STATE_FAILED},
			Labels: map[string]string{"b": "2", "a": "1"}, IdPrefix: "x", FinishedAfter: stamp(after(3)),
		},
	}))(t)
	got := queries[0]
	want := ledger.Query{
		Queue: "q", States: []queue.State{queue.Failed}, Labels: []queue.Label{{Key: "a", Value: "1"}, {Key: "b", Value: "2"}},
		IDPrefix: "x", FinishedAfter: after(3), Payload: true, Result: true, History: true,
		Limit: got.Limit, Examine: got.Examine,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// A condition of a newer contract must not be passed over: the filter would select more.
func TestUnknownConditions(t *testing.T) {
	filter := &stintv1.TaskFilter{Queue: "q"}
	filter.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 99, protowire.VarintType), 1))
	if _, err := query("filter", filter); err == nil {
		t.Error("taken")
	}
}

// Bulk calls change what the filter selects and could be changed, in the run that was seen.
func TestBulk(t *testing.T) {
	tasks := many(t, 4, 1)
	for i, s := range []queue.State{queue.Ready, queue.Failed, queue.Completed, queue.Running} {
		tasks[i].Status = queue.Status{State: s, Run: int32(i + 1)}
	}
	f := newFake()
	var queries []ledger.Query
	f.list = shelf(tasks, every, &queries)
	var cancelled, retried []queue.Choice
	f.cancel = func(c []queue.Choice, _ string) (int, error) { cancelled = c; return 1, nil }
	f.retry = func(c []queue.Choice, _ queue.Instant) (int, error) { retried = c; return len(c), nil }
	conn, _ := served(t, f, time.Minute)
	c, ctx, filter := stintv1.NewTaskServiceClient(conn), t.Context(), &stintv1.TaskFilter{Queue: "default"}

	dry := must(c.CancelTasks(ctx, &stintv1.CancelTasksRequest{Filter: filter, ValidateOnly: true}))(t)
	if dry.GetMatched() != 4 || dry.GetChanged() != 2 || cancelled != nil {
		t.Errorf("validate_only: %v, cancelled %v", dry, cancelled)
	}
	wet := must(c.CancelTasks(ctx, &stintv1.CancelTasksRequest{Filter: filter}))(t)
	if wet.GetMatched() != 4 || wet.GetChanged() != 1 || !slices.Equal(cancelled, []queue.Choice{{ID: "t0", Run: 1}, {ID: "t3", Run: 4}}) {
		t.Errorf("cancel: %v, cancelled %v", wet, cancelled)
	}
	again := must(c.RetryTasks(ctx, &stintv1.RetryTasksRequest{Filter: filter}))(t)
	if again.GetMatched() != 4 || again.GetChanged() != 1 || !slices.Equal(retried, []queue.Choice{{ID: "t1", Run: 2}}) {
		t.Errorf("retry: %v, retried %v", again, retried)
	}
	late := &stintv1.RetryTasksRequest{Filter: filter, ValidateOnly: true, ExpireTime: timestamppb.New(noon)}
	if _, err := c.RetryTasks(ctx, late); read(t, err).reason != "FIELD_INVALID" {
		t.Errorf("validate_only of new runs that would be over at once: %v", err)
	}
	if queries[0].Limit != bulkPage || queries[0].Payload || queries[0].Result {
		t.Errorf("query %+v", queries[0])
	}
}

// A page of one task that cannot be changed is a page, not an error; other errors stay.
func TestBulkOfOne(t *testing.T) {
	f := newFake()
	var queries []ledger.Query
	tasks := many(t, 1, 1)
	tasks[0].Status.State = queue.Failed
	f.list = shelf(tasks, every, &queries)
	var verdict error
	f.retry = func([]queue.Choice, queue.Instant) (int, error) { return 0, verdict }
	conn, _ := served(t, f, time.Minute)
	retry := func() (*stintv1.RetryTasksResponse, error) {
		return stintv1.NewTaskServiceClient(conn).RetryTasks(t.Context(), &stintv1.RetryTasksRequest{Filter: &stintv1.TaskFilter{Queue: "q"}})
	}
	for _, gone := range []queue.Reason{queue.TaskNotFound, queue.TaskCompleted, queue.DependencyNotFound, queue.BudgetTooLarge} {
		verdict = &queue.Error{Reason: gone}
		if reply := must(retry())(t); reply.GetMatched() != 1 || reply.GetChanged() != 0 {
			t.Errorf("%s: %v", gone, reply)
		}
	}
	for _, e := range []error{&queue.Error{Reason: queue.QueueFull}, errors.New("x"), engine.ErrStopping} {
		verdict = e
		if _, err := retry(); err == nil {
			t.Errorf("%v is passed over", e)
		}
	}
}
