package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// farewellTime bounds the wait for the coordinator to take the last messages and end the stream.
const farewellTime = 2 * time.Second

// loop is all state of a running session. Its methods are called from one goroutine, never wait, and take the time as an
// argument; a zero time.Time is a deadline that is not set.
type loop struct {
	cfg      Config
	log      *slog.Logger
	instance string

	ctx      context.Context // ends with the loop: of links and of calls
	wg       sync.WaitGroup  // links, and what is done on the disk
	calls    sync.WaitGroup
	hands    chan func() // to goroutines of calls that rest
	resting  atomic.Int64
	events   chan event
	retrying atomic.Bool
	calling  atomic.Int64    // calls under way
	lull     chan struct{}   // to keep: no call is under way, or was
	called   chan finished   // to keep; like finished it has room for every slot, so that nobody waits to end
	finished chan []finished // from keep

	line    line
	works   map[string]*work // held, by lease id
	queue   []*work          // not started, oldest first
	active  int              // works queued or running, also those no longer held whose call is still being cut
	running int
	ended   int // attempts that ended here
	reports map[string]*outgoing
	sent    uint64 // reports queued so far, for their order
	trouble trouble
	drain   drain
	idle    idle

	say   say
	fatal error
}

// say is what the next message has to carry, besides reports.
type say struct {
	heartbeat bool
	credit    bool
	draining  bool
	releases  []*stintv1.Release
}

func newLoop(s *Session) *loop {
	return &loop{
		cfg: s.cfg, log: s.log, instance: s.instance,
		events:   make(chan event),
		hands:    make(chan func()),
		lull:     make(chan struct{}, 1),
		called:   make(chan finished, s.cfg.Slots),
		finished: make(chan []finished, s.cfg.Slots),
		works:    map[string]*work{},
		reports:  map[string]*outgoing{},
		drain:    drain{asked: s.drain},
	}
}

// run returns after all goroutines of the session have ended.
func (l *loop) run(ctx context.Context) error {
	inner, stop := context.WithCancel(ctx)
	l.ctx = inner
	l.wg.Go(l.keep)
	defer func() {
		stop()
		l.calls.Wait()
		close(l.called)
		l.wg.Wait()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		l.advance(now)
		if l.over(now) {
			l.farewell()
			return l.fatal
		}
		timer.Reset(time.Until(l.nextDue(now)))
		select {
		case <-ctx.Done():
			l.log.Warn("stopped at once", "leases_given_up", len(l.works))
			return nil
		case <-l.drain.asked:
			l.drain.asked = nil
			l.startDrain(time.Now(), "asked to stop", l.cfg.DrainTime, true)
		case e := <-l.events:
			l.onEvent(time.Now(), e)
		case all := <-l.finished:
			now := time.Now()
			for _, f := range all {
				l.onFinished(now, f)
			}
		case <-timer.C:
		}
	}
}

// advance does all that is due at now, and sends what has changed.
func (l *loop) advance(now time.Time) {
	l.tendLine(now)
	l.tendDrain(now)
	l.startQueued(now)
	l.tendIdle(now)
	l.updateCredit(now)
	l.flush(now)
}

// nextDue is when advance has to be called again if nothing else happens.
func (l *loop) nextDue(now time.Time) time.Time {
	next := now.Add(time.Hour) // any time will do: advance is free to find nothing due
	for _, due := range []time.Time{
		l.line.redialAt, l.line.lostAt, l.line.heartbeatAt, l.trouble.nextDue(now), l.drain.cutAt, l.drain.overAt, l.drain.nextDue(now), l.idle.checkAt,
	} {
		if !due.IsZero() && due.Before(next) {
			next = due
		}
	}
	return next
}

// over is true when there is nothing left to stay for.
func (l *loop) over(now time.Time) bool {
	switch {
	case l.fatal != nil:
		return true
	case !l.drain.on:
		return false
	case l.active == 0 && len(l.reports) == 0 && len(l.say.releases) == 0 && !l.crossing(now):
		return true
	}
	return isDue(l.drain.overAt, now)
}

// farewell lets the last messages go out, and keeps the events of the dying link from blocking it.
func (l *loop) farewell() {
	if n := len(l.reports); n > 0 {
		l.log.Warn("reports not acknowledged yet stay in the outbox", "reports", n)
	}
	link := l.line.link
	if link == nil || !l.line.welcomed {
		return
	}
	close(link.out)
	limit := time.NewTimer(farewellTime)
	defer limit.Stop()
	for {
		select {
		case e := <-l.events:
			if e.link == link && e.err != nil {
				return
			}
		case <-limit.C:
			return
		case <-l.ctx.Done():
			return
		}
	}
}

// offLoop does what touches the disk.
func (l *loop) offLoop(do func()) { l.wg.Go(do) }

// retryOutbox has the outbox do again what failed, unless it is still at it.
func (l *loop) retryOutbox() {
	if l.retrying.CompareAndSwap(false, true) {
		l.offLoop(func() {
			defer l.retrying.Store(false)
			l.cfg.Outbox.Retry()
		})
	}
}

// isDue is false for a deadline that is not set.
func isDue(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// refused wraps the end of a stream that no redial mends.
func refused(err error) error {
	return fmt.Errorf("session: coordinator refuses this agent: %w", err)
}
