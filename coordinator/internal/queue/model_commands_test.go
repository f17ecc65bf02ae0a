package queue

import (
	"fmt"
	"slices"
	"time"

	"pgregory.net/rapid"
)

// command draws one command. Those that name tasks by id are looked up first, as the engine
// does it, and may be handed in much later; then it gives nil.
func (w *world) command() *order {
	draws := []struct {
		weight int
		make   func() (c, twin Command)
		looked bool
	}{
		{14, w.drawSubmit, true},
		{4, w.drawCancel, true},
		{8, w.drawRerun, true},
		{22, w.drawMessage, false},
		{8, w.drawReports, false},
		{4, w.drawReleases, false},
		{5, w.drawExtensions, false},
		{8, w.drawAcquire, false},
		{2, w.drawAbandon, false},
		{8, w.drawConnect, false},
		{3, w.drawDisconnect, false},
		{2, w.drawPause, false},
		{7, w.drawUpdate, false},
		{2, w.drawDrain, false},
		{6, w.drawPrune, false},
	}
	var wheel []int
	for i, d := range draws {
		wheel = append(wheel, slices.Repeat([]int{i}, d.weight)...)
	}
	d := draws[rapid.SampledFrom(wheel).Draw(w.t, "command")]
	c, twin := d.make()
	if c == nil {
		return nil
	}
	o := &order{c: c, twin: twin}
	if _, ok := c.(*Prune); ok {
		o.asked, o.seen = true, w.durable.head.Batch
	}
	if !d.looked || w.chance(20, "look up later") && !isSubmit(c) {
		return o
	}
	w.lookUp(o)
	if w.chance(60, "at once") {
		return o
	}
	w.looks = append(w.looks, o)
	return nil
}

// A submit is always looked up before its first step.
func isSubmit(c Command) bool {
	_, ok := c.(*Submit)
	return ok
}

func (w *world) id() string { return fmt.Sprint("t", rapid.IntRange(0, 8).Draw(w.t, "id")) }

func (w *world) ago(name string, choices ...Instant) Instant {
	d := rapid.SampledFrom(choices).Draw(w.t, name)
	if d == 0 {
		return 0
	}
	return w.now + d*1_000_000
}

func (w *world) drawSubmit() (Command, Command) {
	a := &Submit{}
	for range rapid.SampledFrom([]int{1, 1, 1, 2, 3}).Draw(w.t, "tasks") {
		s, generated := w.drawSpec()
		a.Tasks, a.Generated = append(a.Tasks, s), append(a.Generated, generated)
	}
	b := *a
	b.Tasks = slices.Clone(a.Tasks)
	return a, &b
}

func (w *world) drawSpec() (s Spec, generated bool) {
	id := w.id()
	if old, ok := w.specs[id]; ok && w.chance(40, "verbatim") {
		return old, false
	}
	if generated = w.chance(15, "generated"); generated {
		w.made++
		id = fmt.Sprint("g", w.made)
	}
	s = Spec{
		ID:        id,
		Queue:     rapid.SampledFrom([]string{DefaultQueue, DefaultQueue, DefaultQueue, "q2"}).Draw(w.t, "queue"),
		Priority:  int32(rapid.IntRange(-1, 1).Draw(w.t, "priority")),
		OnFailure: rapid.SampledFrom([]Policy{PolicyCancel, PolicyRun, PolicyWait, PolicyWait}).Draw(w.t, "policy"),
		NotBefore: w.ago("not before", 0, 0, 0, 2, 9), ExpireTime: w.ago("expire", 0, 0, 0, -1, 3, 15, 40),
		AttemptTimeout: rapid.SampledFrom([]time.Duration{time.Second, 20 * time.Second, time.Hour}).Draw(w.t, "timeout"),
		Retry: Retry{
			MaxAttempts:    int32(rapid.IntRange(1, 3).Draw(w.t, "attempts")),
			InitialBackoff: rapid.SampledFrom([]time.Duration{0, time.Second}).Draw(w.t, "initial"),
			MaxBackoff:     rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(w.t, "max"),
			Unknown:        UnknownOutcome(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(w.t, "unknown")),
		},
	}
	for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(w.t, "parents") {
		if d := w.id(); !slices.Contains(s.DependsOn, d) {
			s.DependsOn = append(s.DependsOn, d)
		}
	}
	if w.chance(20, "requires") {
		s.Requires = []Requirement{rapid.SampledFrom([]Requirement{
			{"gpu", In, []string{"true"}}, {"gpu", In, []string{"false", "true"}}, {"gpu", NotIn, []string{"true"}},
			{"gpu", Exists, nil}, {"gpu", Absent, nil},
		}).Draw(w.t, "requirement")}
	}
	s.MaxCost = Micros(rapid.SampledFrom([]int{0, 0, 3, 5, 8}).Draw(w.t, "max cost"))
	s.FairnessKey = rapid.SampledFrom([]string{"", "", "x", "y"}).Draw(w.t, "fairness")
	s.ConcurrencyKey = rapid.SampledFrom([]string{"", "", "k", "l"}).Draw(w.t, "concurrency")
	s.Digest = digestOf(s)
	w.specs[id] = s
	return s, generated
}

func (w *world) drawChoices() []Choice {
	var cs []Choice
	for range rapid.SampledFrom([]int{1, 1, 2}).Draw(w.t, "items") {
		cs = append(cs, Choice{ID: w.id(), Run: int32(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(w.t, "run"))})
	}
	return cs
}

func (w *world) drawCancel() (Command, Command) {
	items := w.drawChoices()
	return &Cancel{Items: items}, &Cancel{Items: items}
}

func (w *world) drawRerun() (Command, Command) {
	items, expire := w.drawChoices(), w.ago("expire", 0, 0, -1, 5)
	return &Rerun{Items: items, ExpireTime: expire}, &Rerun{Items: items, ExpireTime: expire}
}

func (w *world) drawPause() (Command, Command) {
	q := rapid.SampledFrom([]string{DefaultQueue, "q2"}).Draw(w.t, "queue")
	p := w.chance(40, "pause")
	return &SetPaused{Queue: q, Paused: p}, &SetPaused{Queue: q, Paused: p}
}

func (w *world) drawUpdate() (Command, Command) {
	c := UpdateQueue{
		Queue: rapid.SampledFrom([]string{DefaultQueue, DefaultQueue, "q2", "q3"}).Draw(w.t, "queue"),
		Mask:  Mask(rapid.IntRange(0, int(MaskAll)).Draw(w.t, "mask")) &^ MaskRetry,
		Etag:  rapid.SampledFrom([]uint64{0, 0, 0, 0, 1, 2, 3}).Draw(w.t, "etag"),
	}
	c.Settings = Settings{
		MaxRunning: rapid.SampledFrom([]int32{0, 0, 1, 2}).Draw(w.t, "max running"),
		KeyLimit:   rapid.SampledFrom([]int32{0, 1, 1, 2}).Draw(w.t, "key limit"),
		Rate:       rapid.SampledFrom([]Rate{{}, {}, {0.3, 1}, {0.5, 3}, {2, 2}}).Draw(w.t, "rate"),
		Weight:     rapid.SampledFrom([]int32{0, 1, 3, 1000, 1001}).Draw(w.t, "weight"),

		StrictFencing: w.chance(40, "strict"),
	}
	if w.chance(60, "budget") {
		c.Settings.Budget = Budget{
			Set: true, Limit: Micros(rapid.SampledFrom([]int{0, 7, 12, 30}).Draw(w.t, "limit")),
			Period: rapid.SampledFrom([]Period{PeriodTotal, PeriodHour, PeriodHour}).Draw(w.t, "period"),
		}
	}
	twin := c
	return &c, &twin
}

func (w *world) drawDrain() (Command, Command) {
	id := w.drawAgent()
	timeout := rapid.SampledFrom([]time.Duration{0, 1, 9 * time.Second, 20 * time.Second}).Draw(w.t, "timeout")
	return &Drain{Agent: id, Timeout: timeout}, &Drain{Agent: id, Timeout: timeout}
}

// drawPrune names tasks that the committed records say are terminal.
func (w *world) drawPrune() (Command, Command) {
	var known []Known
	for _, s := range w.ref.serials() {
		if _, ok := w.durable.terminal[s]; ok && w.chance(60, "prune") {
			known = append(known, w.durable.known(s))
		}
	}
	a := &Prune{Before: w.now - 2_000_000, EventsTo: w.durable.head.Newest / 2}
	a.Answer(known)
	b := &Prune{Before: a.Before, EventsTo: a.EventsTo}
	b.Answer(known)
	return a, b
}
