package client

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
)

// refusal is an error as a coordinator sends it.
func refusal(code codes.Code, reason, message string, more ...protoadapt.MessageV1) error {
	details := append([]protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: "stint.dev"}}, more...)
	s, err := status.New(code, message).WithDetails(details...)
	if err != nil {
		panic(err)
	}
	return s.Err()
}

// An error is one line: what was tried, the reason, the fields, the remedy, and when to try again.
func TestFailuresAreOneLine(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"not found": {
			refusal(codes.NotFound, "TASK_NOT_FOUND", `task "x" does not exist`),
			`client: get task x: TASK_NOT_FOUND: task "x" does not exist; stint-agent list shows the tasks there are`,
		},
		"fields": {
			refusal(codes.InvalidArgument, "FIELD_INVALID", "the request is malformed", &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
				{Field: "task_id", Description: "does not match\nthe id pattern"}, {Field: "run", Description: "must be >= 0"}}}),
			"client: get task x: FIELD_INVALID: the request is malformed; task_id: does not match the id pattern; run: must be >= 0",
		},
		"fields that the message has": {
			refusal(codes.InvalidArgument, "FIELD_INVALID", "run: must be >= 0", &errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
				{Field: "run", Description: "must be >= 0"}}}),
			"client: get task x: FIELD_INVALID: run: must be >= 0",
		},
		"precondition": {
			refusal(codes.FailedPrecondition, "DEPENDENCY_NOT_FOUND", "a dependency is missing", &errdetails.PreconditionFailure{
				Violations: []*errdetails.PreconditionFailure_Violation{{Type: "TASK", Subject: "a", Description: "no such task"}}}),
			"client: get task x: DEPENDENCY_NOT_FOUND: a dependency is missing; a: no such task",
		},
		"quota and delay": {
			refusal(codes.ResourceExhausted, "QUEUE_FULL", "10000000 live tasks", &errdetails.QuotaFailure{
				Violations: []*errdetails.QuotaFailure_Violation{{Subject: "live tasks", Description: "limit 10000000"}}},
				&errdetails.RetryInfo{RetryDelay: durationpb.New(2 * time.Second)}),
			"client: get task x: QUEUE_FULL: 10000000 live tasks; live tasks: limit 10000000; try again in 2s",
		},
		"control characters": {
			refusal(codes.Internal, "INTERNAL", "a\x1b[2Jb\nc"),
			"client: get task x: INTERNAL: a[2Jb c",
		},
		"shutting down": {
			refusal(codes.Unavailable, "SHUTTING_DOWN", "the coordinator is leaving"),
			"client: get task x: SHUTTING_DOWN: the coordinator is leaving; try again, or give another address with --coordinator",
		},
		"too slow": {
			status.Error(codes.DeadlineExceeded, "context deadline exceeded"),
			"client: get task x: no answer from 127.0.0.1:7070 in time: see whether the address is right and the coordinator there is well",
		},
		"broken connection": {
			status.Error(codes.Unavailable, "error reading from server: EOF"),
			"client: get task x: the connection to 127.0.0.1:7070 broke (EOF): try again",
		},
		"other server": {
			status.Error(codes.Unimplemented, "unknown service stint.v1.TaskService"),
			"client: get task x: the server at 127.0.0.1:7070 does not know this call: give the address of a stint coordinator of this version with --coordinator",
		},
		"too large": {
			status.Error(codes.ResourceExhausted, "grpc: received message larger than max (9 vs. 4)"),
			"client: get task x: an answer or request is too large (grpc: received message larger than max (9 vs. 4)): ask for less at once",
		},
		"unknown": {
			status.Error(codes.DataLoss, "odd"),
			"client: get task x: DataLoss from 127.0.0.1:7070: odd",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, map[string][]reply{"GetTask": {fails(tc.err)}}, nil)
			if err := b.Get(t.Context(), "x"); err == nil || err.Error() != tc.want {
				t.Errorf("got  %v\nwant %v", err, tc.want)
			}
		})
	}
}

// Where the answer to a change was lost, the error says that the change may have happened; where nothing was sent or the
// coordinator refused, it doesn't.
func TestLostAnswerOfAChangeIsToldAsUnknown(t *testing.T) {
	for _, tc := range []struct {
		err     error
		unknown bool
	}{
		{status.Error(codes.Unavailable, "error reading from server: EOF"), true},
		{status.Error(codes.DeadlineExceeded, "context deadline exceeded"), true},
		{status.Error(codes.Unavailable, "connection error: error while dialing: refused"), false},
		{refusal(codes.Unavailable, "SHUTTING_DOWN", "leaving"), false},
		{refusal(codes.NotFound, "QUEUE_NOT_FOUND", "no such queue"), false},
	} {
		b := newBench(t, map[string][]reply{"PauseQueue": {fails(tc.err)}}, nil)
		err := b.Pause(t.Context(), "q")
		if got := err != nil && strings.Contains(err.Error(), "is unknown"); got != tc.unknown {
			t.Errorf("%v: told as unknown %v, want %v: %v", tc.err, got, tc.unknown, err)
		}
	}
}

// An interrupt is told as one, whatever the call made of it.
func TestInterruptIsNoFailure(t *testing.T) {
	b := newBench(t, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, err := range map[string]error{
		"get":    b.Get(ctx, "x"),
		"cancel": b.Cancel(ctx, []string{"x"}, ""),
		"watch":  b.Watch(ctx, WatchSpec{}),
		"follow": b.Follow(ctx, false),
		"wait":   b.Wait(ctx, []string{"x"}, 0),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", name, err)
		}
	}
}

// silentAddress answers an address on which nobody listens.
func silentAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Without a coordinator the error says how to get one.
func TestNoCoordinator(t *testing.T) {
	address := silentAddress(t)
	conn, err := Dial(address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	err = New(conn, Options{Coordinator: address}).Get(t.Context(), "x")
	want := "client: get task x: no coordinator at " + address + " (connection refused): start one with stint-coordinator or give --coordinator"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %v", err, want)
	}
}

// A read is repeated if the contract says so or no answer came, and not before the delay asked for.
func TestAgain(t *testing.T) {
	for _, tc := range []struct {
		err    error
		repeat bool
		after  time.Duration
	}{
		{nil, false, 0},
		{errors.New("client: write answer: broken pipe"), false, 0},
		{refusal(codes.NotFound, "TASK_NOT_FOUND", ""), false, 0},
		{refusal(codes.Unavailable, "SHUTTING_DOWN", ""), true, 0},
		{refusal(codes.ResourceExhausted, "TOO_MANY_WAITS", "", &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)}), true, time.Second},
		{&failure{err: status.Error(codes.Unavailable, "")}, true, 0},
		{status.Error(codes.DeadlineExceeded, "context deadline exceeded"), true, 0},
	} {
		if after, repeat := again(tc.err); repeat != tc.repeat || after != tc.after {
			t.Errorf("%v: got %v %v, want %v %v", tc.err, after, repeat, tc.after, tc.repeat)
		}
	}
}
