package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// dialling stands in an error of gRPC when no connection was had, and so nothing was sent.
const dialling = "while dialing"

// errStreamEnded stands for a stream that the coordinator closed without an error: as good a reason to come back as a
// broken connection.
var errStreamEnded = status.Error(codes.Unavailable, "the stream ended")

// failure is a call that failed, as a person reads it: one line. It wraps the error of the call.
type failure struct {
	what   string // what was tried, as in "get task a"
	why    string // reason and fields
	remedy string // begins with what separates it from why; may be empty
	err    error
}

// Error begins with the package and has no line breaks or control characters.
func (f *failure) Error() string { return "client: " + f.what + ": " + f.why + f.remedy }

// Unwrap answers the error of the call, a gRPC status.
func (f *failure) Unwrap() error { return f.err }

// cause is err without the remedy, for where the program itself applies it.
func cause(err error) string {
	if f := (*failure)(nil); errors.As(err, &f) {
		return f.what + ": " + f.why
	}
	return err.Error()
}

// failed turns the error of a call into a line for people. Once ctx has ended the cause is an interrupt, not the coordinator.
func (c *Client) failed(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return &failure{what: oneLine(what), why: "interrupted", err: ctx.Err()}
	}
	s := status.Convert(err)
	d := detailsOf(s)
	why, remedy := d.explain(s)
	if d.info == nil {
		why, remedy = transport(c.opts.Coordinator, s)
	}
	return &failure{what: oneLine(what), why: oneLine(why), remedy: remedy, err: err}
}

// details are those parts of an error that stint sends.
type details struct {
	info   *errdetails.ErrorInfo // nil: the error is not a coordinator's but came about on the way
	fields []string              // "path: what is wrong"
	delay  time.Duration
	repeat bool // the error says when to try again
}

func detailsOf(s *status.Status) details {
	var d details
	for _, detail := range s.Details() {
		switch m := detail.(type) {
		case *errdetails.ErrorInfo:
			d.info = m
		case *errdetails.RetryInfo:
			d.repeat, d.delay = true, m.GetRetryDelay().AsDuration()
		case *errdetails.BadRequest:
			for _, v := range m.GetFieldViolations() {
				d.add(s, v.GetField(), v.GetDescription())
			}
		case *errdetails.PreconditionFailure:
			for _, v := range m.GetViolations() {
				d.add(s, v.GetSubject(), v.GetDescription())
			}
		case *errdetails.QuotaFailure:
			for _, v := range m.GetViolations() {
				d.add(s, v.GetSubject(), v.GetDescription())
			}
		}
	}
	return d
}

// add takes in one violation, unless the message of the error says it already.
func (d *details) add(s *status.Status, where, what string) {
	if what != "" && strings.Contains(s.Message(), what) {
		return
	}
	d.fields = append(d.fields, strings.TrimPrefix(where+": "+what, ": "))
}

// explain puts a coordinator's error in words for one line.
func (d *details) explain(s *status.Status) (why, remedy string) {
	why = d.info.GetReason() + ": " + strings.TrimPrefix(s.Message(), d.info.GetReason()+": ")
	for _, field := range d.fields {
		why += "; " + field
	}
	if known := remedies[d.info.GetReason()]; known != "" {
		remedy = "; " + known
	}
	if d.repeat {
		remedy += "; try again in " + d.delay.String()
	}
	return why, remedy
}

// remedies are those that lie in this program and that a coordinator can't know of.
var remedies = map[string]string{
	"TASK_NOT_FOUND":  "stint-agent list shows the tasks there are",
	"QUEUE_NOT_FOUND": "stint-agent queue list shows the queues there are",
	"AGENT_NOT_FOUND": "stint-agent agents shows the agents there are",
	"ETAG_MISMATCH":   "stint-agent queue show tells its settings and its etag now",
	"SHUTTING_DOWN":   "try again, or give another address with --coordinator",
}

// transport explains an error that no coordinator sent.
func transport(coordinator string, s *status.Status) (why, remedy string) {
	switch s.Code() {
	case codes.Unavailable:
		return unavailable(coordinator, s.Message())
	case codes.DeadlineExceeded:
		return fmt.Sprintf("no answer from %s in time", coordinator), ": see whether the address is right and the coordinator there is well"
	case codes.Unimplemented:
		return fmt.Sprintf("the server at %s does not know this call", coordinator), ": give the address of a stint coordinator of this version with --coordinator"
	case codes.ResourceExhausted:
		return fmt.Sprintf("an answer or request is too large (%s)", s.Message()), ": ask for less at once"
	default:
		return fmt.Sprintf("%s from %s: %s", s.Code(), coordinator, s.Message()), ""
	}
}

func unavailable(coordinator, message string) (why, remedy string) {
	detail := strings.Trim(message[strings.LastIndex(message, ": ")+1:], ` "`)
	switch {
	case strings.Contains(message, "server preface"):
		return fmt.Sprintf("the server at %s does not speak gRPC (%s)", coordinator, detail), ": give the gRPC address of a coordinator with --coordinator"
	case strings.Contains(message, dialling):
		return fmt.Sprintf("no coordinator at %s (%s)", coordinator, detail), ": start one with stint-coordinator or give --coordinator"
	default:
		return fmt.Sprintf("the connection to %s broke (%s)", coordinator, detail), ": try again"
	}
}

// again answers whether a failed read may be repeated as it is, and how long the coordinator asks to wait first.
func again(err error) (time.Duration, bool) {
	s, ok := status.FromError(err)
	if !ok {
		return 0, false
	}
	d := detailsOf(s)
	slow := s.Code() == codes.DeadlineExceeded && d.info == nil
	return d.delay, d.repeat || slow || s.Code() == codes.Unavailable
}

// unsure answers whether the call may have taken effect although it failed: the answer was lost, not the call.
func (f *failure) unsure() bool {
	s := status.Convert(f.err)
	if detailsOf(s).info != nil {
		return false
	}
	return errors.Is(f.err, context.Canceled) || s.Code() == codes.DeadlineExceeded || (s.Code() == codes.Unavailable && !strings.Contains(s.Message(), dialling))
}
