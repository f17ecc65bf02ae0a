package queue

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// words are one command of a script: a verb, plain arguments, and name=value options.
type words struct {
	p    *player
	verb string
	args []string
	opts map[string]string
}

// line runs one line: commands joined by " + " arrive in one step.
func (p *player) line(text string) {
	var cs []Command
	for _, part := range strings.Split(text, " + ") {
		w := words{p: p, opts: map[string]string{}}
		for i, f := range strings.Fields(part) {
			name, value, isOpt := strings.Cut(f, "=")
			switch {
			case i == 0:
				w.verb = f
			case isOpt:
				w.opts[name] = value
			default:
				w.args = append(w.args, f)
			}
		}
		make, ok := verbs[w.verb]
		if !ok {
			p.t.Fatalf("unknown verb in %q", text)
		}
		cs = append(cs, make(w)...)
		for name := range w.opts {
			p.t.Fatalf("unknown option %s in %q", name, text)
		}
	}
	if len(cs) > 0 {
		p.step(cs...)
	}
}

var verbs map[string]func(words) []Command

func init() { // they refer to each other
	verbs = map[string]func(words) []Command{
		"submit": submitWords, "fan": fanWords, "cancel": cancelWords, "retry": retryWords, "import": importWords,
		"connect": connectWords, "disconnect": disconnectWords, "beat": beatWords, "send": sendWords,
		"acquire": acquireWords, "abandon": abandonWords, "report": reportWords, "release": releaseWords, "extend": extendWords,
		"pause": pauseWords, "resume": pauseWords, "drain": drainWords, "prune": pruneWords, "quiesce": quiesceWords,
		"advance": advanceWords, "stall": stallWords, "wall": wallWords, "restart": restartWords,
		"cut": cutWords, "hold": holdWords, "unhold": holdWords, "task": taskWords, "explain": explainWords, "agents": agentsWords, "queues": queuesWords,
	}
}

// opt takes an option out.
func (w words) opt(name, unset string) string {
	v, ok := w.opts[name]
	delete(w.opts, name)
	if !ok {
		return unset
	}
	return v
}

func (w words) arg(i int) string {
	if i >= len(w.args) {
		w.p.t.Fatalf("%s needs %d arguments", w.verb, i+1)
	}
	return w.args[i]
}

func (w words) list(name string) []string {
	if v := w.opt(name, ""); v != "" {
		return strings.Split(v, ",")
	}
	return nil
}

func (w words) number(name string, unset int) int {
	n, err := strconv.Atoi(w.opt(name, strconv.Itoa(unset)))
	if err != nil {
		w.p.t.Fatal(err)
	}
	return n
}

func (w words) span(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		w.p.t.Fatal(err)
	}
	return d
}

func (w words) dur(name, unset string) time.Duration { return w.span(w.opt(name, unset)) }

// instant is a time told as the distance from now.
func (w words) instant(name string) Instant {
	v := w.opt(name, "")
	if v == "" {
		return 0
	}
	return w.p.now + Instant(w.span(v)/time.Microsecond)
}

// labels are written k:v.
func (w words) labels(name string) []Label {
	var ls []Label
	for _, t := range w.list(name) {
		k, v, _ := strings.Cut(t, ":")
		ls = append(ls, Label{k, v})
	}
	return ls
}

func (w words) lease(text string) LeaseRef {
	id, n, ok := strings.Cut(text, "#")
	attempt, err := strconv.Atoi(n)
	if !ok || err != nil {
		w.p.t.Fatalf("%q is no lease like a#1", text)
	}
	if id == "forged" {
		return LeaseRef{}
	}
	return LeaseRef{w.p.serials[id], int32(attempt)}
}

func (w words) leases(texts []string) []LeaseRef {
	var rs []LeaseRef
	for _, t := range texts {
		rs = append(rs, w.lease(t))
	}
	return rs
}

func (w words) stream(name string) StreamID {
	s, ok := w.p.streams[name]
	if !ok {
		w.p.t.Fatalf("no stream %q", name)
	}
	return s
}

// spec reads a task; options hold for all tasks of the call, an argument a<b,c is a task a that
// depends on b and c.
func (w words) spec() Spec {
	policies := map[string]Policy{"cancel": PolicyCancel, "run": PolicyRun, "wait": PolicyWait}
	unknown := map[string]UnknownOutcome{"unset": 0, "fail": UnknownFail, "retry": UnknownRetry}
	s := Spec{
		Queue: w.opt("queue", DefaultQueue), Priority: int32(w.number("priority", 0)),
		OnFailure: policies[w.opt("policy", "cancel")], NotBefore: w.instant("not_before"), ExpireTime: w.instant("expire"),
		AttemptTimeout: w.dur("timeout", "120s"), Requires: w.labels("requires"),
		Retry: Retry{
			MaxAttempts: int32(w.number("attempts", 3)), InitialBackoff: w.dur("backoff", "1s"),
			MaxBackoff: w.dur("max_backoff", "60s"), Unknown: unknown[w.opt("unknown", "unset")],
		},
	}
	s.Digest = digestOf(w.opt("content", ""))
	return s
}

func (w words) specs() []Spec {
	one := w.spec()
	var ss []Spec
	for _, a := range w.args {
		s := one
		id, parents, _ := strings.Cut(a, "<")
		if s.ID = id; parents != "" {
			s.DependsOn = strings.Split(parents, ",")
		}
		ss = append(ss, s)
	}
	return ss
}

func submitWords(w words) []Command { return []Command{&Submit{Tasks: w.specs()}} }

// fan submits many tasks of one parent: fan c<p 1500.
func fanWords(w words) []Command {
	n, _ := strconv.Atoi(w.arg(1))
	one := words{p: w.p, args: w.args[:1], opts: w.opts}.specs()[0]
	c := &Submit{}
	for i := range n {
		s := one
		s.ID = fmt.Sprint(one.ID, i+1)
		c.Tasks = append(c.Tasks, s)
	}
	return []Command{c}
}

func (w words) choices() []Choice {
	run := int32(w.number("run", 0))
	var cs []Choice
	for _, id := range w.args {
		cs = append(cs, Choice{id, run})
	}
	return cs
}

func cancelWords(w words) []Command {
	return []Command{&Cancel{Items: w.choices(), Reason: w.opt("reason", "")}}
}

func retryWords(w words) []Command {
	return []Command{&Rerun{Items: w.choices(), ExpireTime: w.instant("expire")}}
}

// import takes state= for all tasks of the call.
func importWords(w words) []Command {
	states := map[string]State{"ready": Ready, "completed": Completed, "failed": Failed}
	x := Imported{State: states[w.opt("state", "ready")], Agent: w.opt("agent", "")}
	if x.State == Completed {
		x.Result = []byte(w.opt("result", ""))
	}
	if x.State == Failed {
		x.Failure = Failure{Class: w.class(w.opt("class", "INTERNAL")), Message: "as the log says"}
	}
	if x.State.Terminal() {
		x.Start, x.Finish = w.instant("start"), w.instant("finish")
	}
	c := &Import{}
	for _, s := range w.specs() {
		x.Spec = s
		c.Tasks = append(c.Tasks, x)
	}
	return []Command{c}
}

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

func (w words) class(name string) Class {
	i := slices.Index(classNames, name)
	if i < 0 {
		w.p.t.Fatalf("unknown class %q", name)
	}
	return Class(i)
}

func releaseWords(w words) []Command {
	args, s := w.args, StreamID(0)
	if !strings.Contains(args[0], "#") {
		s, args = w.stream(args[0]), args[1:]
	}
	var rs []Release
	for _, r := range w.leases(args) {
		w.p.drop(r)
		rs = append(rs, Release{Lease: r, Started: true})
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

func pauseWords(w words) []Command {
	return []Command{&SetPaused{Queue: w.arg(0), Paused: w.verb == "pause"}}
}

func drainWords(w words) []Command {
	return []Command{&Drain{Agent: w.arg(0), Timeout: w.dur("timeout", "0s")}}
}

// prune names all that is terminal, as retention would, or the tasks given; events=N drops events
// up to N.
func pruneWords(w words) []Command {
	c := &Prune{Before: w.p.now + 1, EventsTo: int64(w.number("events", 0))}
	var known []Known
	for _, s := range slices.Sorted(maps.Keys(w.p.book.terminal)) {
		if k := w.p.book.known(s); len(w.args) == 0 || slices.Contains(w.args, k.Spec.ID) {
			known = append(known, k)
		}
	}
	w.p.step() // the machine forgets what has just ended
	w.p.step()
	c.Answer(known)
	return []Command{c}
}

func quiesceWords(words) []Command { return []Command{&Quiesce{}} }

// advance 60s [beating=s1,s2]
func advanceWords(w words) []Command {
	var beating []StreamID
	for _, s := range w.list("beating") {
		beating = append(beating, w.stream(s))
	}
	w.p.advance(w.span(w.arg(0)), beating)
	return nil
}

// stall jumps, as a suspended host does.
func stallWords(w words) []Command {
	w.p.pass(w.span(w.arg(0)))
	w.p.step()
	return nil
}

// wall moves the wall clock alone.
func wallWords(w words) []Command {
	w.p.now += Instant(w.span(w.arg(0)) / time.Microsecond)
	w.p.step()
	return nil
}

func restartWords(w words) []Command {
	w.p.restart()
	return nil
}

// hold has what follows stay on its way to the disk, as far as the clocks of grants know.
func holdWords(w words) []Command {
	w.p.holding, w.p.let = w.verb == "hold", w.p.book.head.Batch
	w.p.step()
	return nil
}

// cut has the next step stop where a long cascade is cut.
func cutWords(w words) []Command {
	w.p.cut = true
	return nil
}

func taskWords(w words) []Command {
	for _, id := range w.args {
		w.p.show(id)
	}
	return nil
}

func explainWords(w words) []Command {
	whys, state, ok := w.p.m.Explain(w.arg(0))
	w.p.say("%s, held %v", state, ok)
	for _, y := range whys {
		w.p.say("%s: %s %v", whyNames[y.Code], y.Message, y.Tasks)
	}
	return nil
}

func agentsWords(w words) []Command {
	states := []string{"", "ONLINE", "OFFLINE", "DRAINING", "UNARY"}
	for _, a := range w.p.m.Agents("", 100) {
		w.p.say("%s/%s %s holds %d", a.ID, a.Instance, states[a.State], a.Held)
	}
	return nil
}

func queuesWords(w words) []Command {
	for _, q := range w.p.m.Queues("", 100) {
		text := ""
		for s := Blocked; s <= Quarantined; s++ {
			if n := q.Counts.States[s]; n != 0 {
				text += fmt.Sprintf(" %s %d", s, n)
			}
		}
		w.p.say("%s paused %v submitted %d pruned %d%s, oldest ready %v", q.Name, q.Paused, q.Counts.Submitted, q.Counts.Pruned, text, q.OldestReady)
	}
	return nil
}
