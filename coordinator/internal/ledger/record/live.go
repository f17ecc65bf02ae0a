package record

import (
	"encoding/binary"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

const (
	liveGrant = 1 << iota
	liveSpent // since format 2
	liveKnown = 1<<iota - 1
)

// AppendLive appends the value of a live record. The serial is in the key.
func AppendLive(b []byte, v *queue.Live) []byte {
	f := bit(v.Grant != queue.Grant{}, liveGrant) | bit(v.Status.Spent != 0, liveSpent)
	b = append(b, version)
	b = binary.AppendUvarint(b, f)
	b = appendString(b, v.ID)
	b = appendTerms(b, &terms{
		digest: v.Digest, queue: v.Queue, priority: v.Priority, parents: v.Parents,
		policy: v.OnFailure, timeout: v.AttemptTimeout, retry: v.Retry, requires: v.Requires,
		maxCost: v.MaxCost, fairness: v.FairnessKey, concurrency: v.ConcurrencyKey,
	})
	b = appendStatus(b, &v.Status)
	if f&liveGrant != 0 {
		g := &v.Grant
		b = appendString(appendString(appendString(b, g.Agent), g.Instance), g.Request)
		b = binary.AppendVarint(b, int64(g.Length))
		b = binary.AppendVarint(b, int64(g.Start-v.Status.Create))
	}
	if f&liveSpent != 0 {
		b = binary.AppendVarint(b, int64(v.Status.Spent))
	}
	return b
}

// DecodeLive reads a live record into v, reusing the slices in it, but no values of requirements.
func DecodeLive(key, value []byte, names *Names, v *queue.Live) error {
	t := terms{parents: v.Parents, requires: v.Requires}
	*v = queue.Live{}
	serial, err := SerialOf(key)
	if err != nil {
		return err
	}
	s, err := open(key, value, names)
	if err != nil {
		return err
	}
	v.Serial = serial
	f := s.flags(liveKnown)
	v.ID = s.string()
	s.terms(&t)
	v.Digest, v.Queue, v.Priority, v.Parents = t.digest, t.queue, t.priority, t.parents
	v.OnFailure, v.AttemptTimeout, v.Retry, v.Requires = t.policy, t.timeout, t.retry, t.requires
	v.MaxCost, v.FairnessKey, v.ConcurrencyKey = t.maxCost, t.fairness, t.concurrency
	s.status(&v.Status)
	if v.Status.State.Terminal() {
		s.fail("live record in a terminal state")
	}
	if f&liveGrant != 0 {
		g := &v.Grant
		g.Agent, g.Instance, g.Request = s.name(), s.name(), s.string()
		g.Length = time.Duration(s.varint())
		g.Start = v.Status.Create + queue.Instant(s.varint())
	}
	if f&liveSpent != 0 {
		v.Status.Spent = queue.Micros(s.varint())
	}
	return s.done(key)
}
