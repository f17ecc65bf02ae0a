package server

import (
	"context"
	"errors"
	"io"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// Session serves one stream of a session. Its goroutines return soon after it does: the
// transport frees a blocked receive or send only then, so neither is done by its own.
func (s *agentService) Session(stream grpc.BidiStreamingServer[stintv1.SessionRequest, stintv1.SessionResponse]) error {
	first, err := stream.Recv()
	if errors.Is(err, io.EOF) {
		return noHello()
	}
	if err != nil {
		return err
	}
	hello, refused, err := helloOf(first, s.rules)
	if err != nil {
		return err
	}
	l, err := s.engine.Connect(stream.Context(), hello)
	if err != nil {
		return err
	}
	x := newSession(l, s.rules, s.stall, s.stopping)
	return x.run(stream.Context(), hello.First, refused, stream.Recv, stream.Send)
}

// link is the engine's end of a stream; *engine.Stream is one.
type link interface {
	Welcome() engine.Welcome
	Send(ctx context.Context, m engine.Message) error
	Ready() <-chan struct{}
	Poll(ctx context.Context) (out engine.Out, some bool, err error)
	Close()
}

// session moves messages between an agent's stream and the engine's. Ten thousand may be idle, so it
// has few goroutines, which never wait for one another's other side:
//
//	reader  agent → engine; what it has to say itself goes to local, and never blocks
//	writer  engine and local → agent, while the engine's own buffer is bounded; it is the handler's
//	        goroutine, and has each message sent by one that lives no longer than that
//
// Whatever ends first ends all: its error is that of the stream.
type session struct {
	link     link
	rules    protovalidate.Validator
	stall    time.Duration             // bound of one send
	stopping <-chan struct{}           // closed when the server leaves
	local    chan []*stintv1.ReportAck // of malformed reports
	eof      chan struct{}             // closed: the agent has half-closed
	owed     debt
}

func newSession(l link, rules protovalidate.Validator, stall time.Duration, stopping <-chan struct{}) *session {
	return &session{
		link: l, rules: rules, stall: stall, stopping: stopping,
		local: make(chan []*stintv1.ReportAck, localMessages), eof: make(chan struct{}),
	}
}

// errEnded ends a session in good order.
var errEnded = errors.New("server: session ended")

func (s *session) run(
	parent context.Context, first engine.Message, refused []*stintv1.ReportAck,
	recv func() (*stintv1.SessionRequest, error), send func(*stintv1.SessionResponse) error,
) error {
	ctx, end := context.WithCancelCause(parent)
	defer s.link.Close()
	send = guarded(send, s.stall, func(*stintv1.SessionResponse) { end(engine.ErrTooSlow) })
	s.owed.add(first)
	go func() {
		if err := contained(func() error { return s.read(ctx, recv) }); err != nil {
			end(err)
		}
	}()
	end(s.write(ctx, refused, send))
	if err := context.Cause(ctx); !errors.Is(err, errEnded) {
		return err
	}
	return nil
}

// apart does something that may block for ever, and waits no longer than the session lasts.
func (s *session) apart(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- contained(f) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read hands in what the agent says, until it half-closes.
func (s *session) read(ctx context.Context, recv func() (*stintv1.SessionRequest, error)) error {
	for {
		r, err := recv()
		if errors.Is(err, io.EOF) {
			close(s.eof)
			return nil
		}
		if err != nil {
			return err
		}
		if r.Hello != nil {
			return refuse(stintv1.ErrorReason_ERROR_REASON_SESSION_PROTOCOL,
				"hello stands in a message that is not the first; send it once a stream")
		}
		m, refused, err := message(r, s.rules)
		if err != nil {
			return err
		}
		if len(refused) > 0 {
			select {
			case s.local <- refused:
			default:
				return engine.ErrTooSlow
			}
		}
		s.owed.add(m)
		if err := s.link.Send(ctx, m); err != nil {
			return err
		}
	}
}

// write says the welcome, then all that comes up. After the agent's half-close it goes on for a
// while for what is still owed, and when the server leaves for a moment, for what is on its way.
func (s *session) write(ctx context.Context, refused []*stintv1.ReportAck, send func(*stintv1.SessionResponse) error) error {
	hello := &stintv1.SessionResponse{Welcome: welcome(s.link.Welcome()), ReportAcks: refused}
	if err := s.apart(ctx, func() error { return send(hello) }); err != nil {
		return err
	}
	eof, stopping := s.eof, s.stopping
	packer := packer{send: send}
	var last <-chan time.Time
	verdict := errEnded
	for eof != nil || len(s.local) > 0 || !s.owed.none() {
		var err error
		select {
		case <-s.link.Ready():
			err = s.pass(ctx, &packer)
		case acks := <-s.local:
			err = s.apart(ctx, func() error { return send(&stintv1.SessionResponse{ReportAcks: acks}) })
		case <-eof:
			eof, last = nil, time.After(lastWords)
		case <-stopping:
			stopping, last, verdict = nil, time.After(goodbye), engine.ErrStopping
		case <-last:
			return verdict
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return errEnded
}

// pass passes on what the engine has to say.
func (s *session) pass(ctx context.Context, p *packer) error {
	out, some, err := s.link.Poll(ctx)
	if err != nil || !some {
		return err
	}
	if err := s.apart(ctx, func() error { return p.say(out) }); err != nil {
		return err
	}
	s.owed.pay(out)
	return nil
}

func welcome(w engine.Welcome) *stintv1.Welcome {
	return &stintv1.Welcome{
		LedgerId: w.LedgerID, LeaseTtl: durationpb.New(w.TTL), HeartbeatInterval: durationpb.New(w.Interval),
	}
}
