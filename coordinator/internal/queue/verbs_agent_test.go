package queue

import (
	"strings"
)

// connect NAME AGENT/INSTANCE
func connectWords(w words) []Command {
	agent, instance, _ := strings.Cut(w.arg(1), "/")
	old := w.p.streams[w.arg(0)]
	s := StreamID(len(w.p.agents) + 1)
	w.p.streams[w.arg(0)], w.p.agents[s] = s, w.arg(1)
	for o, a := range w.p.agents { // what the instance held over its last stream
		if a == w.arg(1) && o != s {
			w.p.held[s], w.p.held[o] = append(w.p.held[s], w.p.held[o]...), nil
		}
	}
	delete(w.p.held, old)
	return []Command{&Connect{
		Stream: s, Agent: agent, Instance: instance, Labels: w.labels("labels"), Queues: w.list("queues"), Slots: 4,
	}}
}

func disconnectWords(w words) []Command { return []Command{&Disconnect{w.stream(w.arg(0))}} }

// beat STREAM is a heartbeat; it names all that the agent was given and has not reported,
// unless holds= says otherwise.
func beatWords(w words) []Command {
	s := w.stream(w.arg(0))
	held := w.p.held[s]
	if names, ok := w.opts["holds"]; ok {
		delete(w.opts, "holds")
		held = nil
		if names != "nothing" {
			held = w.leases(strings.Split(names, ","))
		}
	}
	c := w.p.heartbeat(s, held)
	w.also(c)
	return []Command{c}
}

// send STREAM is a message without a heartbeat.
func sendWords(w words) []Command {
	c := &Message{Stream: w.stream(w.arg(0))}
	w.also(c)
	return []Command{c}
}

func (w words) also(c *Message) {
	c.Credit = int64(w.number("credit", 0))
	c.Draining = w.opt("draining", "") != ""
}

func acquireWords(w words) []Command {
	c := &Acquire{
		Agent: w.arg(0), Request: w.opt("request", ""), Max: w.number("max", 1), Length: w.dur("length", "60s"),
		Wait: w.dur("wait", "0s"), Queues: w.list("queues"), Labels: w.labels("labels"),
	}
	w.p.calls[w.opt("as", "last")] = c
	return []Command{c}
}

func abandonWords(w words) []Command { return []Command{&Abandon{w.p.calls[w.arg(0)]}} }

// report [STREAM] LEASE… ok or a class, with text= cost= after=
func reportWords(w words) []Command {
	what := w.args[len(w.args)-1]
	leases, s := w.args[:len(w.args)-1], StreamID(0)
	if !strings.Contains(leases[0], "#") {
		s, leases = w.stream(leases[0]), leases[1:]
	}
	r := Report{Success: what == "ok"}
	text, cost := w.opt("text", ""), Micros(w.number("cost", 0))
	if r.Success {
		r.Result, r.Cost, r.HasCost = []byte(text), cost, cost != 0
	} else {
		r.Failure = Failure{Class: w.class(what), Message: text, RetryAfter: w.dur("after", "0s"), Cost: cost, HasCost: cost != 0}
		r.Invalid = w.opt("invalid", "")
	}
	r.Digest = digestOf(r)
	var rs []Report
	for _, l := range leases {
		r.Lease = w.lease(l)
		w.p.drop(r.Lease)
		rs = append(rs, r)
	}
	if s != 0 {
		return []Command{&Message{Stream: s, Reports: rs}}
	}
	return []Command{&ReportLeases{Reports: rs}}
}

func releaseWords(w words) []Command {
	args, s := w.args, StreamID(0)
	if !strings.Contains(args[0], "#") {
		s, args = w.stream(args[0]), args[1:]
	}
	var rs []Release
	started := w.opt("started", "yes") == "yes"
	for _, r := range w.leases(args) {
		w.p.drop(r)
		rs = append(rs, Release{Lease: r, Started: started})
	}
	if s != 0 {
		return []Command{&Message{Stream: s, Releases: rs}}
	}
	return []Command{&ReleaseLeases{Releases: rs}}
}

func extendWords(w words) []Command {
	c := &ExtendLeases{}
	for _, r := range w.leases(w.args) {
		c.Extensions = append(c.Extensions, Extension{Lease: r})
	}
	return []Command{c}
}
