package server

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// parentResult is the number of the field ParentResult.result.
var parentResult = (&stintv1.ParentResult{}).ProtoReflect().Descriptor().Fields().ByName("result").Number()

// grantedLease translates a lease. The task of a first run is as it was submitted, so its
// stored bytes go out as they are: a grant decodes and encodes nothing.
func grantedLease(l *engine.Lease) (*stintv1.Lease, error) {
	out := &stintv1.Lease{LeaseId: l.ID, Attempt: l.Attempt, Run: l.Run, ExpiresIn: durationpb.New(l.Left)}
	for _, p := range l.Parents {
		out.Parents = append(out.Parents, shownParent(p))
	}
	if l.Run <= 1 {
		out.ProtoReflect().SetUnknown(asField(leaseTask, l.Payload))
		return out, nil
	}
	out.Task = &stintv1.Task{}
	if err := proto.Unmarshal(l.Payload, out.Task); err != nil {
		return nil, fmt.Errorf("server: stored task %q: %w", l.TaskID, err)
	}
	ofThisRun(out.Task, l.Status)
	return out, nil
}

// shownParent translates a task that a leased one depends on. Its result goes out as it is
// stored, like the task itself.
func shownParent(p engine.Parent) *stintv1.ParentResult {
	out := &stintv1.ParentResult{TaskId: p.ID, State: stintv1.TaskState(p.State), Failure: shownFailure(p.Failure)}
	if p.State == queue.Completed {
		out.ProtoReflect().SetUnknown(asField(parentResult, p.Result))
	}
	return out
}

// asField is an encoded message as a field of another.
func asField(n protowire.Number, encoded []byte) []byte {
	raw := make([]byte, 0, protowire.SizeTag(n)+protowire.SizeBytes(len(encoded)))
	return protowire.AppendBytes(protowire.AppendTag(raw, n, protowire.BytesType), encoded)
}

func grantedLeases(leases []engine.Lease) ([]*stintv1.Lease, error) {
	out := make([]*stintv1.Lease, len(leases))
	for i := range leases {
		var err error
		if out[i], err = grantedLease(&leases[i]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func shownAck(a engine.ReportAck) *stintv1.ReportAck {
	return &stintv1.ReportAck{
		LeaseId: a.LeaseID, Outcome: stintv1.ReportOutcome(a.Ack),
		Reason: stintv1.LeaseEndReason(a.End), Message: a.Message,
	}
}

func shownExtended(o engine.ExtendOutcome) *stintv1.ExtendLeaseOutcome {
	return &stintv1.ExtendLeaseOutcome{
		LeaseId: o.LeaseID, Extended: o.Extended, ExpiresIn: span(o.Left), Reason: stintv1.LeaseEndReason(o.End),
	}
}

func shownReleased(o engine.ReleaseOutcome) *stintv1.ReleaseLeaseOutcome {
	return &stintv1.ReleaseLeaseOutcome{LeaseId: o.LeaseID, Released: o.Released, Reason: stintv1.LeaseEndReason(o.End)}
}
