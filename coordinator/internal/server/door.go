package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// domain is that of every ErrorInfo.
const domain = "stint.dev"

// judge is the door: every error of a handler or interceptor passes here, and becomes a refusal
// with a reason of the contract. It is false for what gRPC itself answers, and for a caller who
// has gone.
func judge(err error) (*refusal, bool) {
	var own *refusal
	var core *queue.Error
	var seq *engine.SequenceError
	var slow *engine.TooSlowError
	switch {
	case errors.As(err, &own):
		return own, true
	case errors.As(err, &core):
		return ofCore(core), true
	case errors.As(err, &seq):
		return ofSequence(seq), true
	case errors.As(err, &slow):
		return watcherTooSlow(slow.ResumeAfter), true
	case errors.Is(err, engine.ErrStopping):
		return &refusal{reason: stintv1.ErrorReason_ERROR_REASON_SHUTTING_DOWN}, true
	case errors.Is(err, engine.ErrReplaced):
		return &refusal{reason: stintv1.ErrorReason_ERROR_REASON_SESSION_REPLACED}, true
	case errors.Is(err, engine.ErrTooSlow):
		return &refusal{reason: stintv1.ErrorReason_ERROR_REASON_SESSION_TOO_SLOW}, true
	case errors.Is(err, ledger.ErrCursor):
		return badToken(), true
	case errors.Is(err, engine.ErrFailed):
		return internal(), true
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), fromGRPC(err):
		return nil, false
	}
	return internal(), true
}

// fromGRPC tells whether the error is a status already: the transport's, or that of a service
// that is not ours.
func fromGRPC(err error) bool {
	_, ok := status.FromError(err)
	return ok
}

func internal() *refusal { return &refusal{reason: stintv1.ErrorReason_ERROR_REASON_INTERNAL} }

func badToken() *refusal {
	row := reasons[stintv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID]
	return refuseField(stintv1.ErrorReason_ERROR_REASON_PAGE_TOKEN_INVALID, "page_token", "%s", row.text)
}

func watcherTooSlow(resume int64) *refusal {
	return &refusal{
		reason:   stintv1.ErrorReason_ERROR_REASON_WATCHER_TOO_SLOW,
		metadata: map[string]string{"resume_after_sequence": strconv.FormatInt(resume, 10)},
	}
}

// ofCore gives a refusal of the engine its contract reason; the names are the same.
func ofCore(e *queue.Error) *refusal {
	n, ok := stintv1.ErrorReason_value[reasonPrefix+string(e.Reason)]
	if !ok {
		return internal()
	}
	r := &refusal{reason: stintv1.ErrorReason(n), names: e.Names, text: e.Detail, retry: e.RetryAfter}
	named := e.Reason == queue.DependencyCycle // its detail shows the tasks in their order
	if e.Detail != "" && len(e.Names) > 0 && !named {
		r.text = list(e.Names) + ": " + e.Detail
	}
	if e.Field != "" {
		r.fields = []fault{{e.Field, e.Detail}}
		r.text = tell(r.fields)
	}
	return r
}

func ofSequence(e *engine.SequenceError) *refusal {
	r := ofCore(&queue.Error{Reason: e.Reason})
	r.fields = []fault{{"after_sequence", reasons[r.reason].text}}
	r.metadata = map[string]string{
		"oldest_sequence": strconv.FormatInt(e.Oldest, 10),
		"newest_sequence": strconv.FormatInt(e.Newest, 10),
	}
	return r
}

// status gives the refusal the shape in which it leaves.
func (r *refusal) status() *status.Status {
	row, ok := reasons[r.reason]
	if !ok {
		return internal().status()
	}
	text := r.text
	if text == "" {
		text = row.text
		if strings.Contains(text, "%s") {
			text = fmt.Sprintf(text, list(r.names))
		}
	}
	text = cut(text, maxErrorTotal)
	details := []protoadapt.MessageV1{
		protoadapt.MessageV1Of(&errdetails.ErrorInfo{Reason: reasonName(r.reason), Domain: domain, Metadata: r.metadata}),
	}
	if d := r.detail(row, text); d != nil {
		details = append(details, d)
	}
	if row.retry > 0 {
		delay := max(r.retry, 0)
		if delay == 0 {
			delay = row.retry
		}
		details = append(details, protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)}))
	}
	st := status.New(row.code, text)
	if full, err := st.WithDetails(details...); err == nil {
		return full
	}
	return st
}

// detail is what the reason's kind adds to ErrorInfo.
func (r *refusal) detail(row reasonRow, text string) protoadapt.MessageV1 {
	switch row.detail {
	case badField:
		return protoadapt.MessageV1Of(r.badRequest(row, text))
	case precondition:
		v := &errdetails.PreconditionFailure{}
		for _, n := range r.subjects(row) {
			v.Violations = append(v.Violations, &errdetails.PreconditionFailure_Violation{
				Type: reasonName(r.reason), Subject: n, Description: row.subject,
			})
		}
		return protoadapt.MessageV1Of(v)
	case resource:
		return protoadapt.MessageV1Of(&errdetails.ResourceInfo{
			ResourceType: row.subject, ResourceName: r.subjects(row)[0], Description: text,
		})
	case quota:
		return protoadapt.MessageV1Of(&errdetails.QuotaFailure{
			Violations: []*errdetails.QuotaFailure_Violation{{Subject: row.subject, Description: text}},
		})
	}
	return nil
}

// badRequest names the fields, as many as a header takes.
func (r *refusal) badRequest(row reasonRow, text string) *errdetails.BadRequest {
	fields := r.fields
	if len(fields) == 0 {
		fields = []fault{{row.subject, text}}
	}
	b := &errdetails.BadRequest{}
	for left, i := maxErrorTotal, 0; i < len(fields) && left > 0; i++ {
		v := &errdetails.BadRequest_FieldViolation{
			Field: cut(fields[i].path, maxErrorText), Description: cut(fields[i].text, maxErrorText),
			Reason: reasonName(r.reason),
		}
		left -= len(v.Field) + len(v.Description) + len(v.Reason)
		b.FieldViolations = append(b.FieldViolations, v)
	}
	return b
}

// subjects are the names it is about, as many as a header takes; at least one.
func (r *refusal) subjects(row reasonRow) []string {
	if len(r.names) == 0 {
		return []string{row.subject}
	}
	return r.names[:min(len(r.names), maxErrorNames)]
}

// answer says what there is to log of an error, and makes the one that leaves.
func answer(err error) (*refusal, error) {
	r, ours := judge(err)
	if ours {
		return r, r.status().Err()
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return nil, status.FromContextError(err).Err()
	}
	return nil, err
}

// faulty tells whether an error of this reason is a fault of the coordinator.
func (r *refusal) faulty() bool {
	return reasons[r.reason].code == codes.Internal
}

// slow tells whether a stream was cut because its peer did not read.
func (r *refusal) slow() bool {
	return r.reason == stintv1.ErrorReason_ERROR_REASON_SESSION_TOO_SLOW ||
		r.reason == stintv1.ErrorReason_ERROR_REASON_WATCHER_TOO_SLOW
}

// trailer is the metadata once more, for clients that do not read details.
func (r *refusal) trailer() metadata.MD { return metadata.New(r.metadata) }
