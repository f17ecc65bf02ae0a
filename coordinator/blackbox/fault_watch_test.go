package blackbox

import (
	"context"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// watcher follows the history through every fault, and keeps all that it saw.
type watcher struct {
	mu     sync.Mutex
	grown  chan struct{} // closed, and made anew, when there is more
	events []*stintv1.Event
	cuts   int
}

// watch starts a watcher; it ends with ctx. cut, if set, is asked after each message whether to break the stream off.
func (l *link) watch(ctx context.Context, t *testing.T, wg *sync.WaitGroup, cut func() bool) *watcher {
	w := &watcher{grown: make(chan struct{})}
	wg.Go(func() {
		resume := int64(0)
		for ctx.Err() == nil {
			err := w.stream(ctx, l, &resume, cut)
			switch c := status.Code(err); {
			case ctx.Err() != nil, err == nil, c == codes.Unavailable:
			default:
				t.Errorf("W2: watch from %d: %v", resume, err)
				return
			}
		}
	})
	return w
}

// stream watches until it breaks; nil if it was cut here.
func (w *watcher) stream(ctx context.Context, l *link, resume *int64, cut func() bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	from := *resume
	stream, err := l.tasks.WatchEvents(ctx, &stintv1.WatchEventsRequest{AfterSequence: &from}, patient)
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		w.take(m.GetEvents())
		*resume = m.GetBookmarkSequence()
		if cut != nil && cut() {
			w.mu.Lock()
			w.cuts++
			w.mu.Unlock()
			return nil
		}
	}
}

func (w *watcher) take(events []*stintv1.Event) {
	if len(events) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, events...)
	close(w.grown)
	w.grown = make(chan struct{})
}

// seen is all so far, not to be changed.
func (w *watcher) seen() []*stintv1.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events
}

// until waits for enough, which is told all so far.
func (w *watcher) until(ctx context.Context, t *testing.T, what string, enough func([]*stintv1.Event) bool) {
	t.Helper()
	for {
		w.mu.Lock()
		grown, events := w.grown, w.events
		w.mu.Unlock()
		if enough(events) {
			return
		}
		select {
		case <-grown:
		case <-ctx.Done():
			t.Fatalf("never seen in %d events: %s", len(events), what)
		}
	}
}

// upTo waits until all up to a sequence was seen.
func (w *watcher) upTo(ctx context.Context, t *testing.T, sequence int64) {
	t.Helper()
	w.until(ctx, t, "the newest event", func(events []*stintv1.Event) bool {
		return len(events) > 0 && events[len(events)-1].GetSequence() >= sequence
	})
}

// counts waits until so many events matched.
func (w *watcher) counts(ctx context.Context, t *testing.T, what string, want int, match func(*stintv1.Event) bool) {
	t.Helper()
	n, seen := 0, 0
	w.until(ctx, t, what, func(events []*stintv1.Event) bool {
		for _, e := range events[seen:] {
			if match(e) {
				n++
			}
		}
		seen = len(events)
		return n >= want
	})
}

// same holds what a watcher saw against the history read at the end: all of it, in order, nothing twice (W1).
func (w *watcher) same(t *testing.T, history []*stintv1.Event) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.events) < len(history) {
		t.Errorf("W1: a watcher saw %d events of %d", len(w.events), len(history))
		return
	}
	for i, want := range history {
		if !proto.Equal(w.events[i], want) {
			t.Errorf("W1: a watcher saw %v as number %d, the history has %v", w.events[i], i+1, want)
			return
		}
	}
}

// reasonOf gives the reason and the metadata of an error.
func reasonOf(err error) (string, map[string]string) {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason(), info.GetMetadata()
		}
	}
	return "", nil
}
