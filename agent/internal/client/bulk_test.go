package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// A change by filter without a condition is refused here already.
func TestBulkRefusesAnEmptyFilter(t *testing.T) {
	b := newBench(t, nil, nil)
	for _, err := range []error{
		b.CancelMatching(t.Context(), Filter{}, "", true), b.RetryMatching(t.Context(), Filter{}, "", true),
	} {
		if err == nil || !strings.Contains(err.Error(), "filter is empty") {
			t.Errorf("got %v", err)
		}
	}
	if len(b.fake.asked) != 0 {
		t.Errorf("asked %v", b.fake.asked)
	}
}

// All pages are counted before anything is changed; it is changed only with --yes, or if the person who is asked says yes.
func TestBulkIsCareful(t *testing.T) {
	broken := errors.New("ask: no")
	for name, tc := range map[string]struct {
		confirmed bool
		answer    bool
		err       error
		nobody    bool // to ask
		changes   bool
		asks      int
	}{
		"--yes":          {confirmed: true, changes: true},
		"yes":            {answer: true, changes: true, asks: 1},
		"no":             {asks: 1},
		"interrupted":    {err: broken, asks: 1},
		"nobody to ask":  {nobody: true},
		"nobody and yes": {nobody: true, confirmed: true, changes: true},
	} {
		t.Run(name, func(t *testing.T) {
			asks := 0
			b := newBench(t, map[string][]reply{
				"CancelTasks": pages(&stintv1.CancelTasksResponse{Matched: 1000, Changed: 990, NextPageToken: "2"}, &stintv1.CancelTasksResponse{Matched: 5, Changed: 4}),
				"RetryTasks":  pages(&stintv1.RetryTasksResponse{Matched: 1000, Changed: 990, NextPageToken: "2"}, &stintv1.RetryTasksResponse{Matched: 5, Changed: 4}),
			}, func(o *Options) {
				o.Ask = func(_ context.Context, question string) (bool, error) {
					asks++
					if !strings.HasSuffix(question, "994 of the 1005 tasks selected?") {
						t.Errorf("asked %q", question)
					}
					return tc.answer, tc.err
				}
				if tc.nobody {
					o.Ask = nil
				}
			})
			for _, err := range []error{
				b.CancelMatching(t.Context(), Filter{Queue: "q"}, "why", tc.confirmed),
				b.RetryMatching(t.Context(), Filter{Queue: "q"}, "1h", tc.confirmed),
			} {
				if !errors.Is(err, tc.err) {
					t.Error(err)
				}
			}
			if asks != 2*tc.asks {
				t.Errorf("%d questions for two changes", asks)
			}
			for i, req := range asked[*stintv1.CancelTasksRequest](b) {
				want := &stintv1.CancelTasksRequest{Filter: &stintv1.TaskFilter{Queue: "q"}, Reason: "why", ValidateOnly: i < 2, PageToken: []string{"", "2"}[i%2]}
				if !proto.Equal(req, want) || (i >= 2 && !tc.changes) {
					t.Errorf("cancel %d: asked %v", i, req)
				}
			}
			retries := asked[*stintv1.RetryTasksRequest](b)
			for i, req := range retries {
				if req.GetValidateOnly() != (i < 2) || !proto.Equal(req.GetExpireTime(), at(time.Hour)) {
					t.Errorf("retry %d: asked %v", i, req)
				}
			}
			if (len(retries) == 4) != tc.changes {
				t.Errorf("%d calls", len(retries))
			}
		})
	}
}

// pages are the answers to a count and to the change after it.
func pages(of ...proto.Message) []reply {
	var all []reply
	for range 2 {
		for _, m := range of {
			all = append(all, ok(m))
		}
	}
	return all
}

// A change that selects nothing asks nobody.
func TestBulkOfNothing(t *testing.T) {
	b := newBench(t, map[string][]reply{"CancelTasks": {ok(&stintv1.CancelTasksResponse{Matched: 3})}}, func(o *Options) {
		o.Ask = func(context.Context, string) (bool, error) { return true, errors.New("asked") }
	})
	if err := b.CancelMatching(t.Context(), Filter{Queue: "q"}, "", false); err != nil {
		t.Error(err)
	}
	if err := b.CancelMatching(t.Context(), Filter{Queue: "q"}, "", true); err != nil || len(b.fake.asked) != 2 {
		t.Errorf("got %v after %d calls", err, len(b.fake.asked))
	}
}

// A long change tells how far it has come, every two seconds.
func TestBulkTellsProgress(t *testing.T) {
	script := []reply{ok(&stintv1.CancelTasksResponse{Matched: 4000, Changed: 4000})}
	for _, next := range []string{"2", "3", "4", ""} {
		script = append(script, ok(&stintv1.CancelTasksResponse{Matched: 1000, Changed: 1000, NextPageToken: next}))
	}
	clock := now
	b := newBench(t, map[string][]reply{"CancelTasks": script}, func(o *Options) {
		o.Now = func() time.Time {
			clock = clock.Add(time.Second)
			return clock
		}
	})
	if err := b.CancelMatching(t.Context(), Filter{Queue: "q"}, "", true); err != nil {
		t.Fatal(err)
	}
	if got := b.notes.String(); got != "cancelled 2000 of 4000 tasks (50%)\n" {
		t.Errorf("noted %q", got)
	}
	if got := b.out.String(); got != "tasks selected: 4000, of which were cancelled: 4000\n" {
		t.Errorf("wrote %q", got)
	}
}
