package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

func lost() reply { return fails(status.Error(codes.Unavailable, "error reading from server: EOF")) }

// progress is a coordinator that works off five tasks, goes away once in the middle, and fails one task.
func progress() map[string][]reply {
	counts := func(n *stintv1.TaskCounts) reply { return ok(standing(n)) }
	return map[string][]reply{
		"GetStatus": {
			counts(&stintv1.TaskCounts{Submitted: 6, Pruned: 1, Blocked: 1, Ready: 3, Running: 1}),
			counts(&stintv1.TaskCounts{Submitted: 6, Pruned: 1, Blocked: 1, Ready: 3, Running: 1}),
			lost(),
			counts(&stintv1.TaskCounts{Submitted: 6, Pruned: 1, Ready: 2, Completed: 3}),
			counts(&stintv1.TaskCounts{Submitted: 6, Pruned: 1, Completed: 4, Failed: 1}),
		},
		"ListTasks": {
			ok(&stintv1.ListTasksResponse{Tasks: []*stintv1.Task{running()}}),
			ok(&stintv1.ListTasksResponse{Tasks: []*stintv1.Task{running()}}),
			ok(&stintv1.ListTasksResponse{Tasks: []*stintv1.Task{failed()}}),
		},
	}
}

// Follow ends when nothing is left, tells changes alone where it can't redraw, redraws in place where it can, and lives
// through a coordinator that goes away.
func TestFollow(t *testing.T) {
	const columns = 30
	narrow := func() int { return columns }
	for name, change := range map[string]func(*Options){
		"follow-lines":    func(*Options) {},
		"follow-terminal": func(o *Options) { o.Width = narrow },
		"follow-json":     func(o *Options) { o.JSON, o.Width = true, narrow },
	} {
		t.Run(name, func(t *testing.T) {
			script := progress()
			if name != "follow-terminal" {
				script["ListTasks"] = script["ListTasks"][2:]
			}
			b := newBench(t, script, change)
			err := b.Follow(t.Context(), false)
			golden(t, name, b, err)
			if name == "follow-terminal" {
				drawn, _, _ := strings.Cut(b.out.String(), "FAILED TASK")
				for line := range strings.Lines(drawn) {
					if _, after, found := strings.Cut(line, wipe); found {
						line = after
					}
					if n := len([]rune(strings.TrimSuffix(line, "\n"))); n >= columns {
						t.Errorf("a line of %d wraps on %d columns: %q", n, columns, line)
					}
				}
			}
		})
	}
}

// With forever, an end is no reason to stop; only ctx is.
func TestFollowForever(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	looks := 0
	b := newBench(t, map[string][]reply{"GetStatus": {ok(standing(&stintv1.TaskCounts{}))}}, func(o *Options) {
		rest := o.Sleep
		o.Sleep = func(ctx context.Context, d time.Duration) error {
			if looks++; looks == 3 {
				cancel()
			}
			return rest(ctx, d)
		}
	})
	if err := b.Follow(ctx, true); !errors.Is(err, context.Canceled) || looks != 3 {
		t.Errorf("got %v after %d looks, want context.Canceled after 3", err, looks)
	}
}

// A coordinator that was never there is no reason to wait for it.
func TestFollowNeedsACoordinatorFirst(t *testing.T) {
	b := newBench(t, map[string][]reply{"GetStatus": {lost()}}, nil)
	if err := b.Follow(t.Context(), true); err == nil || len(b.slept) != 0 {
		t.Errorf("got %v after %d pauses, want an error at once", err, len(b.slept))
	}
}

// The bar is full only when nothing is left.
func TestDoneText(t *testing.T) {
	for _, tc := range []struct {
		counts *stintv1.TaskCounts
		text   string
		bar    string
	}{
		{&stintv1.TaskCounts{}, "0/0 done (100%)", "[##########]"},
		{&stintv1.TaskCounts{Submitted: 4, Ready: 4}, "0/4 done (0%)", "[----------]"},
		{&stintv1.TaskCounts{Submitted: 1000, Ready: 1, Completed: 900, Cancelled: 99}, "999/1000 done (99%)", "[#########-]"},
		{&stintv1.TaskCounts{Submitted: 5, Pruned: 3, Completed: 1, Quarantined: 1}, "2/2 done (100%)", "[##########]"},
	} {
		if got := doneText(tc.counts); got != tc.text {
			t.Errorf("%v: got %q, want %q", tc.counts, got, tc.text)
		}
		if got := bar(tc.counts, 20); got != tc.bar {
			t.Errorf("%v: got %q, want %q", tc.counts, got, tc.bar)
		}
	}
}
