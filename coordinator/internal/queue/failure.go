package queue

import "time"

// move of a task after a failed attempt.
type verdict uint8

const (
	failNow   verdict = iota // terminal
	backOff                  // again later, and it counts to max_attempts
	waitOut                  // again later; counts only above MaxUncounted
	elsewhere                // again at once; terminal at MaxDenied
	asUnknown                // as retry.unknown_outcome says, unset: terminal
)

// verdicts is the table of README, "Concepts"; a class that is not in it is taken as INTERNAL.
var verdicts = map[Class]verdict{
	ClassConnect:        backOff,
	ClassTimeout:        asUnknown,
	ClassRateLimited:    waitOut,
	ClassOverloaded:     waitOut,
	ClassAuth:           elsewhere,
	ClassOutOfCredit:    elsewhere,
	ClassInvalidRequest: failNow,
	ClassServerError:    backOff,
	ClassBadResponse:    failNow,
	ClassTaskFailed:     failNow,
	ClassResultTooLarge: failNow,
	ClassInternal:       backOff,
}

// The bounds within which an API's Retry-After is believed.
const (
	minRetryAfter = time.Second
	maxRetryAfter = time.Hour
)

// judge decides what becomes of a task whose attempt a has failed or timed out.
func (m *Machine) judge(h uint32, t *task, a Attempt) {
	v := verdicts[a.Failure.Class]
	retry := m.terms.at(t.terms).retry
	final := v == failNow
	if v == asUnknown {
		v, final = backOff, retry.Unknown != UnknownRetry
	}
	if v == waitOut {
		if t.uncounted++; t.uncounted > MaxUncounted {
			v = backOff
		}
	}
	if v == elsewhere {
		t.denied++
	}
	if v == backOff {
		t.counted++
	}
	over := final || v == elsewhere && t.denied >= MaxDenied || v == backOff && int32(t.counted) >= retry.MaxAttempts
	switch {
	case m.overdue(t):
		m.finish(h, t, Expired, deadlineFailure, a, nil)
	case over:
		m.finish(h, t, Failed, a.Failure, a, nil)
	case v == elsewhere:
		m.again(h, t, a)
	default:
		m.spill(h, t, a)
		m.delay(h, t, a.Failure)
	}
}

// delay puts a task back until its back-off, or what the API asked for, is over.
func (m *Machine) delay(h uint32, t *task, f Failure) {
	wait := m.backOff(t)
	if c := f.Class; f.RetryAfter > 0 && (c == ClassRateLimited || c == ClassOverloaded) {
		wait = min(max(f.RetryAfter, minRetryAfter), maxRetryAfter)
	}
	if wait < time.Microsecond {
		t.ready = m.now
		m.move(h, t, Ready)
		return
	}
	t.ready = m.now + Instant(wait/time.Microsecond)
	t.set(flagBackingOff, true)
	m.move(h, t, Scheduled)
}

// backOff is uniform in [0, min(max, initial × 2^(n−1))] for the n-th failure ("full jitter"):
// a hash of serial and attempt, so that the machine stays deterministic (D7).
func (m *Machine) backOff(t *task) time.Duration {
	r := m.terms.at(t.terms).retry
	n := max(1, int(t.counted)+int(t.uncounted))
	ceiling := r.InitialBackoff
	for ; n > 1 && ceiling < r.MaxBackoff; n-- {
		ceiling *= 2
	}
	ceiling = min(ceiling, r.MaxBackoff)
	if ceiling <= 0 {
		return 0
	}
	return time.Duration(mix(uint64(t.serial)<<16^uint64(t.attempt)) % uint64(ceiling+1))
}
