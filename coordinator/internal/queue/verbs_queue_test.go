package queue

import (
	"strconv"
	"strings"
	"time"
)

// set QUEUE with max_running= key_limit= rate=PER_SECOND/BURST weight= strict=yes|no
// budget=LIMIT/PERIOD|none etag= changes the settings that it names.
func setWords(w words) []Command {
	c := &UpdateQueue{Queue: w.arg(0), Etag: uint64(w.number("etag", 0))}
	for name, x := range settingWords {
		if text, ok := w.opts[name]; ok {
			delete(w.opts, name)
			c.Mask |= x.mask
			x.read(&c.Settings, text)
		}
	}
	return []Command{c}
}

var settingWords = map[string]struct {
	mask Mask
	read func(s *Settings, text string)
}{
	"max_running": {MaskMaxRunning, func(s *Settings, t string) { s.MaxRunning = int32(number(t)) }},
	"key_limit":   {MaskKeyLimit, func(s *Settings, t string) { s.KeyLimit = int32(number(t)) }},
	"weight":      {MaskWeight, func(s *Settings, t string) { s.Weight = int32(number(t)) }},
	"strict":      {MaskStrictFencing, func(s *Settings, t string) { s.StrictFencing = t == "yes" }},
	"rate": {MaskRate, func(s *Settings, t string) {
		rate, burst, _ := strings.Cut(t, "/")
		s.Rate = Rate{PerSecond: number(rate), Burst: int32(number(burst))}
	}},
	"budget": {MaskBudget, func(s *Settings, t string) {
		limit, period, set := strings.Cut(t, "/")
		periods := map[string]Period{"total": PeriodTotal, "hour": PeriodHour, "day": PeriodDay, "month": PeriodMonth}
		if set {
			s.Budget = Budget{Set: true, Limit: Micros(number(limit)), Period: periods[period]}
		}
	}},
}

func number(text string) float64 {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		panic(err)
	}
	return n
}

// money QUEUE… shows what a queue has spent and may still grant.
func moneyWords(w words) []Command {
	for _, name := range w.args {
		v, err := w.p.m.Queue(name)
		if err != nil {
			w.p.t.Fatal(err)
		}
		s := v.Spend
		period := "in all"
		if s.End != 0 {
			period = "from " + w.p.since(s.Start) + " to " + w.p.since(s.End)
		}
		w.p.say("%s runs %d, %s: settled %d, reserved %d, overrun %d; tokens %.3g", name, v.Running, period, s.Settled, s.Reserved, s.Overrun, v.RateTokens)
	}
	return nil
}

func (p *player) since(at Instant) string {
	return (time.Duration(at-p.start) * time.Microsecond).String()
}

// spend shows all rows.
func spendWords(w words) []Command {
	names := []string{"", "queue", "agent", "fairness key"}
	for by := ByQueue; by <= ByFairnessKey; by++ {
		for _, r := range w.p.m.Spend("", by, SpendKey{}, 100) {
			w.p.say("%s, %s %q: %d in %d attempts", r.Queue, names[by], r.Name, r.Spent, r.Attempts)
		}
	}
	return nil
}
