package record

import (
	"encoding/binary"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

const (
	attemptUnary = 1 << iota
	attemptReported
	attemptDigest
	attemptFailure
	attemptCost
	attemptHasCost
	attemptSpentAll // settled at its reservation; since format 2, as all below
	attemptReserved
	attemptSpent
	attemptSettled // settled without a report, or the other way round
	attemptKnown   = 1<<iota - 1
)

const (
	failureClass = 1 << iota
	failureMessage
	failureStatus
	failureRetryAfter
	failureCost
	failureHasCost
	failureKnown = 1<<iota - 1
)

// AppendAttempt appends the value of an attempt.
func AppendAttempt(b []byte, v *queue.Attempt) []byte {
	return appendAttempt(append(b, version), v)
}

// DecodeAttempt reads an attempt into v.
func DecodeAttempt(key, value []byte, names *Names, v *queue.Attempt) error {
	*v = queue.Attempt{}
	k, err := AttemptOf(key)
	if err != nil {
		return err
	}
	s, err := open(key, value, names)
	if err != nil {
		return err
	}
	s.attempt(v)
	if v.Number != k.Number {
		s.fail("another attempt's number")
	}
	return s.done(key)
}

func appendAttempt(b []byte, v *queue.Attempt) []byte {
	f := bit(v.Unary, attemptUnary) | bit(v.Reported, attemptReported) |
		bit(v.Digest != queue.Digest{}, attemptDigest) | bit(v.Failure != queue.Failure{}, attemptFailure) |
		bit(v.Cost != 0, attemptCost) | bit(v.HasCost, attemptHasCost) |
		bit(v.Reserved != usualMaxCost, attemptReserved) | spentFlag(v) |
		bit(v.Settled != v.Reported, attemptSettled)
	b = binary.AppendUvarint(b, f)
	b = binary.AppendVarint(b, int64(v.Number))
	b = binary.AppendVarint(b, int64(v.Run))
	b = appendString(b, v.Agent)
	b = binary.AppendVarint(b, int64(v.Start))
	b = binary.AppendVarint(b, int64(v.Finish-v.Start))
	b = append(b, byte(v.Outcome), byte(v.End))
	if f&attemptDigest != 0 {
		b = append(b, v.Digest[:]...)
	}
	if f&attemptFailure != 0 {
		b = appendFailure(b, &v.Failure)
	}
	if f&attemptCost != 0 {
		b = binary.AppendVarint(b, int64(v.Cost))
	}
	if f&attemptReserved != 0 {
		b = binary.AppendVarint(b, int64(v.Reserved))
	}
	if f&attemptSpent != 0 {
		b = binary.AppendVarint(b, int64(v.Spent))
	}
	return b
}

// spentFlag says how what an attempt settled at is spelled: usually it is the stated cost, 0
// without one, or the reservation.
func spentFlag(v *queue.Attempt) uint64 {
	switch v.Spent {
	case statedCost(v):
		return 0
	case v.Reserved:
		return attemptSpentAll
	}
	return attemptSpent
}

func statedCost(v *queue.Attempt) queue.Micros {
	if !v.HasCost {
		return 0
	}
	return v.Cost
}

func (s *scan) attempt(v *queue.Attempt) {
	f := s.flags(attemptKnown)
	v.Unary, v.Reported, v.HasCost = f&attemptUnary != 0, f&attemptReported != 0, f&attemptHasCost != 0
	v.Settled = v.Reported != (f&attemptSettled != 0)
	v.Number, v.Run, v.Agent = s.int32(), s.int32(), s.name()
	v.Start = queue.Instant(s.varint())
	v.Finish = v.Start + queue.Instant(s.varint())
	v.Outcome, v.End = queue.Outcome(s.byte()), queue.EndReason(s.byte())
	if f&attemptDigest != 0 {
		copy(v.Digest[:], s.take(uint64(len(v.Digest))))
	}
	if f&attemptFailure != 0 {
		s.failure(&v.Failure)
	}
	if f&attemptCost != 0 {
		v.Cost = queue.Micros(s.varint())
	}
	v.Reserved = usualMaxCost
	if f&attemptReserved != 0 {
		v.Reserved = queue.Micros(s.varint())
	}
	v.Spent = statedCost(v)
	if f&attemptSpentAll != 0 {
		v.Spent = v.Reserved
	}
	if f&attemptSpent != 0 {
		v.Spent = queue.Micros(s.varint())
	}
}

func appendFailure(b []byte, v *queue.Failure) []byte {
	f := bit(v.Class != 0, failureClass) | bit(v.Message != "", failureMessage) |
		bit(v.HTTPStatus != 0, failureStatus) | bit(v.RetryAfter != 0, failureRetryAfter) |
		bit(v.Cost != 0, failureCost) | bit(v.HasCost, failureHasCost)
	b = binary.AppendUvarint(b, f)
	if f&failureClass != 0 {
		b = append(b, byte(v.Class))
	}
	if f&failureMessage != 0 {
		b = appendString(b, v.Message)
	}
	b = appendInt32(b, f&failureStatus, v.HTTPStatus)
	if f&failureRetryAfter != 0 {
		b = binary.AppendVarint(b, int64(v.RetryAfter))
	}
	if f&failureCost != 0 {
		b = binary.AppendVarint(b, int64(v.Cost))
	}
	return b
}

func (s *scan) failure(v *queue.Failure) {
	f := s.flags(failureKnown)
	if f&failureClass != 0 {
		v.Class = queue.Class(s.byte())
	}
	if f&failureMessage != 0 {
		v.Message = s.string()
	}
	v.HTTPStatus = s.optInt32(f&failureStatus, 0)
	if f&failureRetryAfter != 0 {
		v.RetryAfter = time.Duration(s.varint())
	}
	if f&failureCost != 0 {
		v.Cost = queue.Micros(s.varint())
	}
	v.HasCost = f&failureHasCost != 0
}
