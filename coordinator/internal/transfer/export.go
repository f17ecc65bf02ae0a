package transfer

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// exportBuffer is what is written at once, in bytes.
const exportBuffer = 256 << 10

// ExportLedger writes every task of a ledger that the caller leads, a line each, newest first,
// and gives their number. It changes nothing, and holds a few tasks at a time.
func ExportLedger(ctx context.Context, l ledger.Ledger, to io.Writer) (int, error) {
	b := bufio.NewWriterSize(to, exportBuffer)
	w := newLiner(b)
	q := ledger.Query{
		Limit: exportChunk, Examine: exportExamine, Payload: true, Result: true, History: true,
		Now: queue.Instant(time.Now().UnixMicro()),
	}
	for {
		page, err := l.List(ctx, q)
		if err != nil {
			return w.n, fmt.Errorf("transfer: list tasks: %w", err)
		}
		for _, t := range page.Tasks {
			task, err := stored(t)
			if err == nil {
				err = w.write(task, ownDigest(t, task.GetStatus().GetRun()))
			}
			if err != nil {
				return w.n, err
			}
		}
		if page.Cursor == nil {
			return w.n, b.Flush()
		}
		q.Cursor = page.Cursor
	}
}

// ExportCoordinator writes every task of a running coordinator like ExportLedger, but for their
// digests, which it does not tell. Tasks that change meanwhile are shown in their older or newer
// state; those submitted meanwhile may lack.
func ExportCoordinator(ctx context.Context, conn grpc.ClientConnInterface, to io.Writer) (int, error) {
	return exportTasks(ctx, stintv1.NewTaskServiceClient(conn), to)
}

func exportTasks(ctx context.Context, c stintv1.TaskServiceClient, to io.Writer) (int, error) {
	b := bufio.NewWriterSize(to, exportBuffer)
	w := newLiner(b)
	r := &stintv1.ListTasksRequest{View: stintv1.TaskView_TASK_VIEW_FULL, PageSize: exportPage}
	for {
		page, err := c.ListTasks(ctx, r)
		if err != nil {
			return w.n, fmt.Errorf("transfer: list tasks of the coordinator: %w", err)
		}
		for _, t := range page.GetTasks() {
			if err := w.write(t, ""); err != nil {
				return w.n, err
			}
		}
		if page.GetNextPageToken() == "" {
			return w.n, b.Flush()
		}
		r.PageToken = page.GetNextPageToken()
	}
}

// stored shows a task of a ledger as far as a line has room for it.
func stored(t *ledger.Task) (*stintv1.Task, error) {
	out := &stintv1.Task{}
	if err := proto.Unmarshal(t.Spec.Payload, out); err != nil {
		return nil, fmt.Errorf("transfer: stored task %q: %w", t.Spec.ID, err)
	}
	attempts := t.Attempts
	var s queue.Status
	out.Status = &stintv1.TaskStatus{}
	if t.Live != nil {
		s = t.Live.Status
		if g := t.Live.Grant; s.State == queue.Running {
			attempts = append(attempts, queue.Attempt{Number: s.Attempt, Agent: g.Agent})
		}
	} else {
		s = t.Terminal.Status
		if f := t.Terminal.Final; f.Number > newest(attempts) {
			attempts = append(attempts, f)
		}
		if err := ended(t, out.Status); err != nil {
			return nil, err
		}
	}
	if s.Run > 1 { // a retry drops or replaces the times that were submitted
		out.NotBefore, out.ExpireTime = stamp(s.NotBefore), stamp(s.ExpireTime)
	}
	out.Status.State, out.Status.Run = stintv1.TaskState(s.State), s.Run
	out.Status.CreateTime, out.Status.StartTime, out.Status.FinishTime = stamp(s.Create), stamp(s.Start), stamp(s.Finish)
	for _, a := range attempts {
		out.Status.Attempts = append(out.Status.Attempts, &stintv1.Attempt{
			Attempt: a.Number, AgentId: a.Agent, Outcome: stintv1.AttemptOutcome(a.Outcome),
		})
	}
	return out, nil
}

// ownDigest is the stored digest where the content in the line has another: a queue's defaults,
// or a retry, changed what was submitted. Empty: it need not be told.
func ownDigest(t *ledger.Task, run int32) string {
	if run <= 1 && queue.DigestOf(t.Spec.Payload) == t.Spec.Digest {
		return ""
	}
	return hex.EncodeToString(t.Spec.Digest[:])
}

func newest(attempts []queue.Attempt) (n int32) {
	for i := range attempts {
		n = max(n, attempts[i].Number)
	}
	return n
}

// ended shows the result or failure of a terminal task.
func ended(t *ledger.Task, s *stintv1.TaskStatus) error {
	if t.Terminal.Status.State == queue.Completed {
		s.Result = &stintv1.Result{}
		if err := proto.Unmarshal(t.Terminal.Result, s.Result); err != nil {
			return fmt.Errorf("transfer: stored result of task %q: %w", t.Spec.ID, err)
		}
		return nil
	}
	f := t.Terminal.Failure
	s.Failure = &stintv1.Failure{
		FailureClass: stintv1.FailureClass(f.Class), Message: f.Message, HttpStatus: f.HTTPStatus,
	}
	if f.RetryAfter != 0 {
		s.Failure.RetryAfter = durationpb.New(f.RetryAfter)
	}
	if f.HasCost {
		s.Failure.BudgetUsedUsd = proto.Float64(float64(f.Cost) / 1e6)
	}
	return nil
}

func stamp(i queue.Instant) *timestamppb.Timestamp {
	if i == 0 {
		return nil
	}
	return timestamppb.New(time.UnixMicro(int64(i)))
}
