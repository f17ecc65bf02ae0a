package server

import (
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// openFields are the fields of a task's retry policy that the submitter left to its queue.
type openFields struct{ attempts, initial, most, unknown bool }

func openRetry(r *stintv1.RetryPolicy) openFields {
	return openFields{
		attempts: r.GetMaxAttempts() == 0, initial: r.GetInitialBackoff() == nil, most: r.GetMaxBackoff() == nil,
		unknown: r.GetUnknownOutcome() == stintv1.UnknownOutcome_UNKNOWN_OUTCOME_UNSPECIFIED,
	}
}

// takeDefaults gives a task what its queue has for the open fields. The digest stays that of the
// content with the general defaults: a verbatim repeat is one also when the queue's have changed.
func (g *ids) takeDefaults(s *queue.Spec, t *stintv1.Task, open openFields) error {
	if g.defaults == nil {
		return nil
	}
	d := g.defaults(s.Queue)
	before := s.Retry
	if open.attempts && d.MaxAttempts > 0 {
		s.Retry.MaxAttempts = d.MaxAttempts
	}
	if open.initial && d.InitialBackoff > 0 {
		s.Retry.InitialBackoff = d.InitialBackoff
	}
	if open.most && d.MaxBackoff > 0 {
		s.Retry.MaxBackoff = d.MaxBackoff
	}
	if open.unknown && d.Unknown > 0 {
		s.Retry.Unknown = d.Unknown
	}
	if s.Retry == before {
		return nil
	}
	t.Retry = shownRetry(s.Retry)
	var err error
	s.Payload, err = canonical(nil, t)
	return err
}

func shownRetry(r queue.Retry) *stintv1.RetryPolicy {
	return &stintv1.RetryPolicy{
		MaxAttempts: r.MaxAttempts, InitialBackoff: durationpb.New(r.InitialBackoff),
		MaxBackoff: durationpb.New(r.MaxBackoff), UnknownOutcome: stintv1.UnknownOutcome(r.Unknown),
	}
}

// retryDefaults translates the policy of a queue; what is unset there has the general default.
func retryDefaults(r *stintv1.RetryPolicy) queue.RetryDefaults {
	return queue.RetryDefaults{
		MaxAttempts: r.GetMaxAttempts(), InitialBackoff: r.GetInitialBackoff().AsDuration(),
		MaxBackoff: r.GetMaxBackoff().AsDuration(), Unknown: queue.UnknownOutcome(r.GetUnknownOutcome()),
	}
}

// shownRetryDefaults translates them back; nil: there are none.
func shownRetryDefaults(d queue.RetryDefaults) *stintv1.RetryPolicy {
	if d == (queue.RetryDefaults{}) {
		return nil
	}
	return &stintv1.RetryPolicy{
		MaxAttempts: d.MaxAttempts, InitialBackoff: span(d.InitialBackoff), MaxBackoff: span(d.MaxBackoff),
		UnknownOutcome: stintv1.UnknownOutcome(d.Unknown),
	}
}
