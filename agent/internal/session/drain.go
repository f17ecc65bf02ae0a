package session

import (
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	// maxReserve is how much of a drain is kept, at most, for what was cut to be told and acknowledged; of a short one it is
	// a tenth.
	maxReserve = 2 * time.Second

	// minTelling is what telling gets even if the drain's limit is 0.
	minTelling = time.Second
)

// drain is the way to the end of Run. Once on, it stays.
type drain struct {
	asked  <-chan struct{} // closed by Session.Drain; nil afterwards
	on     bool
	cutAt  time.Time // calls are cut and their leases released; zero: all may finish
	overAt time.Time // Run ends, whatever is left; zero: when all is told
	redial bool      // a link was wanted at once for what is to be told

	// Grants may be on their way until the coordinator has acknowledged a heartbeat that came with the word of the drain.
	beat    int64     // that heartbeat's number
	settled time.Time // it is not waited for any longer
}

// startDrain takes no more work and gives back what has not started. With bounded, all is over after limit, or after a second
// if that is longer; a drain that is on already can only become shorter.
func (l *loop) startDrain(now time.Time, cause string, limit time.Duration, bounded bool) {
	if bounded {
		reserve := min(limit/10, maxReserve)
		cutAt := now.Add(limit - reserve)
		l.drain.cutAt = earlier(l.drain.cutAt, cutAt)
		l.drain.overAt = earlier(l.drain.overAt, cutAt.Add(max(reserve, minTelling)))
	}
	if l.drain.on {
		return
	}
	l.drain.on = true
	l.drain.beat, l.drain.settled = l.line.heartbeats+1, now.Add(minTelling)
	l.say.draining, l.say.heartbeat = true, true
	l.log.Info("draining", "cause", cause, "bounded", bounded, "limit", limit, "leases_held", len(l.works), "running", l.running)
	for _, w := range l.queue {
		delete(l.works, w.lease.GetLeaseId())
		l.say.releases = append(l.say.releases, &stintv1.Release{LeaseId: w.lease.GetLeaseId()})
	}
	l.active -= len(l.queue)
	l.queue = nil
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// crossing is true while a grant may be on its way to an agent that takes no more: it is to be given back.
func (l *loop) crossing(now time.Time) bool {
	return l.line.welcomed && l.line.credit > l.line.granted && l.line.ackedBeat < l.drain.beat && now.Before(l.drain.settled)
}

// nextDue is when crossing will change by itself; zero: never.
func (d *drain) nextDue(now time.Time) time.Time {
	if now.Before(d.settled) {
		return d.settled
	}
	return time.Time{}
}

// tendDrain cuts what still runs when its time is up; each is released when its call has ended. To tell that there is little
// time, so no link is waited for.
func (l *loop) tendDrain(now time.Time) {
	if l.line.link == nil && len(l.say.releases) > 0 && !l.drain.redial {
		l.drain.redial = true
		l.dial(now)
	}
	if !isDue(l.drain.cutAt, now) {
		return
	}
	l.drain.cutAt = time.Time{}
	for _, w := range l.works {
		if w.state == running {
			w.release = true
			w.cancel()
		}
	}
}

// holds is true while something is held for the ledger at the other end. What ended for another one waits for that, and keeps
// nobody here.
func (l *loop) holds() bool {
	for _, w := range l.works {
		if w.state != done || w.ledgerID == l.line.ledgerID {
			return true
		}
	}
	return false
}

// idle counts checks in a row that found nothing to do.
type idle struct {
	cycles  int
	checkAt time.Time // zero: not connected yet, or not wanted
}

// begin starts the checks with the first welcome.
func (i *idle) begin(now time.Time, cfg Config) {
	if i.checkAt.IsZero() && cfg.MaxIdleCycles > 0 {
		i.checkAt = now.Add(cfg.IdleInterval)
	}
}

// tendIdle makes a check. One counts only while work could come: connected, nothing held, all reported, a slot on offer.
func (l *loop) tendIdle(now time.Time) {
	if !isDue(l.idle.checkAt, now) {
		return
	}
	l.idle.checkAt = now.Add(l.cfg.IdleInterval)
	if !l.line.welcomed || l.active > 0 || l.holds() || len(l.reports) > 0 || l.line.credit <= l.line.granted {
		return
	}
	l.idle.cycles++
	l.log.Info("nothing to do", "cycle", l.idle.cycles, "of", l.cfg.MaxIdleCycles)
	if l.idle.cycles >= l.cfg.MaxIdleCycles {
		l.startDrain(now, "nothing to do", 0, false)
	}
}
