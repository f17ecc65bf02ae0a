package server

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func (s *taskService) WatchEvents(r *stintv1.WatchEventsRequest, stream grpc.ServerStreamingServer[stintv1.WatchEventsResponse]) error {
	f := engine.EventFilter{Queue: r.GetQueue(), Tasks: r.GetTaskIds()}
	for _, k := range r.GetKinds() {
		f.Kinds = append(f.Kinds, queue.EventKind(k))
	}
	watcher, err := s.engine.Watch(stream.Context(), r.AfterSequence, f)
	if err != nil {
		return err
	}
	return watch(stream.Context(), s.stopping, watcher, stream.Send, s.stall)
}

// history is what a watch reads; *engine.Watcher is one.
type history interface {
	Next(ctx context.Context) (events []queue.Event, bookmark int64, err error)
	Close()
}

// watch hands on what happens until the history, the reader or the server ends. The history has
// no buffer: a slow reader falls behind, and is cut when one Send takes longer than stall.
func watch(parent context.Context, stopping <-chan struct{}, h history, send func(*stintv1.WatchEventsResponse) error, stall time.Duration) error {
	ctx, end := context.WithCancelCause(parent)
	w := &watching{history: h, send: guarded(send, stall, func(last *stintv1.WatchEventsResponse) {
		end(watcherTooSlow(resumeBefore(last)))
	})}
	go func() {
		defer h.Close()
		end(contained(func() error { return w.run(ctx) }))
	}()
	select {
	case <-ctx.Done():
	case <-stopping:
		end(engine.ErrStopping)
	}
	return context.Cause(ctx)
}

// resumeBefore is the sequence to resume after when a message did not go out.
func resumeBefore(m *stintv1.WatchEventsResponse) int64 {
	if e := m.GetEvents(); len(e) > 0 {
		return e[0].GetSequence() - 1
	}
	return m.GetBookmarkSequence()
}

type watching struct {
	history history
	send    func(*stintv1.WatchEventsResponse) error
}

func (w *watching) run(ctx context.Context) error {
	for {
		events, bookmark, err := w.history.Next(ctx)
		if err != nil {
			return err
		}
		for _, m := range eventMessages(events, bookmark) {
			if err := w.send(m); err != nil {
				return err
			}
		}
	}
}

// eventMessages cuts events into messages of maxReply, and of what becomes of a task in one change. Each
// has the bookmark of what has been sent with it.
func eventMessages(events []queue.Event, bookmark int64) []*stintv1.WatchEventsResponse {
	var out []*stintv1.WatchEventsResponse
	m, size := &stintv1.WatchEventsResponse{}, 0
	for i := range events {
		e := shownEvent(&events[i])
		n := proto.Size(e)
		if size+n > maxReply && len(m.Events) > 0 && !together(&events[i-1], &events[i]) {
			m.BookmarkSequence = m.Events[len(m.Events)-1].GetSequence()
			out = append(out, m)
			m, size = &stintv1.WatchEventsResponse{}, 0
		}
		m.Events = append(m.Events, e)
		size += n
	}
	m.BookmarkSequence = bookmark
	return append(out, m)
}

// together tells whether one event is of the same task as the one before it, and of the same commit, whose
// events have one time.
func together(before, e *queue.Event) bool {
	return e.Task != "" && e.Task == before.Task && e.Time == before.Time
}
