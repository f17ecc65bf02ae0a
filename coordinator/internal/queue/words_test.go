package queue

import (
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

// requirements are written k:v, k:v|w, k!:v|w, k and !k.
func (w words) requirements(name string) []Requirement {
	var rs []Requirement
	for _, t := range w.list(name) {
		k, v, valued := strings.Cut(t, ":")
		r := Requirement{Key: k, Op: Exists}
		switch {
		case valued && strings.HasSuffix(k, "!"):
			r = Requirement{strings.TrimSuffix(k, "!"), NotIn, strings.Split(v, "|")}
		case valued:
			r = Requirement{k, In, strings.Split(v, "|")}
		case strings.HasPrefix(k, "!"):
			r = Requirement{Key: k[1:], Op: Absent}
		}
		rs = append(rs, r)
	}
	return Canonical(rs)
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
		AttemptTimeout: w.dur("timeout", "120s"), Requires: w.requirements("requires"),
		Retry: Retry{
			MaxAttempts: int32(w.number("attempts", 3)), InitialBackoff: w.dur("backoff", "1s"),
			MaxBackoff: w.dur("max_backoff", "60s"), Unknown: unknown[w.opt("unknown", "unset")],
		},
	}
	s.MaxCost, s.FairnessKey, s.ConcurrencyKey = Micros(w.number("max", 0)), w.opt("fair", ""), w.opt("key", "")
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

func (w words) choices() []Choice {
	run := int32(w.number("run", 0))
	var cs []Choice
	for _, id := range w.args {
		cs = append(cs, Choice{id, run})
	}
	return cs
}

func (w words) class(name string) Class {
	i := slices.Index(classNames, name)
	if i < 0 {
		w.p.t.Fatalf("unknown class %q", name)
	}
	return Class(i)
}
