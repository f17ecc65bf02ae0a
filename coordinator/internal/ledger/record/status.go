package record

import (
	"encoding/binary"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

const (
	statusRun = 1 << iota
	statusAttempt
	statusReady
	statusStart
	statusFinish
	statusNotBefore
	statusExpire
	statusCounted
	statusLost
	statusUncounted
	statusDenied
	statusBackingOff
	statusSpilled
	statusKnown = 1<<iota - 1
)

// appendStatus spells times as differences to the creation, which are short. A difference
// that overflows wraps, and wraps back when it is read. Spent is spelled by the record around
// it, which knows what it usually is.
func appendStatus(b []byte, v *queue.Status) []byte {
	f := bit(v.Run != usualRun, statusRun) | bit(v.Attempt != 0, statusAttempt) |
		bit(v.Ready != 0, statusReady) | bit(v.Start != 0, statusStart) |
		bit(v.Finish != 0, statusFinish) | bit(v.NotBefore != 0, statusNotBefore) |
		bit(v.ExpireTime != 0, statusExpire) | bit(v.Counted != 0, statusCounted) |
		bit(v.Lost != 0, statusLost) | bit(v.Uncounted != 0, statusUncounted) |
		bit(v.Denied != 0, statusDenied) | bit(v.BackingOff, statusBackingOff) |
		bit(v.Spilled, statusSpilled)
	b = append(b, byte(v.State))
	b = binary.AppendUvarint(b, f)
	b = binary.AppendVarint(b, int64(v.Create))
	b = appendInt32(b, f&statusRun, v.Run)
	b = appendInt32(b, f&statusAttempt, v.Attempt)
	b = appendSince(b, f&statusReady, v.Ready, v.Create)
	b = appendSince(b, f&statusStart, v.Start, v.Create)
	b = appendSince(b, f&statusFinish, v.Finish, v.Create)
	b = appendSince(b, f&statusNotBefore, v.NotBefore, v.Create)
	b = appendSince(b, f&statusExpire, v.ExpireTime, v.Create)
	b = appendInt32(b, f&statusCounted, v.Counted)
	b = appendInt32(b, f&statusLost, v.Lost)
	b = appendInt32(b, f&statusUncounted, v.Uncounted)
	return appendInt32(b, f&statusDenied, v.Denied)
}

func (s *scan) status(v *queue.Status) {
	v.State = queue.State(s.byte())
	if v.State == 0 || int(v.State) >= queue.States {
		s.fail("unknown state")
	}
	f := s.flags(statusKnown)
	v.Create = queue.Instant(s.varint())
	v.Run = s.optInt32(f&statusRun, usualRun)
	v.Attempt = s.optInt32(f&statusAttempt, 0)
	v.Ready = s.since(f&statusReady, v.Create)
	v.Start = s.since(f&statusStart, v.Create)
	v.Finish = s.since(f&statusFinish, v.Create)
	v.NotBefore = s.since(f&statusNotBefore, v.Create)
	v.ExpireTime = s.since(f&statusExpire, v.Create)
	v.Counted = s.optInt32(f&statusCounted, 0)
	v.Lost = s.optInt32(f&statusLost, 0)
	v.Uncounted = s.optInt32(f&statusUncounted, 0)
	v.Denied = s.optInt32(f&statusDenied, 0)
	v.BackingOff = f&statusBackingOff != 0
	v.Spilled = f&statusSpilled != 0
}

func appendInt32(b []byte, there uint64, v int32) []byte {
	if there == 0 {
		return b
	}
	return binary.AppendVarint(b, int64(v))
}

func (s *scan) optInt32(there uint64, usual int32) int32 {
	if there == 0 {
		return usual
	}
	return s.int32()
}

func appendSince(b []byte, there uint64, v, from queue.Instant) []byte {
	if there == 0 {
		return b
	}
	return binary.AppendVarint(b, int64(v-from))
}

func (s *scan) since(there uint64, from queue.Instant) queue.Instant {
	if there == 0 {
		return 0
	}
	return from + queue.Instant(s.varint())
}
