package queue

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

var kindNames = []string{
	"", "SUBMITTED", "GRANTED", "LEASE_ENDED", "ATTEMPT_FAILED", "COMPLETED", "FAILED", "CANCELLED", "EXPIRED", "QUARANTINED",
	"RETRIED", "PRUNED", "QUEUE_CHANGED", "SPEND_SETTLED",
}

var endNames = []string{
	"", "EXPIRED", "UNCONFIRMED", "RELEASED", "TIMED_OUT", "REPLACED", "CANCELLED", "SUPERSEDED", "TERMINAL", "REPORTED", "UNKNOWN", "FENCED",
}

var classNames = []string{
	"", "CONNECT", "TIMEOUT", "RATE_LIMITED", "OVERLOADED", "AUTH", "OUT_OF_CREDIT", "INVALID_REQUEST", "SERVER_ERROR",
	"BAD_RESPONSE", "TASK_FAILED", "RESULT_TOO_LARGE", "LEASE_EXPIRED", "INTERNAL", "CANCELLED", "DEPENDENCY_FAILED", "DEADLINE",
}

var outcomeNames = []string{
	"", "RUNNING", "SUCCEEDED", "FAILED", "LOST", "RELEASED", "UNCONFIRMED", "CANCELLED", "SUPERSEDED",
}

var ackNames = []string{"", "RECORDED", "DUPLICATE", "LEASE_LOST", "INVALID"}

var whyNames = []string{
	"", "TERMINAL", "RUNNING", "BLOCKED", "NOT_BEFORE", "BACKING_OFF", "QUEUE_PAUSED", "NO_MATCHING_AGENT", "NO_FREE_AGENT",
	"QUEUE_LIMIT", "RATE_LIMIT", "BUDGET", "CONCURRENCY_KEY",
}

func eventText(e *Event) string {
	words := []string{fmt.Sprintf("%d %s", e.Sequence, kindNames[e.Kind])}
	add := func(some bool, format string, args ...any) {
		if some {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(e.Task == "", "%s: %s", e.Queue, e.Reason)
	add(e.Task != "" && e.Attempt == 0, "%s", e.Task)
	add(e.Task != "" && e.Attempt != 0, "%s#%d", e.Task, e.Attempt)
	add(e.Agent != "", "by %s", e.Agent)
	add(e.End != 0, "%s", endNames[e.End])
	add(e.Class != 0, "class %s", classNames[e.Class])
	add(e.HasCost, "cost %d", e.Cost)
	return strings.Join(words, " ")
}

// answer writes down the reply of a command.
func (p *player) answer(c Command) {
	switch c := c.(type) {
	case *Submit:
		p.made(c.Err, c.Existed, func(i int) string { return c.Tasks[i].ID })
	case *Import:
		p.made(c.Err, c.Existed, func(i int) string { return c.Tasks[i].Spec.ID })
	case *Cancel:
		p.changed(c.Err, c.Changed)
	case *Rerun:
		p.changed(c.Err, c.Changed)
	case *ReportLeases:
		p.acks(c.Reports)
	case *ReleaseLeases:
		for _, r := range c.Releases {
			p.outcome("released", r.Lease, r.Released, r.End, "")
		}
	case *ExtendLeases:
		for _, x := range c.Extensions {
			p.outcome("extended", x.Lease, x.Extended, x.End, fmt.Sprint(" for ", x.Left))
		}
	case *Acquire:
		p.acquired(c)
	case *Connect:
		if c.Err != nil {
			p.say("refused: %v", c.Err)
		} else {
			p.say("welcome: leases of %v, heartbeat every %v", c.TTL, c.Interval)
		}
	case *Message:
		p.messaged(c)
	case *SetPaused:
		p.changed(c.Err, -1)
	case *UpdateQueue:
		p.changed(c.Err, -1)
		if c.Err == nil {
			p.say("%s has version %d", c.Queue, c.View.Version)
		}
	case *Drain:
		p.changed(c.Err, -1)
	case *Prune:
		p.say("pruned %d, deferred %d", c.Pruned, len(c.Deferred))
	}
}

func (p *player) made(err error, existed []bool, id func(int) string) {
	if err != nil {
		p.say("refused: %v", err)
	}
	for i, old := range existed {
		if old {
			p.say("%s existed", id(i))
		}
	}
}

func (p *player) changed(err error, n int) {
	switch {
	case err != nil:
		p.say("refused: %v", err)
	case n >= 0:
		p.say("changed %d", n)
	}
}

func (p *player) acks(rs []Report) {
	for _, r := range rs {
		why := ""
		if r.End != 0 {
			why = " " + endNames[r.End]
		}
		if r.Winner {
			why = ", it wins"
		}
		p.say("report of %s: %s%s", p.ref(r.Lease), ackNames[r.Ack], why)
	}
}

func (p *player) outcome(what string, r LeaseRef, ok bool, end EndReason, more string) {
	if ok {
		p.say("%s: %s%s", p.ref(r), what, more)
	} else {
		p.say("%s: not %s, %s", p.ref(r), what, endNames[end])
	}
}

func (p *player) acquired(c *Acquire) {
	if len(c.Grants) == 0 {
		p.say("%s gets nothing", c.Agent)
	}
	for _, g := range c.Grants {
		p.say("%s gets %s of run %d for %v", c.Agent, p.ref(g.Lease), g.Run, g.Left)
	}
}

func (p *player) messaged(c *Message) {
	if c.Gone {
		p.say("the stream is gone")
	}
	p.acks(c.Reports)
	for _, x := range c.Cancels {
		p.drop(x.Lease)
		p.say("→ %s: drop %s, %s", p.streamName(c.Stream), p.ref(x.Lease), endNames[x.Reason])
	}
}

// show writes down all that is recorded of a task, and what the machine holds of it.
func (p *player) show(id string) {
	s := p.book.ids[id]
	if s == 0 {
		p.say("%s is not there", id)
		return
	}
	k := p.book.known(s)
	st := k.Status
	if v, ok := p.m.Task(id); ok && !v.Terminal {
		st = v.Status
	}
	p.say("%s %s run %d attempt %d%s%s", id, st.State, st.Run, st.Attempt, p.times(st), figures(st))
	if k.Failure.Class != 0 {
		p.say("  failure %s: %s", classNames[k.Failure.Class], k.Failure.Message)
	}
	if r := p.book.terminal[s].Result; r != nil {
		p.say("  result %q", r)
	}
	if k.Final.Number != 0 && !slices.ContainsFunc(k.Attempts, func(a Attempt) bool { return a.Number == k.Final.Number }) {
		k.Attempts = append(k.Attempts, k.Final)
	}
	for _, a := range k.Attempts {
		cost := ""
		if a.HasCost {
			cost = fmt.Sprint(" cost ", a.Cost)
		}
		p.say("  attempt %d run %d %s: %s, %s %s%s", a.Number, a.Run, a.Agent, outcomeNames[a.Outcome], endNames[a.End],
			classNames[a.Failure.Class], cost)
	}
	if v, ok := p.m.Task(id); ok && v.Lease != nil {
		p.say("  lease of %s, attempt %d, left %v", v.Lease.Agent, v.Lease.Attempt, v.Lease.Left)
	}
}

func (p *player) times(st Status) string {
	text := ""
	for _, x := range []struct {
		name string
		at   Instant
	}{{"ready", st.Ready}, {"start", st.Start}, {"finish", st.Finish}, {"expires", st.ExpireTime}} {
		jitter := st.BackingOff && x.name == "ready" // not shown
		if x.at != 0 && !jitter {
			text += fmt.Sprintf(" %s %v", x.name, time.Duration(x.at-p.start)*time.Microsecond)
		}
	}
	return text
}

func figures(st Status) string {
	text := ""
	for _, x := range []struct {
		name string
		n    int32
	}{{"counted", st.Counted}, {"lost", st.Lost}, {"uncounted", st.Uncounted}, {"denied", st.Denied}, {"spent", int32(st.Spent)}} {
		if x.n != 0 {
			text += fmt.Sprintf(" %s %d", x.name, x.n)
		}
	}
	return text
}
