package queue

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var scenarioConfig = Config{LeaseTTL: 30 * time.Second, GrantTimeout: 5 * time.Second, MaxLive: 5000}

// player plays the engine for a script: it folds each batch at once, answers look-ups, starts
// the clocks of grants at the next step, and writes down what it sees.
type player struct {
	t       *testing.T
	w       *strings.Builder
	cfg     Config
	m       *Machine
	book    *book
	start   Instant
	now     Instant
	elapsed time.Duration
	shift   time.Duration // elapsed of earlier machines
	holding bool          // releases nothing
	let     uint64        // released while holding
	held    map[StreamID][]LeaseRef
	agents  map[StreamID]string
	streams map[string]StreamID
	calls   map[string]*Acquire
	serials map[string]Serial // of pruned tasks too
	marked  string            // the time written last
	settled uint64            // what ended up to here is forgotten
	cut     bool              // the next cascade is cut short
}

func newPlayer(t *testing.T, w *strings.Builder, cfg Config) *player {
	return &player{
		t: t, w: w, cfg: cfg, m: New(cfg), book: newBook(), start: 1_000_000_000_000, now: 1_000_000_000_000,
		held: map[StreamID][]LeaseRef{}, agents: map[StreamID]string{}, streams: map[string]StreamID{},
		calls: map[string]*Acquire{}, serials: map[string]Serial{},
	}
}

// say writes a line of the trace, after the time if that has changed since the last one.
func (p *player) say(format string, args ...any) {
	if at := fmt.Sprint("at ", p.shift+p.elapsed); at != p.marked {
		p.marked = at
		fmt.Fprintf(p.w, "  %s\n", at)
	}
	fmt.Fprintf(p.w, "  "+format+"\n", args...)
}

// step hands commands in until all are answered and nothing is left over. What ends in it is
// remembered until the step after the next, as if a look-up were still under way.
func (p *player) step(cs ...Command) {
	before := p.book.head.Batch
	for _, c := range cs {
		switch c.(type) {
		case *Submit, *Import, *Rerun:
			p.book.look(c)
		}
	}
	for more := true; more; {
		out := p.turn(cs)
		for _, c := range out.Missing {
			p.book.look(c)
		}
		cs = out.Missing
		if more = out.More || len(cs) > 0; out.More {
			p.say("more to do")
			more = !p.cut
		}
	}
	if p.book.head.Batch != before && !p.holding && !p.cut {
		p.turn(nil) // what was given out is released
	}
	p.settled, p.cut = before, false
}

func (p *player) turn(cs []Command) *Effects {
	in := Input{Now: p.now, Elapsed: p.elapsed, Released: p.book.head.Batch, Settled: p.settled, Commands: cs}
	if p.holding {
		in.Released = p.let
	}
	out := p.m.Step(in)
	if out.Batch != nil {
		if err := p.book.fold(out.Batch); err != nil {
			p.t.Fatal(err)
		}
	}
	p.trace(&out)
	return &out
}

func (p *player) pass(d time.Duration) {
	p.elapsed += d
	p.now += Instant(d / time.Microsecond)
}

// advance lets time go by as a waking engine does: from deadline to deadline. The agents of
// the streams that beat send a heartbeat every third of a lease length.
func (p *player) advance(d time.Duration, beating []StreamID) {
	end := p.elapsed + d
	beat := p.elapsed + p.cfg.LeaseTTL/3
	for p.elapsed < end {
		next := min(end, p.elapsed+p.cfg.LeaseTTL/6)
		if due, ok := p.m.Next(); ok {
			next = min(next, max(due, p.elapsed+time.Microsecond))
		}
		if len(beating) > 0 {
			next = min(next, beat)
		}
		p.pass(next - p.elapsed)
		var cs []Command
		if len(beating) > 0 && p.elapsed == beat {
			beat += p.cfg.LeaseTTL / 3
			for _, s := range beating {
				cs = append(cs, p.heartbeat(s, p.held[s]))
			}
		}
		p.step(cs...)
	}
}

func (p *player) heartbeat(s StreamID, held []LeaseRef) *Message {
	c := &Message{Stream: s, Beats: true}
	for _, r := range held {
		c.Held = append(c.Held, Extension{Lease: r})
	}
	return c
}

// restart loses the process: what the records tell comes back.
func (p *player) restart() {
	m, err := p.book.load(p.cfg, p.now)
	if err != nil {
		p.t.Fatal(err)
	}
	p.shift += p.elapsed
	p.m, p.elapsed, p.settled = m, 0, p.book.head.Batch
	clear(p.streams)
	p.step()
}

// trace writes down what a step gave out.
func (p *player) trace(out *Effects) {
	events := []Event(nil)
	if out.Batch != nil {
		events = out.Batch.Events
		for _, s := range out.Batch.Specs {
			p.serials[s.ID] = s.Serial
		}
	}
	for _, c := range out.Done {
		p.answer(c)
	}
	p.traceEvents(events)
	slices.SortStableFunc(out.Streams, func(a, b StreamOut) int { return cmp.Compare(a.Stream, b.Stream) })
	for _, s := range out.Streams {
		p.traceStream(s)
	}
}

// eventsShown bounds the trace of a long cascade.
const eventsShown = 12

func (p *player) traceEvents(events []Event) {
	for i := range events {
		if i == eventsShown {
			p.say("and %d more events", len(events)-i)
			break
		}
		p.say("%s", eventText(&events[i]))
	}
}

func (p *player) traceStream(s StreamOut) {
	name := p.streamName(s.Stream)
	for _, g := range s.Grants {
		p.held[s.Stream] = append(p.held[s.Stream], g.Lease)
		p.say("→ %s: lease %s of run %d for %v", name, p.ref(g.Lease), g.Run, g.Left)
	}
	for _, c := range s.Cancels {
		p.drop(c.Lease)
		p.say("→ %s: drop %s, %s", name, p.ref(c.Lease), endNames[c.Reason])
	}
	if s.Drain {
		p.say("→ %s: drain within %v", name, s.Left)
	}
	if s.Close {
		p.say("→ %s: closed", name)
	}
}

// drop takes a lease out of what the agents hold.
func (p *player) drop(r LeaseRef) {
	for s, held := range p.held {
		p.held[s] = slices.DeleteFunc(slices.Clone(held), func(x LeaseRef) bool { return x == r })
	}
}

func (p *player) streamName(s StreamID) string {
	for name, x := range p.streams {
		if x == s {
			return name
		}
	}
	return fmt.Sprint("an older stream of ", p.agents[s])
}

func (p *player) ref(r LeaseRef) string {
	for id, s := range p.serials {
		if s == r.Serial {
			return fmt.Sprintf("%s#%d", id, r.Attempt)
		}
	}
	return "a forged one"
}
