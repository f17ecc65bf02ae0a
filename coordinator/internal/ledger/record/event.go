package record

import (
	"encoding/binary"
	"fmt"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// An event is spelled by what differs from the one before it in the pack, the first from
// the zero event. Its cost, if it has one, differs from the last one told, at first the usual one.
const (
	eventTime  = 1 << iota // another time
	eventTask              // another task, by id and serial
	eventQueue             // another queue
	eventAgent             // another agent
	eventRun               // another run
	eventAttempt
	eventReason
	eventEnd
	eventClass
	eventHasCost // since format 2, as all below
	eventCost    // another cost than the last one told in the pack
	eventKnown   = 1<<iota - 1
)

const leastEvent = 2 // bytes: flags and kind

// AppendEvents appends the value of one commit's events, whose sequences must follow each
// other. The first sequence is in the key.
func AppendEvents(b []byte, vs []queue.Event) ([]byte, error) {
	b = append(b, version)
	b = binary.AppendUvarint(b, uint64(len(vs)))
	var zero queue.Event
	prev, cost := &zero, usualMaxCost
	for i := range vs {
		v := &vs[i]
		if v.Sequence != vs[0].Sequence+int64(i) {
			return nil, fmt.Errorf("record: event %d after event %d in one batch", v.Sequence, prev.Sequence)
		}
		b = appendEvent(b, v, prev, cost)
		if prev = v; v.HasCost {
			cost = v.Cost
		}
	}
	return b, nil
}

func appendEvent(b []byte, v, prev *queue.Event, cost queue.Micros) []byte {
	f := bit(v.Time != prev.Time, eventTime) | bit(v.Task != prev.Task || v.Serial != prev.Serial, eventTask) |
		bit(v.Queue != prev.Queue, eventQueue) | bit(v.Agent != prev.Agent, eventAgent) |
		bit(v.Run != prev.Run, eventRun) | bit(v.Attempt != 0, eventAttempt) |
		bit(v.Reason != "", eventReason) | bit(v.End != 0, eventEnd) | bit(v.Class != 0, eventClass) |
		bit(v.HasCost, eventHasCost) | bit(v.HasCost && v.Cost != cost, eventCost)
	b = binary.AppendUvarint(b, f)
	b = append(b, byte(v.Kind))
	b = appendSince(b, f&eventTime, v.Time, prev.Time)
	if f&eventTask != 0 {
		b = binary.AppendUvarint(appendString(b, v.Task), uint64(v.Serial))
	}
	if f&eventQueue != 0 {
		b = appendString(b, v.Queue)
	}
	if f&eventAgent != 0 {
		b = appendString(b, v.Agent)
	}
	b = appendInt32(b, f&eventRun, v.Run)
	b = appendInt32(b, f&eventAttempt, v.Attempt)
	if f&eventReason != 0 {
		b = appendString(b, v.Reason)
	}
	if f&eventEnd != 0 {
		b = append(b, byte(v.End))
	}
	if f&eventClass != 0 {
		b = append(b, byte(v.Class))
	}
	if f&eventCost != 0 {
		b = binary.AppendVarint(b, int64(v.Cost-cost))
	}
	return b
}

// DecodeEvents reads the events of one commit and appends them to vs.
func DecodeEvents(key, value []byte, names *Names, vs []queue.Event) ([]queue.Event, error) {
	first, err := FirstEvent(key)
	if err != nil {
		return vs, err
	}
	s, err := open(key, value, names)
	if err != nil {
		return vs, err
	}
	n := s.count(leastEvent)
	if n == 0 {
		s.fail("no events")
	}
	var e queue.Event
	cost := usualMaxCost
	for i := range n {
		s.event(&e, &cost)
		e.Sequence = first + int64(i)
		vs = append(vs, e)
	}
	return vs, s.done(key)
}

// event reads the event that follows e over it; cost is the last one told.
func (s *scan) event(e *queue.Event, cost *queue.Micros) {
	f := s.flags(eventKnown)
	e.Kind = queue.EventKind(s.byte())
	if f&eventTime != 0 {
		e.Time = s.since(f, e.Time)
	}
	if f&eventTask != 0 {
		e.Task = s.string()
		e.Serial = queue.Serial(s.uvarint())
	}
	if f&eventQueue != 0 {
		e.Queue = s.name()
	}
	if f&eventAgent != 0 {
		e.Agent = s.name()
	}
	e.Run = s.optInt32(f&eventRun, e.Run)
	e.Attempt = s.optInt32(f&eventAttempt, 0)
	e.Reason, e.End, e.Class = "", 0, 0
	if f&eventReason != 0 {
		e.Reason = s.string()
	}
	if f&eventEnd != 0 {
		e.End = queue.EndReason(s.byte())
	}
	if f&eventClass != 0 {
		e.Class = queue.Class(s.byte())
	}
	if f&eventCost != 0 {
		*cost += queue.Micros(s.varint())
	}
	if e.Cost, e.HasCost = 0, f&eventHasCost != 0; e.HasCost {
		e.Cost = *cost
	}
}
