package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
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
// goroutine of run owns all fields; one other receives and one sends.
type worker struct {
	*flow
	id      string
	held    map[string]bool // leases granted and not acknowledged
	credit  int64
	beats   int64
	welcome func() // called once the coordinator has answered; nil: nothing
	out     chan *stintv1.SessionRequest
}

func newWorker(f *flow, id string) *worker {
	return &worker{
		flow: f, id: id, credit: int64(f.Slots), beats: 1,
		held: map[string]bool{}, out: make(chan *stintv1.SessionRequest, outgoing),
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
		Hello:       &stintv1.Hello{AgentId: w.id, InstanceId: newID(), Version: "bench", Slots: int32(w.Slots), Queues: w.queues()},
		Heartbeat:   &stintv1.Heartbeat{Number: w.beats},
		CreditTotal: w.credit,
	}
	in := make(chan *stintv1.SessionResponse, outgoing)
	sent, received := make(chan struct{}), make(chan struct{})
	go func() { defer close(sent); end(w.send(ctx, stream)) }()
	go func() { defer close(received); end(receive(ctx, stream, in)) }()
	w.turn(ctx, in)
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

func (w *worker) send(ctx context.Context, stream grpc.BidiStreamingClient[stintv1.SessionRequest, stintv1.SessionResponse]) error {
	for {
		select {
		case m := <-w.out:
			if err := stream.Send(m); errors.Is(err, io.EOF) {
				<-ctx.Done() // the stream's own error is what the receiver gets
			} else if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// receive hands on what arrives, so that heartbeats and messages can be taken in turn.
func receive(ctx context.Context, stream grpc.BidiStreamingClient[stintv1.SessionRequest, stintv1.SessionResponse], in chan<- *stintv1.SessionResponse) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		select {
		case in <- m:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// turn takes messages, and sends heartbeats in the interval that the coordinator asks for.
func (w *worker) turn(ctx context.Context, in <-chan *stintv1.SessionResponse) {
	beat := time.NewTicker(time.Second)
	defer beat.Stop()
	for {
		select {
		case m := <-in:
			if d := m.GetWelcome().GetHeartbeatInterval(); d != nil {
				beat.Reset(jittered(d.AsDuration()))
				if w.welcome != nil {
					w.welcome()
				}
			}
			w.take(ctx, m)
		case <-beat.C:
			w.beats++
			w.say(ctx, &stintv1.SessionRequest{Heartbeat: w.heartbeat()})
		case <-ctx.Done():
			return
		}
	}
}

// jittered is a period of up to a fifth less, so that agents that came together don't beat together.
func jittered(d time.Duration) time.Duration { return d - rand.N(d/5+1) }

func (w *worker) heartbeat() *stintv1.Heartbeat {
	h := &stintv1.Heartbeat{Number: w.beats}
	for id := range w.held {
		h.Leases = append(h.Leases, &stintv1.LeaseProgress{LeaseId: id})
	}
	return h
}

func (w *worker) say(ctx context.Context, m *stintv1.SessionRequest) {
	select {
	case w.out <- m:
	case <-ctx.Done():
	}
}

// take reports what was granted, and counts what was recorded. A report confirms its grant.
func (w *worker) take(ctx context.Context, m *stintv1.SessionResponse) {
	w.acknowledged(m.GetReportAcks())
	grants := m.GetGrants()
	for len(grants) > 0 {
		n := len(grants)
		if w.Portion > 0 {
			n = min(n, w.Portion)
		}
		w.report(ctx, grants[:n])
		grants = grants[n:]
	}
}

func (w *worker) acknowledged(acks []*stintv1.ReportAck) {
	lives := 0
	for _, a := range acks {
		delete(w.held, a.GetLeaseId())
		if a.GetOutcome() != stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED {
			w.refused.Add(1)
			continue
		}
		lives++
		if w.onAck != nil {
			w.onAck(a.GetLeaseId())
		}
	}
	if lives > 0 {
		w.done(lives)
	}
}

func (w *worker) report(ctx context.Context, grants []*stintv1.Lease) {
	array, reports := make([]stintv1.Report, len(grants)), make([]*stintv1.Report, len(grants))
	for i, g := range grants {
		w.held[g.GetLeaseId()] = true
		if w.onGrant != nil {
			w.onGrant(g)
		}
		array[i].LeaseId, array[i].Result = g.GetLeaseId(), w.result
		reports[i] = &array[i]
	}
	w.credit += int64(len(grants))
	w.say(ctx, &stintv1.SessionRequest{Reports: reports, CreditTotal: w.credit})
}
