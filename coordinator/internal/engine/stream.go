package engine

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Stream is one stream of a session. One goroutine may Send while another Receives. The session
// outlives it: Close ends the stream alone.
type Stream struct {
	engine  *Engine
	id      queue.StreamID
	welcome Welcome
	window  chan struct{} // a slot for each message under way
	outbox  outbox
	told    bool        // in engine.told; of the releaser
	lulled  atomic.Bool // its only message under way is held in the lull, or was
	close   sync.Once

	mu       sync.Mutex
	credit   int64 // the newest that the agent has told
	withheld int64 // grants that were not handed over: they have cost the agent no slot
}

// tell puts something out, to be rung for once all of its turn has left. Only the releaser calls it.
func (s *Stream) tell(o *Out, grants []queue.Granted) {
	s.outbox.put(o, grants)
	if !s.told {
		s.told = true
		s.engine.told = append(s.engine.told, s)
	}
}

// ring wakes the readers of all streams that were told something.
func (e *Engine) ring() {
	for i, s := range e.told {
		s.told = false
		s.outbox.ring()
		e.told[i] = nil
	}
	e.told = e.told[:0]
}

// Connect opens a stream and hands in its first message right behind, which says what is held
// even if Beats is unset. Errors: *queue.Error AGENT_ID_IN_USE, ErrStopping.
func (e *Engine) Connect(ctx context.Context, h Hello) (*Stream, error) {
	if err := e.serving(); err != nil {
		return nil, err
	}
	s, open := e.streams.open(e)
	e.lull.resize(open)
	hello := &queue.Connect{
		Stream: s.id, Agent: h.Agent, Instance: h.Instance, Version: h.Version,
		Labels: h.Labels, Queues: h.Queues, Slots: h.Slots,
	}
	for range h.First.slots() {
		s.window <- struct{}{} // there is room: nothing is under way
	}
	first := newCall(hello)
	first.next = s.call(h.First)
	err := e.enqueue(ctx, first)
	if err == nil {
		err = e.await(ctx, first)
	}
	if err == nil {
		err = hello.Err
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	s.welcome = Welcome{LedgerID: e.identity.ID, TTL: hello.TTL, Interval: hello.Interval}
	return s, nil
}

// Welcome is what the agent is told first.
func (s *Stream) Welcome() Welcome { return s.welcome }

// Send hands a message in; what comes of it comes out of Receive. It blocks while too many are
// under way. Errors: why the stream has ended (ErrReplaced, ErrTooSlow, ErrStopping), or that of
// the context.
func (s *Stream) Send(ctx context.Context, m Message) error {
	if err := s.outbox.error(); err != nil {
		return err
	}
	for range m.slots() {
		select {
		case s.window <- struct{}{}:
		case <-s.outbox.ended:
			return s.outbox.error()
		case <-ctx.Done():
			return s.engine.cut(ctx)
		}
	}
	patient := s.patient(&m)
	c := s.call(m)
	if patient && s.engine.running() == nil {
		s.lulled.Store(true)
		if s.engine.lull.hold(c, s.engine.flush) {
			return nil
		}
	}
	s.overtake()
	return s.engine.enqueue(ctx, c)
}

// patient tells whether a message may be held back: it is a heartbeat and no more, and none of this
// stream is under way before it, which keeps them in order.
func (s *Stream) patient(m *Message) bool {
	if !m.Beats || m.Draining || len(m.Reports)+len(m.Releases) > 0 || len(s.window) > m.slots() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return m.Credit <= s.credit
}

// overtake lets a heartbeat that is held go before what comes next.
func (s *Stream) overtake() {
	if s.lulled.Load() {
		s.engine.flush()
	}
}

// slots is how many places of the window a message takes.
func (m *Message) slots() int {
	n := itemBytes * (len(m.Reports) + len(m.Held) + len(m.Releases))
	for i := range m.Reports {
		r := &m.Reports[i]
		n += len(r.LeaseID) + len(r.Result) + len(r.Failure.Message)
	}
	for i := range m.Held {
		n += len(m.Held[i].LeaseID) + len(m.Held[i].Message)
	}
	for i := range m.Releases {
		n += len(m.Releases[i].LeaseID)
	}
	return 1 + min(n/windowBytes, window/4-1)
}

// Receive waits until there is something to tell the agent, and gives all that is waiting, up to
// the bounds of an Out. Errors are those of Send, or that of a look-up of payloads; after an
// error the stream is to be closed.
func (s *Stream) Receive(ctx context.Context) (Out, error) {
	for {
		if out, ok, err := s.Poll(ctx); ok || err != nil {
			return out, err
		}
		select {
		case <-s.outbox.bell:
		case <-ctx.Done():
			return Out{}, s.engine.cut(ctx)
		}
	}
}

// Ready has a value once there may be something new for Poll, the end of the stream too.
func (s *Stream) Ready() <-chan struct{} { return s.outbox.bell }

// Poll is Receive for those who wait by Ready, without the wait; false: nothing is waiting.
func (s *Stream) Poll(ctx context.Context) (Out, bool, error) {
	out, grants, err := s.outbox.take()
	if err != nil {
		return Out{}, false, err
	}
	if len(grants) > 0 {
		var withheld []queue.Report
		if out.Grants, withheld, err = s.engine.leases(ctx, grants); err != nil {
			return Out{}, false, err
		}
		s.withhold(withheld)
	}
	return out, !out.empty(), nil
}

// Close ends the stream. It does not block, and may be called more than once.
func (s *Stream) Close() {
	s.close.Do(func() {
		s.engine.lull.resize(s.engine.streams.forget(s.id))
		s.outbox.end(ErrStopping)
		if s.lulled.Load() {
			go s.end() // there may be no room for what is held
		} else {
			s.end()
		}
	})
}

func (s *Stream) end() {
	s.overtake()
	s.engine.tell(&queue.Disconnect{Stream: s.id})
}

// call translates a message. The answer goes to the outbox.
func (s *Stream) call(m Message) *call {
	sign := s.engine.signer
	cmd := &queue.Message{
		Stream: s.id, Reports: sign.reports(m.Reports), Releases: sign.releases(m.Releases),
		Beats: m.Beats, RoundTrip: m.RoundTrip, Credit: s.credited(m.Credit), Draining: m.Draining,
	}
	var unknown []Cancel // of ids that were never ours: the machine could not name them
	for i, x := range sign.extensions(m.Held) {
		if x.Lease == (queue.LeaseRef{}) {
			unknown = append(unknown, Cancel{LeaseID: m.Held[i].LeaseID, Reason: queue.EndUnknown})
			continue
		}
		cmd.Held = append(cmd.Held, x)
	}
	c := &call{cmd: cmd}
	slots := m.slots()
	c.then = func() {
		s.lulled.Store(false) // before its place is free for the next
		for range slots {
			<-s.window
		}
		if c.err == nil {
			s.answer(cmd, &m, unknown)
		}
	}
	return c
}

// credited is the credit that the machine is to go by: what the agent has told, and what it was
// never handed. 0 stays unchanged.
func (s *Stream) credited(told int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if told <= 0 {
		return told
	}
	s.credit = max(s.credit, told)
	return s.credit + s.withheld
}

// withhold ends leases that are not handed over, as if the agent had reported them, and gives it
// back the credit that they have used up.
func (s *Stream) withhold(reports []queue.Report) {
	if len(reports) == 0 {
		return
	}
	s.mu.Lock()
	s.withheld += int64(len(reports))
	credit := s.credit + s.withheld
	s.mu.Unlock()
	s.engine.tell(&queue.Message{Stream: s.id, Reports: reports, Credit: credit})
}

// answer tells the agent what became of a message.
func (s *Stream) answer(cmd *queue.Message, m *Message, cancels []Cancel) {
	if cmd.Gone {
		s.outbox.end(ErrReplaced)
		return
	}
	out := Out{Acks: acks(m.Reports, cmd.Reports), Cancels: s.engine.signer.cancels(cancels, cmd.Cancels)}
	if m.Beats {
		out.HasHeartbeatAck, out.HeartbeatAck = true, m.Number
	}
	s.tell(&out, nil)
}
