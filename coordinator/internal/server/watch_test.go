package server

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// fakeHistory gives its steps, then waits.
type fakeHistory struct {
	steps  []step
	closed chan struct{}
}

type step struct {
	events   []queue.Event
	bookmark int64
	err      error
}

func (h *fakeHistory) Next(ctx context.Context) ([]queue.Event, int64, error) {
	if len(h.steps) == 0 {
		<-ctx.Done()
		return nil, 0, ctx.Err()
	}
	s := h.steps[0]
	h.steps = h.steps[1:]
	return s.events, s.bookmark, s.err
}

func (h *fakeHistory) Close() { close(h.closed) }

func past(steps ...step) *fakeHistory { return &fakeHistory{steps, make(chan struct{})} }

func events(from, to int64) (out []queue.Event) {
	for n := from; n <= to; n++ {
		out = append(out, queue.Event{Sequence: n, Time: after(n), Kind: queue.EventSubmitted, Task: "t" + strconv.Itoa(int(n)), Queue: "q", Run: 1})
	}
	return out
}

// W2: a reader that does not read is cut with the place to resume from: behind what it got.
func TestWatcherTooSlow(t *testing.T) {
	for _, c := range []struct {
		name   string
		steps  []step
		reads  int
		resume string
	}{
		{"first message", []step{{nil, 0, nil}}, 0, "0"},
		{"events", []step{{nil, 4, nil}, {events(5, 6), 6, nil}, {events(7, 9), 9, nil}}, 2, "6"},
		{"a filter's gap", []step{{nil, 4, nil}, {events(50, 60), 60, nil}}, 1, "49"},
		{"bookmark", []step{{nil, 4, nil}, {nil, 8, nil}}, 1, "8"},
		{"pruned meanwhile", []step{{nil, 4, nil}, {nil, 0, &engine.TooSlowError{ResumeAfter: 4, Oldest: 9}}}, 9, "4"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := past(c.steps...)
			ctx, cancel := context.WithCancel(t.Context())
			reads := c.reads
			send := func(*stintv1.WatchEventsResponse) error {
				if reads == 0 {
					<-ctx.Done()
					return ctx.Err()
				}
				reads--
				return nil
			}
			err := watch(ctx, nil, h, send, time.Minute)
			cancel()
			<-h.closed
			r, _ := judge(err)
			if r == nil || reasonName(r.reason) != "WATCHER_TOO_SLOW" || r.metadata["resume_after_sequence"] != c.resume {
				t.Errorf("%s: %v %v", c.name, err, r)
			}
			if got := r.trailer().Get("resume_after_sequence"); len(got) != 1 || got[0] != c.resume {
				t.Errorf("%s: trailer %v", c.name, got)
			}
		})
	}
}

func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, stopping := past(), make(chan struct{})
		close(stopping)
		if err := watch(t.Context(), stopping, h, nil, time.Minute); reasonOf(err) != "SHUTTING_DOWN" {
			t.Errorf("got %v", err)
		}
		<-h.closed
	})
}

// W1: events are cut into messages of 2 MiB, and each message has the bookmark of its end.
func TestEventMessages(t *testing.T) {
	all := events(1, 9000)
	for i := range all {
		all[i].Reason = strings.Repeat("r", 900)
	}
	messages := eventMessages(all, 9100)
	next := int64(1)
	for i, m := range messages {
		if n := proto.Size(m); n > maxReply+64<<10 {
			t.Errorf("a message of %d bytes", n)
		}
		for _, e := range m.GetEvents() {
			if e.GetSequence() != next {
				t.Fatalf("event %d, want %d", e.GetSequence(), next)
			}
			next++
		}
		want := next - 1
		if i == len(messages)-1 {
			want = 9100
		}
		if m.GetBookmarkSequence() != want {
			t.Errorf("message %d has bookmark %d, want %d", i, m.GetBookmarkSequence(), want)
		}
	}
	if next != 9001 || len(messages) < 4 {
		t.Errorf("%d events in %d messages", next-1, len(messages))
	}
	if got := eventMessages(nil, 7); len(got) != 1 || got[0].GetBookmarkSequence() != 7 {
		t.Errorf("a bookmark alone: %v", got)
	}
}

// W1: where a change is too large for a message, it is not cut between what became of one task; but a
// task's life is, or a watch of one task could have messages of any size.
func TestEventMessagesKeepATaskTogether(t *testing.T) {
	const each = 1000 // bytes of an event, about
	change, life := events(1, 3*maxReply/each), events(1, 3*maxReply/each)
	for i := range change {
		change[i].Task, change[i].Time, change[i].Reason = strconv.Itoa(i/3), after(1), strings.Repeat("r", each)
		life[i].Task, life[i].Reason = "a", change[i].Reason
	}
	for _, m := range eventMessages(change, int64(len(change))) {
		first, last := m.GetEvents()[0], m.GetEvents()[len(m.GetEvents())-1]
		if (first.GetSequence()-1)%3 != 0 || last.GetSequence()%3 != 0 || proto.Size(m) > maxReply+64<<10 {
			t.Errorf("a message of %d bytes from %d to %d", proto.Size(m), first.GetSequence(), last.GetSequence())
		}
	}
	for _, m := range eventMessages(life, int64(len(life))) {
		if n := proto.Size(m); n > maxReply+64<<10 {
			t.Errorf("of one task: a message of %d bytes", n)
		}
	}
}

func TestShownEvent(t *testing.T) {
	got := shownEvent(&queue.Event{
		Sequence: 1, Time: after(0), Kind: queue.EventLeaseEnded, Task: "a", Serial: 5, Queue: "q", Run: 2, Attempt: 3,
		Agent: "me", Reason: "r", End: queue.EndExpired, Class: queue.ClassLeaseExpired,
	})
	want := &stintv1.Event{
		Sequence: 1, Time: stamp(after(0)), Kind: stintv1.EventKind_EVENT_KIND_LEASE_ENDED, TaskId: "a", Queue: "q", Run: 2,
		Attempt: 3, AgentId: "me", Reason: "r", LeaseEndReason: stintv1.LeaseEndReason_LEASE_END_REASON_EXPIRED,
		FailureClass: stintv1.FailureClass_FAILURE_CLASS_LEASE_EXPIRED,
	}
	if !proto.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}
