package client

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// stream is what one stream of events sends, and how it ends.
type stream struct {
	messages []*stintv1.WatchEventsResponse
	trailer  metadata.MD
	err      error
}

// streams plays one stream after the other.
func streams(list ...stream) func(*stintv1.WatchEventsRequest, stintv1.TaskService_WatchEventsServer) error {
	return func(_ *stintv1.WatchEventsRequest, to stintv1.TaskService_WatchEventsServer) error {
		s := list[0]
		list = list[1:]
		for _, m := range s.messages {
			if err := to.Send(m); err != nil {
				return err
			}
		}
		to.SetTrailer(s.trailer)
		return s.err
	}
}

func step(bookmark int64, events ...*stintv1.Event) *stintv1.WatchEventsResponse {
	return &stintv1.WatchEventsResponse{Events: events, BookmarkSequence: bookmark}
}

var gone = stream{
	trailer: metadata.Pairs("oldest_sequence", "100", "newest_sequence", "900"),
	err:     refusal(codes.OutOfRange, "SEQUENCE_PRUNED", "events after 4 are no longer kept"),
}

// W1: a watch resumes from the last bookmark after every kind of break, so that each event is shown once; W2: it ends
// with the sequences there are when what it would resume from is gone.
func TestWatchResumes(t *testing.T) {
	for _, form := range []string{"table", "json"} {
		t.Run(form, func(t *testing.T) {
			events := history()
			b := newBench(t, nil, func(o *Options) { o.JSON = form == "json" })
			b.fake.watch = streams(
				stream{messages: []*stintv1.WatchEventsResponse{step(0), step(2, events[:2]...)}, err: status.Error(codes.Unavailable, "transport is closing")},
				stream{err: refusal(codes.Unavailable, "SHUTTING_DOWN", "leaving")},
				stream{messages: []*stintv1.WatchEventsResponse{step(3, events[2])}},
				stream{messages: []*stintv1.WatchEventsResponse{step(3), step(4, events[3])}, err: status.Error(codes.Unavailable, "EOF")},
				gone,
			)
			from := int64(0)
			err := b.Watch(t.Context(), WatchSpec{From: &from, Queue: "default", Tasks: []string{"rivers"}, Kinds: []string{"granted", "EVENT_KIND_LEASE_ENDED"}})
			golden(t, "watch."+form, b, err)

			var after []int64
			for _, req := range asked[*stintv1.WatchEventsRequest](b) {
				after = append(after, req.GetAfterSequence())
				if req.GetQueue() != "default" || len(req.GetTaskIds()) != 1 || len(req.GetKinds()) != 2 {
					t.Errorf("asked %v, want the filter on every stream", req)
				}
			}
			want := []int64{0, 2, 2, 3, 4}
			if len(after) != len(want) {
				t.Fatalf("asked after %v, want %v", after, want)
			}
			for i := range want {
				if after[i] != want[i] {
					t.Errorf("asked after %v, want %v", after, want)
				}
			}
		})
	}
}

// Without --from the first stream begins with what happens from now on.
func TestWatchFromNow(t *testing.T) {
	b := newBench(t, nil, nil)
	b.fake.watch = streams(gone)
	err := b.Watch(t.Context(), WatchSpec{})
	if err == nil || !strings.Contains(err.Error(), "the events kept are 100 to 900") {
		t.Errorf("got %v", err)
	}
	if reqs := asked[*stintv1.WatchEventsRequest](b); len(reqs) != 1 || reqs[0].AfterSequence != nil {
		t.Errorf("asked %v, want one stream without after_sequence", reqs)
	}
}

// A first stream that can't be had is an error, not a reason to try for ever.
func TestWatchNeedsACoordinatorFirst(t *testing.T) {
	b := newBench(t, nil, nil)
	b.fake.watch = streams(stream{err: refusal(codes.Unavailable, "SHUTTING_DOWN", "leaving")})
	if err := b.Watch(t.Context(), WatchSpec{}); err == nil || len(b.slept) != 0 {
		t.Errorf("got %v after %d pauses, want an error at once", err, len(b.slept))
	}
}

// An answer that can't be written ends the watch; it is not taken for a broken stream.
func TestWatchEndsWhenItCannotWrite(t *testing.T) {
	full := errors.New("no space left")
	b := newBench(t, nil, func(o *Options) { o.Out = writer(func([]byte) (int, error) { return 0, full }) })
	b.fake.watch = streams(stream{messages: []*stintv1.WatchEventsResponse{step(4, history()...)}})
	if err := b.Watch(t.Context(), WatchSpec{}); !errors.Is(err, full) {
		t.Errorf("got %v, want %v", err, full)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
