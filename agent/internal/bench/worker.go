package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// outgoing messages waiting to be sent; beyond it the reader waits, and with it the coordinator.
const outgoing = 256

// work runs the sessions of the flow's agents until ctx ends.
func (f *flow) work(ctx context.Context, conns []*grpc.ClientConn, prefix string) error {
	return all(f.Agents, func(i int) error {
		w := newWorker(f, fmt.Sprintf("%s-%d", prefix, i))
		return ended(ctx, w.run(ctx, conns[i%len(conns)]))
	})
}

// worker is one agent that runs nothing: a grant is reported as soon as it has arrived. The
// goroutine of run beats; one other takes what arrives, and one sends.
type worker struct {
	*flow
	id       string
	welcomed func()             // called once the coordinator has answered; nil: nothing
	interval chan time.Duration // of heartbeats, as the coordinator asks for it
	out      chan any           // messages to send

	mu     sync.Mutex // of what follows, and of the order in which it is told
	held   leases     // granted and not acknowledged
	credit int64
	beats  int64
}

func newWorker(f *flow, id string) *worker {
	return &worker{
		flow: f, id: id, credit: int64(f.Slots), beats: 1,
		interval: make(chan time.Duration, 1), out: make(chan any, outgoing),
	}
}

// run serves one stream until it fails or ctx ends.
func (w *worker) run(parent context.Context, conn *grpc.ClientConn) error {
	ctx, end := context.WithCancelCause(parent)
	stream, err := stintv1.NewAgentServiceClient(conn).Session(ctx)
	if err != nil {
		end(err)
		return err
	}
	w.out <- &stintv1.SessionRequest{
		Hello:       &stintv1.Hello{AgentId: w.id, InstanceId: newID().String(), Version: "bench", Slots: int32(w.Slots), Queues: w.queues()},
		Heartbeat:   &stintv1.Heartbeat{Number: w.beats},
		CreditTotal: w.credit,
	}
	sent, received := make(chan struct{}), make(chan struct{})
	go func() { defer close(sent); end(w.send(ctx, stream)) }()
	go func() { defer close(received); end(w.receive(ctx, stream)) }()
	w.beat(ctx)
	err = context.Cause(ctx)
	<-sent
	<-received
	return err
}

// queues are those that the agent serves: the flow's.
func (w *worker) queues() []string {
	if w.Queue == "" {
		return nil
	}
	return []string{w.Queue}
}

func (w *worker) send(ctx context.Context, stream grpc.ClientStream) error {
	for {
		select {
		case m := <-w.out:
			if err := stream.SendMsg(m); errors.Is(err, io.EOF) {
				<-ctx.Done() // the stream's own error is what the receiver gets
			} else if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (w *worker) receive(ctx context.Context, stream grpc.ClientStream) error {
	var d delivery
	for {
		if err := stream.RecvMsg(&d); err != nil {
			return err
		}
		if interval := d.other.GetWelcome().GetHeartbeatInterval(); interval != nil {
			select {
			case w.interval <- interval.AsDuration():
			default: // there is one welcome
			}
			if w.welcomed != nil {
				w.welcomed()
			}
		}
		w.take(ctx, &d)
	}
}

// beat sends heartbeats in the interval that the coordinator asks for.
func (w *worker) beat(ctx context.Context) {
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	for {
		select {
		case d := <-w.interval:
			beat.Reset(jittered(d))
		case <-beat.C:
			w.mu.Lock()
			w.beats++
			w.say(ctx, &stintv1.SessionRequest{Heartbeat: w.heartbeat()})
			w.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// jittered is a period of up to a fifth less, so that agents that came together don't beat together.
func jittered(d time.Duration) time.Duration { return d - rand.N(d/5+1) }

func (w *worker) heartbeat() *stintv1.Heartbeat {
	h := &stintv1.Heartbeat{Number: w.beats}
	for _, id := range w.held.held() {
		h.Leases = append(h.Leases, &stintv1.LeaseProgress{LeaseId: id})
	}
	return h
}

func (w *worker) say(ctx context.Context, m any) {
	select {
	case w.out <- m:
	case <-ctx.Done():
	}
}

// take reports what was granted, and counts what was recorded. A report confirms its grant.
func (w *worker) take(ctx context.Context, d *delivery) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acknowledged(d.acks)
	portion := len(d.grants)
	if w.Portion > 0 {
		portion = w.Portion
	}
	for grants := range slices.Chunk(d.grants, max(portion, 1)) {
		w.reporting(ctx, grants)
	}
}

// acknowledged counts a life for each lease that is held and was recorded.
func (w *worker) acknowledged(acks []ack) {
	lives := 0
	for _, a := range acks {
		if !w.held.remove(a.lease) || a.outcome != stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED {
			w.refused.Add(1)
			continue
		}
		lives++
		if w.onAck != nil {
			w.onAck(string(a.lease))
		}
	}
	if lives > 0 {
		w.done(lives)
	}
}

func (w *worker) reporting(ctx context.Context, grants []grant) {
	w.held.add(grants)
	for i := range grants {
		if w.onGrant != nil {
			w.onGrant(string(grants[i].lease), string(grants[i].task))
		}
	}
	w.credit += int64(len(grants))
	w.say(ctx, reporting(w.credit, grants, w.report))
}
