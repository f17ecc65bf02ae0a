package client

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

func waited(task *stintv1.Task) reply { return ok(&stintv1.WaitTaskResponse{Task: task}) }

// Wait asks again while the task is not terminal, and through a coordinator that goes away or asks for patience.
func TestWaitGoesOn(t *testing.T) {
	patience := refusal(codes.ResourceExhausted, "TOO_MANY_WAITS", "64 wait", &errdetails.RetryInfo{RetryDelay: durationpb.New(20 * time.Second)})
	b := newBench(t, map[string][]reply{
		"GetTask":  {ok(&stintv1.GetTaskResponse{Task: running()})},
		"WaitTask": {waited(running()), lost(), fails(patience), waited(completed())},
	}, nil)
	if err := b.Wait(t.Context(), []string{"rivers"}, 0); err != nil {
		t.Fatal(err)
	}
	for i, req := range asked[*stintv1.WaitTaskRequest](b) {
		if req.GetTimeout().AsDuration() != waitTimeout {
			t.Errorf("call %d asks to wait %v, want %v", i, req.GetTimeout().AsDuration(), waitTimeout)
		}
	}
	if len(b.slept) != 2 || b.slept[0] > maxPause || b.slept[1] < 20*time.Second {
		t.Errorf("paused %v, want two pauses, the second as long as asked for", b.slept)
	}
}

// A terminal task is not waited for, and a missing one is told at once.
func TestWaitLooksFirst(t *testing.T) {
	b := newBench(t, map[string][]reply{"GetTask": {
		ok(&stintv1.GetTaskResponse{Task: completed()}),
		fails(refusal(codes.NotFound, "TASK_NOT_FOUND", "no such task")),
	}}, nil)
	err := b.Wait(t.Context(), []string{"rivers", "gone"}, 0)
	if err == nil || !strings.Contains(err.Error(), "wait for task gone: TASK_NOT_FOUND") {
		t.Errorf("got %v, want TASK_NOT_FOUND of gone", err)
	}
	if n := len(asked[*stintv1.WaitTaskRequest](b)); n != 0 {
		t.Errorf("%d waits, want none", n)
	}
}

// A timeout bounds all tasks together; the coordinator is never asked to wait longer than what is left.
func TestWaitTimeout(t *testing.T) {
	clock := now
	b := newBench(t, map[string][]reply{
		"GetTask":  {ok(&stintv1.GetTaskResponse{Task: running()})},
		"WaitTask": {waited(running())},
	}, func(o *Options) {
		o.Now = func() time.Time { clock = clock.Add(20 * time.Second); return clock }
	})
	err := b.Wait(t.Context(), []string{"busy"}, 70*time.Second)
	if err == nil || err.Error() != "client: wait: not completed: busy is RUNNING; stint-agent explain tells why" {
		t.Errorf("got %v", err)
	}
	var asks []time.Duration
	for _, req := range asked[*stintv1.WaitTaskRequest](b) {
		asks = append(asks, req.GetTimeout().AsDuration())
	}
	if len(asks) != 3 || asks[0] != 50*time.Second || asks[1] != 30*time.Second || asks[2] != 10*time.Second {
		t.Errorf("asked to wait %v, want 50s, 30s, 10s", asks)
	}
}

// Time that runs out while the coordinator is away ends the pause, and the task is judged by one more look.
func TestWaitLooksOnceMoreInTheEnd(t *testing.T) {
	clock := now
	patience := refusal(codes.ResourceExhausted, "TOO_MANY_WAITS", "64 wait", &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Minute)})
	var slept time.Duration
	b := newBench(t, map[string][]reply{
		"GetTask":  {ok(&stintv1.GetTaskResponse{Task: running()}), ok(&stintv1.GetTaskResponse{Task: completed()})},
		"WaitTask": {fails(patience)},
	}, func(o *Options) {
		o.Now = func() time.Time { return clock }
		o.Sleep = func(_ context.Context, d time.Duration) error { slept += d; clock = clock.Add(d); return nil }
	})
	if err := b.Wait(t.Context(), []string{"rivers"}, 20*time.Second); err != nil || slept != 20*time.Second {
		t.Errorf("got %v after a pause of %v; want the task, which has completed, after 20 s", err, slept)
	}
}

// A timeout that can't be is refused before anything is asked.
func TestNegativeTimeouts(t *testing.T) {
	b := newBench(t, nil, nil)
	for _, err := range []error{b.Wait(t.Context(), []string{"x"}, -1), b.Drain(t.Context(), "x", -1)} {
		if err == nil || !strings.Contains(err.Error(), "timeout -1ns is negative; give 0s") {
			t.Errorf("got %v", err)
		}
	}
	if len(b.fake.asked) != 0 {
		t.Errorf("asked %v", b.fake.asked)
	}
}
