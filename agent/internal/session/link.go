package session

import (
	"context"
	"sync"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// outQueue is how many messages may wait for a slow stream. A healthy one takes them as they come; a full queue means
// that heartbeats have been stuck for long.
const outQueue = 64

// link is one stream, from dialling to its end. Its goroutines talk to the loop by events alone.
type link struct {
	address string
	out     chan *stintv1.SessionRequest // closed by the loop: say the rest, then half-close
	cancel  context.CancelFunc
}

// event is what a link has to tell. Exactly one of opened, message and err is set; after err nothing comes.
type event struct {
	link    *link
	opened  bool
	message *stintv1.SessionResponse
	err     error
}

// connect starts a link; its goroutines end soon after ctx or cancel, and are counted in wg.
func connect(ctx context.Context, dial Dial, address string, events chan<- event, wg *sync.WaitGroup) *link {
	ctx, cancel := context.WithCancel(ctx)
	l := &link{address: address, out: make(chan *stintv1.SessionRequest, outQueue), cancel: cancel}
	wg.Go(func() {
		defer cancel()
		err := l.run(ctx, dial, events)
		l.tell(ctx, events, event{link: l, err: err})
	})
	return l
}

// run dials, then reads until the stream ends; the error is never nil.
func (l *link) run(ctx context.Context, dial Dial, events chan<- event) error {
	stream, err := dial(ctx, l.address)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Close() }() // the stream has ended; nothing is left to lose
	var writer sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer writer.Wait()
	defer stop()
	writer.Go(func() { l.write(ctx, stream) })
	l.tell(ctx, events, event{link: l, opened: true})
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		l.tell(ctx, events, event{link: l, message: message})
	}
}

// write sends until the queue is closed or the stream breaks; why it broke is the reader's to find out.
func (l *link) write(ctx context.Context, stream Stream) {
	for {
		select {
		case <-ctx.Done():
			return
		case message, more := <-l.out:
			if !more {
				_ = stream.CloseSend()
				return
			}
			if stream.Send(message) != nil {
				return
			}
		}
	}
}

func (l *link) tell(ctx context.Context, events chan<- event, e event) {
	select {
	case events <- e:
	case <-ctx.Done():
	}
}

// send queues a message; false: the queue is full, and the stream is of no more use.
func (l *link) send(message *stintv1.SessionRequest) bool {
	select {
	case l.out <- message:
		return true
	default:
		return false
	}
}
