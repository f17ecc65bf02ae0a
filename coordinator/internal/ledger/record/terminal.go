package record

import (
	"bytes"
	"encoding/binary"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

const (
	terminalQueue = 1 << iota
	terminalFailure
	terminalFinal
	terminalSpent // more or less than Final alone; since format 2
	terminalKnown = 1<<iota - 1
)

// AppendTerminal appends the value of a terminal record, its result last. The serial is in
// the key.
func AppendTerminal(b []byte, v *queue.Terminal) []byte {
	f := bit(v.Queue != usualQueue, terminalQueue) | bit(v.Failure != queue.Failure{}, terminalFailure) |
		bit(v.Final != queue.Attempt{}, terminalFinal) | bit(v.Status.Spent != v.Final.Spent, terminalSpent)
	b = append(b, version)
	b = binary.AppendUvarint(b, f)
	b = appendString(b, v.ID)
	if f&terminalQueue != 0 {
		b = appendString(b, v.Queue)
	}
	b = appendStatus(b, &v.Status)
	if f&terminalFailure != 0 {
		b = appendFailure(b, &v.Failure)
	}
	if f&terminalFinal != 0 {
		b = appendAttempt(b, &v.Final)
	}
	if f&terminalSpent != 0 {
		b = binary.AppendVarint(b, int64(v.Status.Spent))
	}
	return appendBytes(b, v.Result)
}

// DecodeTerminal reads a terminal record into v, with its result only if that is asked for.
func DecodeTerminal(key, value []byte, result bool, names *Names, v *queue.Terminal) error {
	*v = queue.Terminal{}
	serial, err := SerialOf(key)
	if err != nil {
		return err
	}
	s, err := open(key, value, names)
	if err != nil {
		return err
	}
	v.Serial = serial
	f := s.flags(terminalKnown)
	v.ID, v.Queue = s.string(), usualQueue
	if f&terminalQueue != 0 {
		v.Queue = s.name()
	}
	s.status(&v.Status)
	if !v.Status.State.Terminal() {
		s.fail("terminal record in a state that is not terminal")
	}
	if f&terminalFailure != 0 {
		s.failure(&v.Failure)
	}
	if f&terminalFinal != 0 {
		s.attempt(&v.Final)
	}
	v.Status.Spent = v.Final.Spent
	if f&terminalSpent != 0 {
		v.Status.Spent = queue.Micros(s.varint())
	}
	if r := s.bytes(); result && len(r) > 0 {
		v.Result = bytes.Clone(r)
	}
	return s.done(key)
}
