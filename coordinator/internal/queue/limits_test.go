package queue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestBudgetHoldsUnderACrowd has 64 agents race for a budget: they report less than what was
// reserved, at times more, fall silent and report late, release, and are cancelled, while the
// coordinator crashes now and then. After every step settled + reserved is within the limit and the
// overruns (B1), and within the limit itself where nobody overran; what the events say each
// attempt cost adds up to the rows of spend; and when all is over nothing is reserved.
//
// Seen to fail on: a reservation that is not counted, or not given back; a restart that forgets
// them; a late report counted on top; an overrun that is not noted.
func TestBudgetHoldsUnderACrowd(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			c := newCrowd(t, seed, seed%2 == 0)
			for c.turn = 0; c.turn < 400; c.turn++ {
				c.act()
			}
			c.drain()
		})
	}
}

const (
	crowdAgents = 64
	crowdLimit  = Micros(15_000)
)

// crowd is the agents, and the coordinator with its ledger.
type crowd struct {
	t       *testing.T
	rng     *rand.Rand
	exact   bool // nobody costs more than was reserved
	m       *Machine
	book    *book
	now     Instant
	elapsed time.Duration
	turn    int
	made    int
	agents  [crowdAgents]crowdAgent
	costs   map[AttemptKey]Micros
	stream  StreamID
}

type crowdAgent struct {
	stream StreamID
	credit int64
	held   []LeaseRef
	newest int // of held, not confirmed yet
	silent bool
}

func newCrowd(t *testing.T, seed uint64, exact bool) *crowd {
	c := &crowd{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), exact: exact, m: New(scenarioConfig), book: newBook(),
		now: 1_000_000_000_000, costs: map[AttemptKey]Micros{},
	}
	c.step(&UpdateQueue{Queue: DefaultQueue, Mask: MaskBudget, Settings: Settings{
		Budget: Budget{Set: true, Limit: crowdLimit},
	}})
	c.connect()
	return c
}

func (c *crowd) connect() {
	var cs []Command
	for i := range c.agents {
		c.stream++
		c.agents[i] = crowdAgent{stream: c.stream, credit: 2}
		cs = append(cs, &Connect{Stream: c.stream, Agent: c.id(i), Instance: "i"},
			&Message{Stream: c.stream, Credit: 2})
	}
	c.step(cs...)
}

func (c *crowd) id(i int) string { return fmt.Sprint("agent-", i) }

// act is one turn: time passes, each agent does something, or the coordinator crashes.
func (c *crowd) act() {
	c.elapsed += time.Second
	c.now += 1_000_000
	if c.rng.IntN(100) == 0 {
		c.crash()
		return
	}
	var cs []Command
	if c.turn < 300 {
		cs = append(cs, c.submit())
	}
	if c.made > 0 && c.rng.IntN(5) == 0 {
		cs = append(cs, &Cancel{Items: []Choice{{ID: fmt.Sprint("t", 1+c.rng.IntN(c.made))}}, Lookup: Lookup{Looked: true}})
	}
	for i := range c.agents {
		if x := c.agentActs(i); x != nil {
			cs = append(cs, x)
		}
	}
	c.step(cs...)
}

func (c *crowd) submit() *Submit {
	s := &Submit{Lookup: Lookup{Looked: true}}
	for range 1 + c.rng.IntN(4) {
		c.made++
		spec := benchSpec(c.made)
		spec.ID, spec.MaxCost = fmt.Sprint("t", c.made), Micros(1+c.rng.IntN(100))
		spec.FairnessKey = fmt.Sprint("k", c.made%3)
		spec.Retry.MaxAttempts, spec.Retry.Unknown = 3, UnknownRetry
		s.Tasks = append(s.Tasks, spec)
	}
	return s
}

// agentActs is what one agent sends: mostly a heartbeat, with a report or a release.
func (c *crowd) agentActs(i int) Command {
	a := &c.agents[i]
	if a.silent {
		if c.rng.IntN(60) > 0 {
			return nil
		}
		a.silent = false // it is back, and reports what it was given up for
		x := &Message{Stream: a.stream, Beats: true, Credit: a.credit}
		for _, ref := range a.held {
			x.Reports = append(x.Reports, c.report(ref))
		}
		a.credit += int64(len(a.held))
		a.held = nil
		return x
	}
	if c.rng.IntN(120) == 0 {
		a.silent = true
		if c.exact { // else what it runs unconfirmed is overrun: nothing is kept for it
			a.held = a.held[:len(a.held)-a.newest]
		}
		return nil
	}
	a.newest = 0
	x := &Message{Stream: a.stream, Beats: true}
	if len(a.held) > 0 {
		switch ref := a.held[0]; c.rng.IntN(8) {
		case 0, 1:
			x.Reports = append(x.Reports, c.report(ref))
			a.held, a.credit = a.held[1:], a.credit+1
		case 2:
			x.Releases = append(x.Releases, Release{Lease: ref, Started: c.rng.IntN(2) == 0})
			a.held, a.credit = a.held[1:], a.credit+1
		}
	}
	x.Credit = a.credit
	for _, ref := range a.held {
		x.Held = append(x.Held, Extension{Lease: ref})
	}
	return x
}

// report costs a tenth to all of what was reserved, and at times up to three times that.
func (c *crowd) report(ref LeaseRef) Report {
	reserved := c.book.specs[ref.Serial].MaxCost
	cost := Micros(float64(reserved) * (0.1 + 0.9*c.rng.Float64()))
	if !c.exact && c.rng.IntN(50) == 0 {
		cost = Micros(float64(reserved) * (1 + 2*c.rng.Float64()))
	}
	r := Report{Lease: ref, Success: c.rng.IntN(4) > 0, Digest: Digest{byte(c.rng.IntN(256))}}
	stated := c.rng.IntN(10) > 0
	if r.Success {
		r.Cost, r.HasCost = cost, stated
	} else {
		r.Failure = Failure{Class: Class(1 + c.rng.IntN(int(ClassInternal))), Cost: cost, HasCost: stated}
	}
	return r
}

func (c *crowd) step(cs ...Command) {
	for len(cs) > 0 {
		out := c.m.Step(Input{
			Now: c.now, Elapsed: c.elapsed, Released: c.m.Head().Batch, Settled: c.m.Head().Batch, Commands: cs,
		})
		if out.Batch != nil {
			if err := c.book.fold(out.Batch); err != nil {
				c.t.Fatal(err)
			}
			for _, e := range out.Batch.Events {
				if e.HasCost {
					c.costs[AttemptKey{e.Serial, e.Attempt}] = e.Cost
				}
			}
		}
		c.deliver(&out)
		c.check()
		cs = out.Missing
		for _, x := range cs {
			c.book.look(x)
		}
	}
}

// deliver hands out grants and cancels. A silent agent gets them as well, but says nothing of it:
// a grant goes back as unconfirmed, and is not run in the runs in which nobody overruns.
func (c *crowd) deliver(out *Effects) {
	for _, s := range out.Streams {
		i := slices.IndexFunc(c.agents[:], func(a crowdAgent) bool { return a.stream == s.Stream })
		if i < 0 {
			continue
		}
		a := &c.agents[i]
		for _, x := range s.Cancels {
			if at := slices.Index(a.held, x.Lease); at >= 0 {
				if at >= len(a.held)-a.newest {
					a.newest--
				}
				a.held = slices.Delete(a.held, at, at+1)
				a.credit++
			}
		}
		for _, g := range s.Grants {
			if !a.silent || !c.exact {
				a.held = append(a.held, g.Lease)
				a.newest++
			}
		}
	}
}

func (c *crowd) check() {
	v, err := c.m.Queue(DefaultQueue)
	if err != nil {
		c.t.Fatal(err)
	}
	reserved := Micros(0)
	for _, l := range c.book.live {
		if l.Status.State == Running {
			reserved += l.MaxCost
		}
	}
	s := v.Spend
	switch {
	case s.Reserved != reserved:
		c.t.Fatalf("turn %d: %d is reserved, and by running tasks %d", c.turn, s.Reserved, reserved)
	case s.Settled+s.Reserved > crowdLimit+s.Overrun:
		c.t.Fatalf("turn %d: %d settled and %d reserved, %d of it overrun (B1)", c.turn, s.Settled, s.Reserved, s.Overrun)
	case c.exact && s.Overrun > 0:
		c.t.Fatalf("turn %d: %d is overrun where nobody overran", c.turn, s.Overrun)
	}
	sum := Micros(0)
	for _, cost := range c.costs {
		sum += cost
	}
	rows := c.m.Spend(DefaultQueue, ByQueue, SpendKey{}, 1)
	if len(rows) == 1 && (rows[0].Spent != sum || s.Settled != sum) || len(rows) == 0 && sum > 0 {
		c.t.Fatalf("turn %d: the events cost %d, settled are %d, the rows are %+v", c.turn, sum, s.Settled, rows)
	}
}

// crash loses the process. The agents come back with what they hold.
func (c *crowd) crash() {
	m, err := c.book.load(scenarioConfig, c.now)
	if err != nil {
		c.t.Fatal(err)
	}
	c.m, c.elapsed = m, 0
	c.check()
	var cs []Command
	for i := range c.agents {
		a := &c.agents[i]
		c.stream++
		a.stream, a.credit = c.stream, int64(2-min(2, len(a.held)))
		cs = append(cs, &Connect{Stream: a.stream, Agent: c.id(i), Instance: "i"})
		if x := (&Message{Stream: a.stream, Beats: true, Credit: a.credit}); !a.silent {
			for _, ref := range a.held {
				x.Held = append(x.Held, Extension{Lease: ref})
			}
			cs = append(cs, x)
		} else {
			a.held, a.newest = nil, 0 // it lost them
		}
	}
	c.step(cs...)
}

// drain cancels what waits and lets all leases end.
func (c *crowd) drain() {
	if v, _ := c.m.Queue(DefaultQueue); v.Counts.States[Completed] < 100 || v.Spend.Settled < crowdLimit/2 {
		c.t.Errorf("%d tasks completed for %d: the budget was not fought for", v.Counts.States[Completed], v.Spend.Settled)
	}
	c.step(&Quiesce{})
	for range 80 {
		c.elapsed += 5 * time.Second
		c.now += 5_000_000
		c.step(&Read{F: func(*Machine) {}})
	}
	if v, _ := c.m.Queue(DefaultQueue); v.Spend.Reserved != 0 || v.Running != 0 {
		c.t.Errorf("%d is reserved and %d run after all leases ended", v.Spend.Reserved, v.Running)
	}
}
