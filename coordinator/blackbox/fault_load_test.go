package blackbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// load is a mix of calls: small batches, some tasks with dependencies on earlier ones, some cancelled, some retried.
type load struct {
	l    *link
	book *book
	// ctx bounds all calls; pace is the time between two batches of a submitter.
	ctx  context.Context
	pace time.Duration
	// meddles is the chance of a cancel after each batch, and of a retry.
	meddles float64
	stop    chan struct{} // closed: submit no more
	wg      sync.WaitGroup
}

// Bounds of the mix.
const (
	loadBatch    = 5                      // tasks a call, at most
	loadCall     = 5 * time.Second        // of one call, before it counts as unknown
	loadBackoff  = 100 * time.Millisecond // before a retry of a failed attempt
	meddleChance = 0.10                   // of a cancel after each batch, and of a retry
	parentChance = 0.3
	repeatChance = 0.5 // to repeat a submit of unknown outcome until it is known
)

func newLoad(ctx context.Context, l *link, b *book, pace time.Duration) *load {
	return &load{l: l, book: b, ctx: ctx, pace: pace, meddles: meddleChance, stop: make(chan struct{})}
}

// start starts submitters, each with its own choices.
func (x *load) start(submitters int, r *rand.Rand) {
	for n := range submitters {
		r := apart(r)
		x.wg.Go(func() { x.submitter(n, r) })
	}
}

// end has the submitters finish, and waits for them.
func (x *load) end() {
	close(x.stop)
	x.wg.Wait()
}

func (x *load) submitter(n int, r *rand.Rand) {
	pace := time.NewTicker(x.pace)
	defer pace.Stop()
	var parents []string // of its own, acknowledged
	for batch := 0; ; batch++ {
		select {
		case <-x.stop:
			return
		case <-x.ctx.Done():
			return
		case <-pace.C:
		}
		tasks := x.batch(fmt.Sprintf("s%d.%d", n, batch), parents, r)
		if x.submit(tasks, r) == nil {
			parents = append(parents, tasks[len(tasks)-1].GetId())
			parents = parents[max(0, len(parents)-10):]
		}
		x.meddle(r)
	}
}

// batch makes tasks; later ones may depend on earlier ones and on parents.
func (x *load) batch(name string, parents []string, r *rand.Rand) []*stintv1.Task {
	var tasks []*stintv1.Task
	for i := range 1 + r.IntN(loadBatch) {
		one := task(fmt.Sprintf("%s.%d", name, i), attempts(4))
		one.Retry.InitialBackoff = durationpb.New(loadBackoff)
		one.Retry.MaxBackoff = durationpb.New(2 * loadBackoff)
		if len(parents) > 0 && r.Float64() < parentChance {
			one.DependsOn = []string{parents[r.IntN(len(parents))]}
			one.OnDependencyFailure = stintv1.OnDependencyFailure(r.IntN(3)) // unset, CANCEL or RUN: WAIT might never end
		}
		tasks = append(tasks, one)
		parents = append(parents[:len(parents):len(parents)], one.GetId())
	}
	return tasks
}

// submit repeats a call of unknown outcome until it is known, or leaves it at that.
func (x *load) submit(tasks []*stintv1.Task, r *rand.Rand) error {
	for {
		ctx, cancel := context.WithTimeout(x.ctx, loadCall)
		var err error
		if len(tasks) == 1 {
			_, err = x.l.tasks.SubmitTask(ctx, &stintv1.SubmitTaskRequest{Task: tasks[0]}, patient)
		} else {
			_, err = x.l.tasks.SubmitTasks(ctx, &stintv1.SubmitTasksRequest{Tasks: tasks}, patient)
		}
		cancel()
		x.book.submit(err, tasks...)
		if verdictOf(err) != unknown || x.ctx.Err() != nil || r.Float64() >= repeatChance {
			return err
		}
	}
}

// meddle cancels or retries a task of anybody's now and then. What was answered does not matter: the history tells what it
// did, and whether it was allowed.
func (x *load) meddle(r *rand.Rand) {
	ctx, cancel := context.WithTimeout(x.ctx, loadCall)
	defer cancel()
	if id := x.book.pick(1 + r.IntN(50)); id != "" && r.Float64() < x.meddles {
		x.book.change(x.book.cancelled, id)
		_, _ = x.l.tasks.CancelTask(ctx, &stintv1.CancelTaskRequest{TaskId: id, Reason: "chance"}, patient)
	}
	if id := x.book.pick(1 + r.IntN(50)); id != "" && r.Float64() < x.meddles {
		x.book.change(x.book.retried, id)
		_, _ = x.l.tasks.RetryTask(ctx, &stintv1.RetryTaskRequest{TaskId: id}, patient)
	}
}

// terminalAll waits until every task that a client knows to exist has ended.
func (x *load) terminalAll(ctx context.Context, t *testing.T) {
	t.Helper()
	for {
		n := x.l.status(t).GetCounts()
		left := n.GetBlocked() + n.GetScheduled() + n.GetReady() + n.GetRunning()
		if left == 0 {
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("not all ended in time: %v", n)
		}
		x.awaitOne(ctx, t)
	}
}

// awaitOne waits for the end of some task that has not ended.
func (x *load) awaitOne(ctx context.Context, t *testing.T) {
	t.Helper()
	states := []stintv1.TaskState{stintv1.TaskState_TASK_STATE_BLOCKED, stintv1.TaskState_TASK_STATE_SCHEDULED,
		stintv1.TaskState_TASK_STATE_READY, stintv1.TaskState_TASK_STATE_RUNNING}
	resp, err := x.l.tasks.ListTasks(ctx, &stintv1.ListTasksRequest{Filter: &stintv1.TaskFilter{States: states}, PageSize: 1}, patient)
	if err != nil || len(resp.GetTasks()) == 0 {
		return
	}
	if _, err = x.l.tasks.WaitTask(ctx, &stintv1.WaitTaskRequest{TaskId: resp.GetTasks()[0].GetId()}, patient); err != nil && ctx.Err() == nil {
		t.Errorf("wait: %v", err)
	}
}
