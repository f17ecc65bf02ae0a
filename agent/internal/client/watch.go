package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// WatchSpec says from where to watch and what.
type WatchSpec struct {
	// From is the sequence after which the history begins, 0 for the oldest event kept; nil: with what happens from now on.
	From *int64
	// Queue, Tasks and Kinds restrict the events; empty: all. Kinds are names of event kinds, in any case.
	Queue string
	Tasks []string
	Kinds []string
}

func (s WatchSpec) request() (*stintv1.WatchEventsRequest, error) {
	if s.From != nil && *s.From < 0 {
		return nil, fmt.Errorf("client: from %d is negative; give 0 for the oldest event kept, or a sequence", *s.From)
	}
	req := &stintv1.WatchEventsRequest{AfterSequence: s.From, Queue: s.Queue, TaskIds: s.Tasks}
	for _, name := range s.Kinds {
		kind, err := parseName("kind", kindPrefix, stintv1.EventKind_value, name)
		if err != nil {
			return nil, err
		}
		req.Kinds = append(req.Kinds, stintv1.EventKind(kind))
	}
	return req, nil
}

// Watch shows events as they happen until ctx ends. A stream that breaks is opened anew after the last bookmark, so that
// the history has neither gap nor repeat. It returns an error if the first stream can't be had, or if the history to
// resume is gone.
func (c *Client) Watch(ctx context.Context, s WatchSpec) error {
	req, err := s.request()
	if err != nil {
		return err
	}
	tries := pause{}
	for seen := false; ; {
		got, err := c.watchOnce(ctx, req)
		if got {
			seen = true
			tries.reset()
		}
		after, repeat := again(err)
		if !seen || !repeat || ctx.Err() != nil {
			return err
		}
		c.note("%s; resuming after sequence %d", cause(err), req.GetAfterSequence())
		if err := c.opts.Sleep(ctx, tries.next(after)); err != nil {
			return c.failed(ctx, "watch events", err)
		}
	}
}

// watchOnce shows the events of one stream and moves req on with each message. It answers whether anything came, and
// always an error.
func (c *Client) watchOnce(ctx context.Context, req *stintv1.WatchEventsRequest) (got bool, err error) {
	stream, err := c.tasks.WatchEvents(ctx, req)
	if err != nil {
		return false, c.failed(ctx, "watch events", err)
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return got, c.streamFailed(ctx, stream, err)
		}
		got = true
		for _, e := range m.GetEvents() {
			if err := c.showEvent(e); err != nil {
				return got, err
			}
		}
		bookmark := m.GetBookmarkSequence()
		req.AfterSequence = &bookmark
	}
}

// streamFailed explains the end of a stream. Where it says which sequences there are, so does the error.
func (c *Client) streamFailed(ctx context.Context, stream grpc.ClientStream, err error) error {
	if errors.Is(err, io.EOF) {
		err = errStreamEnded
	}
	failed := c.failed(ctx, "watch events", err)
	oldest, newest := first(stream.Trailer(), "oldest_sequence"), first(stream.Trailer(), "newest_sequence")
	var f *failure
	if oldest != "" && newest != "" && errors.As(failed, &f) {
		f.remedy = fmt.Sprintf("; the events kept are %s to %s: give --from 0, or --from %s for what comes next", oneLine(oldest), oneLine(newest), oneLine(newest))
	}
	return failed
}

func first(m metadata.MD, key string) string {
	if values := m.Get(key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// showEvent writes one event. Columns have fixed widths, since the next event is not known yet.
func (c *Client) showEvent(e *stintv1.Event) error {
	if c.out.json {
		return c.out.message(e)
	}
	subject := e.GetTaskId()
	if subject == "" {
		subject = "queue " + e.GetQueue()
	}
	line := fmt.Sprintf("%-8d %s %-15s %-24s %s", e.GetSequence(), clock(e.GetTime()), bare(kindPrefix, e.GetKind()), subject, eventText(e))
	return c.out.text(strings.TrimRight(line, " ") + "\n")
}

// eventText is what an event tells beyond its kind and task.
func eventText(e *stintv1.Event) string {
	var parts []string
	if e.GetRun() > 1 {
		parts = append(parts, fmt.Sprintf("run %d", e.GetRun()))
	}
	if e.GetAttempt() > 0 {
		parts = append(parts, fmt.Sprintf("attempt %d", e.GetAttempt()))
	}
	if e.GetAgentId() != "" {
		parts = append(parts, "on "+e.GetAgentId())
	}
	if e.CostUsd != nil {
		parts = append(parts, usd(e.CostUsd)+" USD")
	}
	parts = append(parts, bare(leaseEndPrefix, e.GetLeaseEndReason()), bare(classPrefix, e.GetFailureClass()), e.GetReason())
	return oneLine(strings.Join(parts, " "))
}
