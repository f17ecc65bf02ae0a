package queue

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// floor is a machine with agents that report each task as soon as they have it.
type floor struct {
	t       *testing.T
	m       *Machine
	now     Instant
	made    int
	granted []Serial
	credits []int64
	held    [][]LeaseRef
}

// newFloor has so many agents of one slot each.
func newFloor(t *testing.T, agents int) *floor {
	f := &floor{t: t, m: New(Config{LeaseTTL: time.Hour, GrantTimeout: time.Minute, MaxLive: 1_000_000})}
	for i := range agents {
		f.step(&Connect{Stream: StreamID(i + 1), Agent: fmt.Sprint("a", i), Instance: "i"})
	}
	f.credits, f.held = make([]int64, agents), make([][]LeaseRef, agents)
	return f
}

func (f *floor) step(cs ...Command) {
	f.now++
	out := f.m.Step(Input{
		Now: f.now, Elapsed: time.Duration(f.now) * time.Microsecond, Released: f.m.Head().Batch, Settled: f.m.Head().Batch, Commands: cs,
	})
	for _, s := range out.Streams {
		for _, g := range s.Grants {
			f.granted = append(f.granted, g.Lease.Serial)
			f.held[s.Stream-1] = append(f.held[s.Stream-1], g.Lease)
		}
	}
	if out.Batch != nil {
		f.m.Recycle(out.Batch)
	}
}

// submit adds n tasks and gives the serial of the first.
func (f *floor) submit(n int, change func(*Spec)) Serial {
	first := f.m.Head().NextSerial
	for n > 0 {
		c := &Submit{}
		for range min(n, 1000) {
			f.made++
			s := benchSpec(f.made)
			change(&s)
			c.Tasks, c.Generated = append(c.Tasks, s), append(c.Generated, true)
		}
		f.step(c)
		n -= len(c.Tasks)
	}
	return first
}

// turn has each agent report what it holds and ask for one more.
func (f *floor) turn() {
	for i := range f.held {
		x := &Message{Stream: StreamID(i + 1)}
		for _, ref := range f.held[i] {
			x.Reports = append(x.Reports, Report{Lease: ref, Success: true})
		}
		f.held[i] = f.held[i][:0]
		f.credits[i]++
		x.Credit = f.credits[i]
		f.step(x)
	}
}

// TestFloodDelaysAnotherKeyLittle: of two keys one has 10,000 tasks waiting, and the other's one
// task starts within 10 grants, be there one slot or many. Seen to fail on an order by age alone,
// and, with one slot, on an order by running tasks and age.
func TestFloodDelaysAnotherKeyLittle(t *testing.T) {
	for _, agents := range []int{1, 3, 64} {
		t.Run(fmt.Sprint(agents, " agents"), func(t *testing.T) {
			f := newFloor(t, agents)
			f.submit(10_000, func(s *Spec) { s.FairnessKey = "A" })
			for range 5 {
				f.turn()
			}
			before := len(f.granted)
			b := f.submit(1, func(s *Spec) { s.FairnessKey = "B" })
			for range 12 {
				f.turn()
			}
			if at := slices.Index(f.granted[before:], b); at < 0 || at >= 10 {
				t.Errorf("it is granted after %d others", at)
			}
		})
	}
}

// TestQueuesShareByWeight: two queues of weight 3 and 1, both full, get 3 to 1 of 10,000 grants
// within 5 %, though a third comes and goes. Seen to fail on turns without weights.
func TestQueuesShareByWeight(t *testing.T) {
	f := newFloor(t, 16)
	f.step(&UpdateQueue{Queue: "x", Mask: MaskWeight, Settings: Settings{Weight: 3}})
	x := f.submit(9000, func(s *Spec) { s.Queue = "x" })
	y := f.submit(9000, func(s *Spec) { s.Queue = "y" })
	var got [3]int
	for len(f.granted) < 10_000 {
		if len(f.granted)%500 == 0 {
			f.submit(3, func(s *Spec) { s.Queue = "z" })
		}
		f.turn()
	}
	for _, s := range f.granted {
		switch {
		case s >= y+9000:
			got[2]++
		case s >= y:
			got[1]++
		case s >= x:
			got[0]++
		}
	}
	if ratio := float64(got[0]) / float64(got[1]); ratio < 3*0.95 || ratio > 3*1.05 {
		t.Errorf("grants are shared %v, %.3f to 1", got, ratio)
	}
}

// TestIdleQueueHasNothingSavedUp: a queue that had nothing to do while another was granted much
// starts at the present turn, and so does one whose limit opens. Seen to fail on passes that are
// kept.
func TestIdleQueueHasNothingSavedUp(t *testing.T) {
	for name, late := range map[string]func(f *floor){
		"empty":  func(*floor) {},
		"paused": func(f *floor) { f.step(&SetPaused{Queue: "y", Paused: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFloor(t, 1)
			f.submit(1, func(s *Spec) { s.Queue = "y" })
			f.turn()
			f.turn()
			late(f)
			f.submit(2000, func(s *Spec) { s.Queue = "x" })
			for range 1000 {
				f.turn()
			}
			y := f.submit(500, func(s *Spec) { s.Queue = "y" })
			f.step(&SetPaused{Queue: "y"})
			before := len(f.granted)
			for range 20 {
				f.turn()
			}
			n := 0
			for _, s := range f.granted[before:] {
				if s >= y {
					n++
				}
			}
			if n < 9 || n > 11 {
				t.Errorf("%d of 20 grants go to the queue that was idle", n)
			}
		})
	}
}

// TestStuckQueueHoldsNobodyBack: a queue whose READY tasks can't be granted counts for nothing in the
// turns: beside it, one that comes and goes gets no more than its turns from one that is always full.
// Seen to fail, with some 99 grants in a row, on turns that count it.
func TestStuckQueueHoldsNobodyBack(t *testing.T) {
	for name, stick := range map[string]func(f *floor){
		"aside": func(f *floor) {
			f.submit(3, func(s *Spec) { s.Queue, s.MaxCost = "stuck", 9 })
			f.step(&UpdateQueue{Queue: "stuck", Mask: MaskBudget, Settings: Settings{Budget: Budget{Set: true, Limit: 5, Period: PeriodTotal}}})
		},
		"parked": func(f *floor) {
			f.step(&UpdateQueue{Queue: "stuck", Mask: MaskKeyLimit, Settings: Settings{KeyLimit: 1}})
			f.submit(3, func(s *Spec) { s.Queue, s.ConcurrencyKey = "stuck", "k" })
			f.turn()
			f.held[0] = nil // it runs on
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFloor(t, 1)
			stick(f)
			f.submit(900, func(s *Spec) { s.Queue = "full" })
			for range 200 {
				f.turn()
			}
			burst := f.submit(50, func(s *Spec) { s.Queue = "bursts" })
			before := len(f.granted)
			for range 20 {
				f.turn()
			}
			n := 0
			for _, s := range f.granted[before:] {
				if s >= burst {
					n++
				}
			}
			if got := len(f.granted[before:]); got != 20 || n < 9 || n > 11 {
				t.Errorf("%d of %d grants go to the queue that came", n, got)
			}
		})
	}
}

// TestSettlesAt is the table of what an attempt costs whose report states nothing.
func TestSettlesAt(t *testing.T) {
	const reserved = 9
	for class, want := range map[Class]Micros{
		ClassConnect: 0, ClassRateLimited: 0, ClassOverloaded: 0, ClassAuth: 0, ClassOutOfCredit: 0, ClassInvalidRequest: 0,
		ClassTimeout: reserved, ClassServerError: reserved, ClassBadResponse: reserved, ClassTaskFailed: reserved,
		ClassResultTooLarge: reserved, ClassInternal: reserved, ClassCancelled: reserved, 0: reserved, 99: reserved,
	} {
		r := Report{Failure: Failure{Class: class}}
		if got := r.costs(reserved); got != want {
			t.Errorf("class %d costs %d, want %d", class, got, want)
		}
		r.Failure.Cost, r.Failure.HasCost = 4, true
		if got := r.costs(reserved); got != 4 {
			t.Errorf("class %d costs %d, want what is stated", class, got)
		}
	}
	if r := (Report{Success: true}); r.costs(reserved) != reserved {
		t.Error("a success that states no cost does not cost what was reserved")
	}
}

// TestSpendRowsAreBounded: what is beyond the bound of rows is counted without a name.
func TestSpendRowsAreBounded(t *testing.T) {
	m := New(scenarioConfig)
	m.agentRows = MaxAgentRows - 1
	l := m.line("q")
	for _, agent := range []string{"a", "b", "c", "a"} {
		m.countSpend(l, "", agent, 5, 1)
	}
	want := []SpendRecord{{"q", ByAgent, "", 10, 2}, {"q", ByAgent, "a", 10, 2}}
	if got := m.Spend("", ByAgent, SpendKey{}, 9); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got := m.Spend("q", ByAgent, want[0].Key(), 9); !slices.Equal(got, want[1:]) {
		t.Errorf("the second page is %+v", got)
	}
}

// TestPeriods shows the bounds of periods, a leap year's February among them.
func TestPeriods(t *testing.T) {
	at := func(text string) Instant {
		v, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return Instant(v.UnixMicro())
	}
	now := at("2028-02-29T23:59:59Z")
	for p, want := range map[Period][2]Instant{
		PeriodTotal: {}, 0: {},
		PeriodHour:  {at("2028-02-29T23:00:00Z"), at("2028-03-01T00:00:00Z")},
		PeriodDay:   {at("2028-02-29T00:00:00Z"), at("2028-03-01T00:00:00Z")},
		PeriodMonth: {at("2028-02-01T00:00:00Z"), at("2028-03-01T00:00:00Z")},
	} {
		if start, end := p.bounds(now); start != want[0] || end != want[1] {
			t.Errorf("period %d: %v to %v, want %v", p, start, end, want)
		}
	}
}

// TestCanonicalRequirements: equal sets are equal, and unequal ones have unequal keys.
func TestCanonicalRequirements(t *testing.T) {
	a := Canonical([]Requirement{{"z", Exists, nil}, {"a", In, []string{"y", "x", "y"}}, {"z", Exists, nil}})
	b := Canonical([]Requirement{{"a", In, []string{"x", "y"}}, {"z", Exists, nil}})
	if fmt.Sprint(a) != fmt.Sprint(b) || requirementKey(a) != requirementKey(b) {
		t.Errorf("%v and %v differ", a, b)
	}
	seen := map[string]Requirement{}
	for _, r := range []Requirement{
		{"k", In, []string{"v"}}, {"k", NotIn, []string{"v"}}, {"k", Exists, nil}, {"k", Absent, nil},
		{"k", In, []string{"v", "w"}}, {"k", NotIn, []string{"v", "w"}}, {"k", In, []string{""}},
	} {
		key := requirementKey([]Requirement{r})
		if old, ok := seen[key]; ok {
			t.Errorf("%v and %v have one key", old, r)
		}
		seen[key] = r
	}
}
