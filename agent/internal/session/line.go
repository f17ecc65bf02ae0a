package session

import (
	"errors"
	"io"
	"math/rand/v2"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	// welcomeTime is how long dialling, handshake and welcome may take together.
	welcomeTime = 15 * time.Second

	// minRedial and maxRedial bound the wait before a redial, the first included: it is picked evenly between them, so that
	// a fleet does not return in one wave.
	minRedial = 100 * time.Millisecond
	maxRedial = 15 * time.Second

	// defaultInterval and defaultTTL are for a welcome that says neither.
	defaultInterval = 10 * time.Second
	defaultTTL      = 30 * time.Second

	// heartbeatJitter is the share of the interval by which a heartbeat may come early.
	heartbeatJitter = 0.1

	// protocolVersion is the only one there is.
	protocolVersion = 1
)

var (
	errNoWelcome = errors.New("session: no welcome in time")
	errUnwelcome = errors.New("session: the first message was no welcome")
	errNoAck     = errors.New("session: neither heartbeats nor reports are acknowledged")
	errSlept     = errors.New("session: the machine slept for longer than a lease lives")
	errOverflow  = errors.New("session: the stream takes no messages")
)

// line is what the loop knows of its link and of the coordinator at its other end.
type line struct {
	link     *link // nil: waiting for redialAt
	dials    int
	redialAt time.Time // zero: at once, or a link is there
	lostAt   time.Time // when the link is given up unless something comes

	welcomed bool
	ledgerID string // of the newest welcome; outlives the link
	ttl      time.Duration
	interval time.Duration
	granted  int64 // leases, since the welcome
	credit   int64 // told, since the welcome

	early    int       // reports from before the welcome that are not acknowledged
	settleBy time.Time // until then they go before new work

	heartbeatAt   time.Time
	heartbeats    int64     // number of the newest
	heartbeatSent time.Time // of the newest
	roundTrip     time.Duration
	acked         bool      // a heartbeat of this link was acknowledged
	ackedBeat     int64     // number of the newest that was
	ackTime       time.Time // by the wall clock: of the newest acknowledgement of anything, or of the welcome
}

// tendLine dials, gives up and beats as it becomes due.
func (l *loop) tendLine(now time.Time) {
	switch {
	case l.line.link == nil:
		if !now.Before(l.line.redialAt) {
			l.dial(now)
		}
	case l.slept():
		l.lose(now, errSlept)
	case isDue(l.line.lostAt, now) && !l.line.welcomed:
		l.lose(now, errNoWelcome)
	case isDue(l.line.lostAt, now):
		l.lose(now, errNoAck)
	case isDue(l.line.heartbeatAt, now):
		l.line.heartbeatAt = now.Add(jittered(l.line.interval))
		l.say.heartbeat = true
		l.resendLate(now)
		l.retryOutbox()
	}
}

func jittered(interval time.Duration) time.Duration {
	return interval - time.Duration(rand.Float64()*heartbeatJitter*float64(interval))
}

// dial takes the addresses in turn. Without a link there are no heartbeats, so it is here that the outbox tries again.
func (l *loop) dial(now time.Time) {
	l.retryOutbox()
	address := l.cfg.Coordinators[l.line.dials%len(l.cfg.Coordinators)]
	l.line.dials++
	l.line.redialAt = time.Time{}
	l.line.lostAt = now.Add(welcomeTime)
	l.line.link = connect(l.ctx, l.cfg.Dial, address, l.events, &l.wg)
}

// lose gives the link up. Works go on; what is held is told on the next one.
func (l *loop) lose(now time.Time, err error) {
	address := l.line.link.address
	l.line.link.cancel()
	atHello := !l.line.welcomed
	l.line.link, l.line.welcomed = nil, false
	l.line.lostAt, l.line.heartbeatAt = time.Time{}, time.Time{}
	if fatal(err, atHello) {
		l.fatal = refused(err)
		return
	}
	delay := l.redialDelay(err)
	l.line.redialAt = now.Add(delay)
	if errors.Is(err, io.EOF) {
		l.log.Info("stream ended, redial", "coordinator", address, "delay", delay)
		return
	}
	l.log.Warn("no link, redial", "coordinator", address, "delay", delay, "error", err)
}

// redialDelay stays within half a lease's length, so that leases outlive a restart of the coordinator.
func (l *loop) redialDelay(err error) time.Duration {
	most := maxRedial
	if l.line.ttl > 0 {
		most = max(minRedial, min(most, l.line.ttl/2))
	}
	return max(minRedial+rand.N(most-minRedial+1), retryDelay(err))
}

// slept is true if by the wall clock no lease of this link can have lived on. Timers and streams notice nothing of a sleep.
func (l *loop) slept() bool {
	return l.line.welcomed && l.wall().Sub(l.line.ackTime) > l.line.ttl
}

// wall is the wall clock's time without the monotonic reading, which stands still while the machine sleeps.
func (l *loop) wall() time.Time { return l.cfg.Now().Round(0) }

// onEvent takes news of the current link; older ones have nothing more to say.
func (l *loop) onEvent(now time.Time, e event) {
	switch {
	case e.link != l.line.link:
	case e.opened:
		l.hello(now)
	case e.err != nil:
		l.lose(now, e.err)
	case l.slept():
		l.lose(now, errSlept)
	case !l.line.welcomed && e.message.GetWelcome() == nil:
		l.lose(now, errUnwelcome)
	default:
		l.onMessage(now, e.message)
	}
}

// hello tells who this is and what is held; credit follows after the welcome.
func (l *loop) hello(now time.Time) {
	l.send(now, &stintv1.SessionRequest{
		Hello: &stintv1.Hello{
			AgentId: l.cfg.AgentID, InstanceId: l.instance, Version: l.cfg.Version, ProtocolVersion: protocolVersion,
			Labels: l.cfg.Labels, Queues: l.cfg.Queues, Slots: int32(l.cfg.Slots),
		},
		Heartbeat: l.heartbeat(now),
		Draining:  l.drain.on,
	})
}

func (l *loop) onMessage(now time.Time, m *stintv1.SessionResponse) {
	if m.GetWelcome() != nil {
		l.onWelcome(now, m.GetWelcome())
	}
	if ack := m.GetHeartbeatAck(); ack != nil {
		l.onHeartbeatAck(now, ack.GetNumber())
	}
	l.onReportAcks(now, m.GetReportAcks())
	for _, c := range m.GetCancels() {
		l.onCancel(c)
	}
	if len(m.GetGrants()) > 0 {
		l.onGrants(now, m.GetGrants())
	}
	if m.GetGoingAway() {
		l.log.Info("coordinator is going away", "coordinator", l.line.link.address)
	}
	if d := m.GetDrain(); d != nil {
		l.startDrain(now, "drained by an operator", d.GetTimeLeft().AsDuration(), d.GetTimeLeft() != nil)
	}
}

func (l *loop) onWelcome(now time.Time, w *stintv1.Welcome) {
	l.line.welcomed, l.line.acked = true, false
	l.line.granted, l.line.credit = 0, 0
	l.line.ttl, l.line.interval = w.GetLeaseTtl().AsDuration(), w.GetHeartbeatInterval().AsDuration()
	if l.line.ttl <= 0 {
		l.line.ttl = defaultTTL
	}
	if l.line.interval <= 0 {
		l.line.interval = defaultInterval
	}
	l.heard(now)
	l.line.heartbeatAt = now.Add(jittered(l.line.interval))
	l.collectReports(w.GetLedgerId())
	l.line.early, l.line.settleBy = len(l.reports), l.line.heartbeatAt
	l.idle.begin(now, l.cfg)
	l.log.Info("connected", "coordinator", l.line.link.address, "ledger", w.GetLedgerId(), "lease_ttl", l.line.ttl,
		"heartbeat_interval", l.line.interval, "leases_held", len(l.works), "reports", len(l.reports))
}

// heard notes that the coordinator has answered what we said.
func (l *loop) heard(now time.Time) {
	l.line.ackTime = l.wall()
	l.line.lostAt = now.Add(2 * l.line.interval)
}

func (l *loop) onHeartbeatAck(now time.Time, number int64) {
	l.line.acked = true
	l.line.ackedBeat = max(l.line.ackedBeat, number)
	l.heard(now)
	if number == l.line.heartbeats {
		l.line.roundTrip = now.Sub(l.line.heartbeatSent)
	}
}
