package queue

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// drawLease names a lease: mostly a live one, at times any ever granted, or none at all.
func (w *world) drawLease(agent string, unary bool) (LeaseRef, bool) {
	var some []LeaseRef
	kind := rapid.SampledFrom([]string{"own", "own", "own", "any", "any live", "none"}).Draw(w.t, "lease")
	for _, l := range w.leases {
		t := w.ref.tasks[l.ref.Serial]
		live := t != nil && t.lease != nil && t.lease.attempt == l.ref.Attempt
		if kind == "any" || kind == "any live" && live || kind == "own" && live && l.unary == unary && (unary || l.agent == agent) {
			some = append(some, l.ref)
		}
	}
	if kind == "none" && w.chance(10, "bogus") {
		some = []LeaseRef{{}, {1, 99}, {999, 1}, {1, -1}}
	}
	if len(some) == 0 {
		return LeaseRef{}, false
	}
	if len(some) > 12 {
		some = some[len(some)-12:]
	}
	return rapid.SampledFrom(some).Draw(w.t, "which"), true
}

func (w *world) drawReport(agent string, unary bool) (Report, bool) {
	ref, ok := w.drawLease(agent, unary)
	if !ok {
		return Report{}, false
	}
	x := Report{Lease: ref}
	cost := Micros(rapid.SampledFrom([]int{0, 0, 5, 7}).Draw(w.t, "cost"))
	if x.Success = w.chance(35, "success"); x.Success {
		x.Result = fmt.Appendf(nil, "result %d of %v", rapid.IntRange(0, 1).Draw(w.t, "version"), ref)
		x.Cost, x.HasCost = cost, cost > 0
	} else {
		x.Failure = Failure{
			Class:      Class(rapid.IntRange(0, int(ClassDeadline)+1).Draw(w.t, "class")),
			RetryAfter: rapid.SampledFrom([]time.Duration{0, 0, time.Millisecond, 4 * time.Second}).Draw(w.t, "after"),
			Cost:       cost, HasCost: cost > 0,
		}
		if w.chance(60, "mild") {
			x.Failure.Class = rapid.SampledFrom([]Class{ClassConnect, ClassRateLimited, ClassAuth, ClassInternal}).Draw(w.t, "mild class")
		}
		if w.chance(5, "invalid") {
			x.Invalid = "too large"
		}
	}
	x.Digest = digestOf(x)
	return x, true
}

func (w *world) drawReportsOf(agent string, unary bool, most int) []Report {
	var xs []Report
	for range rapid.IntRange(0, most).Draw(w.t, "reports") {
		if x, ok := w.drawReport(agent, unary); ok {
			xs = append(xs, x)
		}
	}
	return xs
}

func (w *world) drawReports() (Command, Command) {
	xs := w.drawReportsOf("", true, 2)
	if len(xs) == 0 {
		return nil, nil
	}
	return &ReportLeases{Reports: xs}, &ReportLeases{Reports: slices.Clone(xs)}
}

func (w *world) drawReleasesOf(agent string, unary bool) []Release {
	var xs []Release
	if ref, ok := w.drawLease(agent, unary); ok {
		xs = append(xs, Release{Lease: ref, Started: w.chance(50, "started")})
	}
	return xs
}

func (w *world) drawReleases() (Command, Command) {
	xs := w.drawReleasesOf("", true)
	if len(xs) == 0 {
		return nil, nil
	}
	return &ReleaseLeases{Releases: xs}, &ReleaseLeases{Releases: slices.Clone(xs)}
}

func (w *world) drawExtensions() (Command, Command) {
	ref, ok := w.drawLease("", true)
	if !ok {
		return nil, nil
	}
	xs := []Extension{{Lease: ref, Progress: 0.5, HasProgress: true}}
	return &ExtendLeases{Extensions: xs}, &ExtendLeases{Extensions: slices.Clone(xs)}
}

func (w *world) drawAgent() string {
	return rapid.SampledFrom([]string{"a", "b", "c"}).Draw(w.t, "agent")
}

func (w *world) drawLabels() []Label {
	if w.chance(50, "gpu") {
		return []Label{{"gpu", "true"}}
	}
	return nil
}

func (w *world) drawQueues() []string {
	return rapid.SampledFrom([][]string{nil, nil, {"q2"}, {DefaultQueue, "q2"}}).Draw(w.t, "queues")
}

func (w *world) drawAcquire() (Command, Command) {
	a := &Acquire{
		Agent:   w.drawAgent(),
		Request: rapid.SampledFrom([]string{"", "", "r1", "r1", "r1", "r2"}).Draw(w.t, "request"),
		Max:     rapid.IntRange(1, 3).Draw(w.t, "max"),
		Length:  rapid.SampledFrom([]time.Duration{5 * time.Second, 20 * time.Second}).Draw(w.t, "length"),
		Wait:    rapid.SampledFrom([]time.Duration{0, 0, 4 * time.Second, 20 * time.Second}).Draw(w.t, "wait"),
		Queues:  w.drawQueues(), Labels: w.drawLabels(),
	}
	b := *a
	w.calls = append(w.calls, &order{c: a, twin: &b})
	return a, &b
}

func (w *world) drawAbandon() (Command, Command) {
	if len(w.calls) == 0 {
		return nil, nil
	}
	i := rapid.IntRange(0, len(w.calls)-1).Draw(w.t, "call")
	o := w.calls[i]
	w.calls = slices.Delete(w.calls, i, i+1)
	return &Abandon{o.c.(*Acquire)}, &Abandon{o.twin.(*Acquire)}
}

func (w *world) drawConnect() (Command, Command) {
	w.stream++
	a := &Connect{
		Stream: w.stream, Agent: w.drawAgent(), Instance: rapid.SampledFrom([]string{"i1", "i1", "i1", "i2"}).Draw(w.t, "instance"),
		Labels: w.drawLabels(), Queues: w.drawQueues(), Slots: 2,
	}
	b := *a
	return a, &b
}

func (w *world) drawStream() (StreamID, string) {
	var open []StreamID
	for _, s := range w.streams {
		if w.agentOf(s) != "" || w.chance(2, "closed stream") {
			open = append(open, s)
		}
	}
	if len(open) == 0 {
		return 0, ""
	}
	s := rapid.SampledFrom(open).Draw(w.t, "stream")
	return s, w.agentOf(s)
}

func (w *world) agentOf(s StreamID) string {
	for id, a := range w.ref.agents {
		if a.stream == s {
			return id
		}
	}
	return ""
}

func (w *world) drawDisconnect() (Command, Command) {
	s, _ := w.drawStream()
	return &Disconnect{s}, &Disconnect{s}
}

// drawMessage is a message of an agent: mostly a heartbeat that names what it holds.
func (w *world) drawMessage() (Command, Command) {
	s, id := w.drawStream()
	if s == 0 {
		return nil, nil
	}
	a := &Message{
		Stream:   s,
		Reports:  w.drawReportsOf(id, false, 2),
		Beats:    w.chance(70, "beats"),
		Credit:   int64(rapid.SampledFrom([]int{0, 1, 2, 3, 5, 9}).Draw(w.t, "credit")),
		Draining: w.chance(2, "draining"),
	}
	if w.chance(15, "release") {
		a.Releases = w.drawReleasesOf(id, false)
	}
	if a.Beats {
		for _, t := range w.ref.session(id) {
			if w.chance(80, "names") {
				a.Held = append(a.Held, Extension{Lease: LeaseRef{t.spec.Serial, t.lease.attempt}})
			}
		}
		if ref, ok := w.drawLease(id, false); ok && w.chance(20, "other") {
			a.Held = append(a.Held, Extension{Lease: ref})
		}
	}
	b := *a
	b.Reports, b.Releases, b.Held = slices.Clone(a.Reports), slices.Clone(a.Releases), slices.Clone(a.Held)
	return a, &b
}
