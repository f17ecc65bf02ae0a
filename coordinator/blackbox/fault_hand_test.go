package blackbox

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// hand is an agent in the test itself, written from what the contract says of Session and nothing else. It lives through
// every break of its stream; what an outbox keeps on disk it keeps in memory.
type hand struct {
	t     *testing.T
	id    string
	addr  string
	slots int
	book  *book
	// work runs a lease; nil if ctx ended first.
	work func(ctx context.Context, lease *stintv1.Lease) *stintv1.Report

	instance  string
	chance    *rand.Rand
	ctx       context.Context // of run
	works     sync.WaitGroup
	finished  chan finish
	held      map[string]*holding
	running   int
	ledger    string // of the newest welcome
	interval  time.Duration
	heartbeat int64
	granted   int64
}

// holding is a lease from its grant to the ack of its report.
type holding struct {
	lease  *stintv1.Lease
	ledger string
	cancel context.CancelFunc
	report *stintv1.Report // nil while it runs
	sent   time.Time
}

// finish is the end of a work.
type finish struct {
	x      *holding
	report *stintv1.Report
}

// newHand makes one with a name; run starts it.
func newHand(t *testing.T, c *coordinator, id string, slots int, b *book, r *rand.Rand) *hand {
	return &hand{t: t, id: id, addr: c.grpc, slots: slots, book: b, chance: apart(r),
		instance: "i" + strconv.FormatUint(r.Uint64(), 36), finished: make(chan finish, slots), held: map[string]*holding{}}
}

// run works until ctx ends, stream after stream. It returns after all that it started.
func (h *hand) run(ctx context.Context) {
	h.ctx = ctx
	defer h.works.Wait()
	for ctx.Err() == nil {
		h.stream(ctx)
		delay := time.NewTimer(50*time.Millisecond + time.Duration(h.chance.Int64N(int64(300*time.Millisecond))))
		h.idle(ctx, delay.C)
		delay.Stop()
	}
}

// idle waits for a redial; works go on.
func (h *hand) idle(ctx context.Context, until <-chan time.Time) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-until:
			return
		case f := <-h.finished:
			h.finish(f)
		}
	}
}

// finish makes the report of a work due, if it gave one.
func (h *hand) finish(f finish) {
	h.running--
	f.x.report = f.report
}

// stream is one stream, from the dial to whatever ends it.
func (h *hand) stream(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := grpc.NewClient(h.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		h.t.Errorf("%s: %v", h.id, err)
		return
	}
	defer func() { _ = conn.Close() }() // the stream has ended
	stream, err := stintv1.NewAgentServiceClient(conn).Session(ctx)
	if err != nil {
		return
	}
	hello := &stintv1.SessionRequest{Hello: &stintv1.Hello{AgentId: h.id, InstanceId: h.instance, Slots: int32(h.slots)},
		Heartbeat: h.beat()}
	if stream.Send(hello) != nil {
		return
	}
	messages := make(chan *stintv1.SessionResponse)
	var reader sync.WaitGroup
	defer reader.Wait()
	defer cancel()
	reader.Go(func() {
		defer close(messages)
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			select {
			case messages <- m:
			case <-ctx.Done():
				return
			}
		}
	})
	h.talk(ctx, messages, stream.Send)
}

// talk follows the protocol until the stream ends or is given up.
func (h *hand) talk(ctx context.Context, messages <-chan *stintv1.SessionResponse, send func(*stintv1.SessionRequest) error) {
	const patience = 5 * time.Second // for the welcome
	beats := time.NewTicker(patience)
	defer beats.Stop()
	welcomed, unanswered := false, 0
	for {
		say := &stintv1.SessionRequest{}
		select {
		case <-ctx.Done():
			return
		case m, more := <-messages:
			if !more {
				return
			}
			if w := m.GetWelcome(); w != nil {
				welcomed = true
				h.welcome(w)
				beats.Reset(h.interval)
			}
			if !welcomed {
				return
			}
			if m.GetHeartbeatAck() != nil {
				unanswered = 0
			}
			h.take(m, say)
		case f := <-h.finished:
			h.finish(f)
		case <-beats.C:
			if unanswered++; unanswered > 2 || !welcomed {
				return
			}
			say.Heartbeat = h.beat()
		}
		if welcomed && send(h.complete(say)) != nil {
			return
		}
	}
}

func (h *hand) welcome(w *stintv1.Welcome) {
	h.ledger, h.interval, h.granted = w.GetLedgerId(), w.GetHeartbeatInterval().AsDuration(), 0
	for _, x := range h.held {
		x.sent = time.Time{}
	}
}

// complete adds reports that are due and the credit.
func (h *hand) complete(say *stintv1.SessionRequest) *stintv1.SessionRequest {
	now := time.Now()
	for _, x := range h.held {
		if x.report != nil && x.ledger == h.ledger && now.Sub(x.sent) > 2*h.interval {
			x.sent = now
			say.Reports = append(say.Reports, x.report)
		}
	}
	say.CreditTotal = h.granted + int64(h.slots-h.running)
	return say
}

func (h *hand) beat() *stintv1.Heartbeat {
	h.heartbeat++
	b := &stintv1.Heartbeat{Number: h.heartbeat}
	for id := range h.held {
		b.Leases = append(b.Leases, &stintv1.LeaseProgress{LeaseId: id})
	}
	return b
}

func (h *hand) take(m *stintv1.SessionResponse, say *stintv1.SessionRequest) {
	for _, ack := range m.GetReportAcks() {
		if x := h.held[ack.GetLeaseId()]; x != nil && x.report != nil {
			h.book.ack(h.t, x.lease, x.report, ack)
			delete(h.held, ack.GetLeaseId())
		}
	}
	for _, c := range m.GetCancels() {
		if x := h.held[c.GetLeaseId()]; x != nil && x.report == nil {
			x.cancel()
			delete(h.held, c.GetLeaseId())
		}
	}
	for _, lease := range m.GetGrants() {
		h.start(lease)
		say.Heartbeat = h.beat()
	}
}

// start runs a lease. The work outlives the stream that brought it, but not the hand.
func (h *hand) start(lease *stintv1.Lease) {
	h.granted++
	ctx, cancel := context.WithCancel(h.ctx)
	x := &holding{lease: lease, ledger: h.ledger, cancel: cancel}
	h.held[lease.GetLeaseId()] = x
	h.running++
	h.works.Go(func() {
		defer cancel()
		h.finished <- finish{x, h.work(ctx, lease)}
	})
}

// oneCall keeps no connection, so that nothing of it is left at the end of a test.
var oneCall = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// caller gives a work that makes one call to an API of the grind dialect, as an agent does.
func caller(api string) func(context.Context, *stintv1.Lease) *stintv1.Report {
	return func(ctx context.Context, lease *stintv1.Lease) *stintv1.Report {
		report := &stintv1.Report{LeaseId: lease.GetLeaseId()}
		answer, code, err := grind(ctx, api, lease)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			report.Failure = &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_CONNECT, Message: err.Error()}
		case code != http.StatusOK:
			report.Failure = &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_SERVER_ERROR, HttpStatus: int32(code)}
		default:
			report.Result = answer
		}
		return report
	}
}

func grind(ctx context.Context, api string, lease *stintv1.Lease) (*stintv1.Result, int, error) {
	body, err := json.Marshal(map[string]string{"prompt": lease.GetTask().GetInstruction(), "task_id": lease.GetTask().GetId()})
	if err != nil {
		return nil, 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+api+"/grind", bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Idempotency-Key", lease.GetTask().GetId())
	req.Header.Set("Stint-Attempt", strconv.Itoa(int(lease.GetAttempt())))
	resp, err := oneCall.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = resp.Body.Close() }() // it has been read
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, 0, err
	}
	var answer struct{ Result, Nonce string }
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, resp.StatusCode, err
	}
	output, err := structpb.NewStruct(map[string]any{"nonce": answer.Nonce})
	return &stintv1.Result{Text: answer.Result, Output: output}, resp.StatusCode, err
}
