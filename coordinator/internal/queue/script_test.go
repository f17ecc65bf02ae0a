package queue

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

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
		build, ok := verbs[w.verb]
		if !ok {
			p.t.Fatalf("unknown verb in %q", text)
		}
		cs = append(cs, build(w)...)
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
		"cut": cutWords, "hold": holdWords, "unhold": holdWords, "task": taskWords, "explain": explainWords, "set": setWords, "money": moneyWords, "spend": spendWords, "agents": agentsWords, "queues": queuesWords,
	}
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

func cancelWords(w words) []Command {
	return []Command{&Cancel{Items: w.choices(), Reason: w.opt("reason", "")}}
}

func retryWords(w words) []Command {
	return []Command{&Rerun{Items: w.choices(), ExpireTime: w.instant("expire")}}
}

// import takes state= for all tasks of the call.
func importWords(w words) []Command {
	states := map[string]State{"ready": Ready, "completed": Completed, "failed": Failed, "cancelled": Cancelled}
	x := Imported{State: states[w.opt("state", "ready")], Agent: w.opt("agent", "")}
	if x.State == Completed {
		x.Result = []byte(w.opt("result", ""))
	}
	if x.State == Failed || x.State == Cancelled {
		x.Failure = Failure{Class: w.class(w.opt("class", "INTERNAL")), Message: "as the log says"}
	}
	if x.State.Terminal() {
		x.Start, x.Finish = w.instant("start"), w.instant("finish")
	}
	c := &Import{}
	for _, s := range w.specs() {
		x.Spec, x.Forgotten = s, w.list("forgotten")
		c.Tasks = append(c.Tasks, x)
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
		until, tasks := "", ""
		if y.Until != 0 {
			until = fmt.Sprint(", until ", time.Duration(y.Until-w.p.start)*time.Microsecond)
		}
		if len(y.Tasks) > 0 {
			tasks = fmt.Sprint(" ", y.Tasks)
		}
		w.p.say("%s: %s%s%s", whyNames[y.Code], y.Message, tasks, until)
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
