package queue

import (
	"testing"
	"time"
)

// A lease stands under one deadline at a time: of its grant until it is confirmed, then of its
// end, though that be the same moment, and under none once it is reported.
func TestLeaseHasOneDeadline(t *testing.T) {
	m := New(Config{LeaseTTL: time.Minute, GrantTimeout: 3 * time.Minute, MaxLive: 10})
	step := func(c Command) Effects {
		return m.Step(Input{Now: 1, Released: m.Head().Batch, Commands: []Command{c}})
	}
	timed := func(when string, grants, others int32) {
		t.Helper()
		_, grant := m.grantTimes.top(m.grantHolds)
		_, other := m.leaseTimes.top(m.leaseHolds)
		if m.grantTimes.live != grants || m.leaseTimes.live != others || grant != (grants > 0) || other != (others > 0) {
			t.Fatalf("%s: %d grants (%v) and %d others (%v) are timed, want %d and %d",
				when, m.grantTimes.live, grant, m.leaseTimes.live, other, grants, others)
		}
	}
	step(&Connect{Stream: 1, Agent: "a", Instance: "i"})
	step(&Message{Stream: 1, Credit: 1})
	spec := benchSpec(1) // its attempt_timeout and a lease length are the grant timeout
	out := step(&Submit{Tasks: []Spec{spec}, Generated: []bool{true}})
	timed("before its release", 0, 0)
	step(&Read{F: func(*Machine) {}})
	timed("granted", 1, 0)
	ref := out.Streams[0].Grants[0].Lease
	step(&Message{Stream: 1, Beats: true, Held: []Extension{{Lease: ref}}})
	timed("confirmed", 0, 1)
	step(&Message{Stream: 1, Reports: []Report{{Lease: ref, Success: true}}})
	timed("reported", 0, 0)
}
