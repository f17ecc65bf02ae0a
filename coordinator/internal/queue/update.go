package queue

import (
	"fmt"
	"strings"
	"time"
)

// The bounds of settings.
const (
	MaxWeight       = 1000
	MaxMaxAttempts  = 100
	maxInitialDelay = time.Hour
	maxMaxDelay     = 24 * time.Hour
)

// updateQueue changes the settings of a queue, or makes it with them.
func (m *Machine) updateQueue(c *UpdateQueue) {
	defer m.done(c)
	l, ok := m.lineByName[c.Queue]
	var set Settings
	if c.Err = m.checkUpdate(l, c); c.Err == nil {
		set, c.Err = changed(l, c)
	}
	if c.Err != nil {
		return
	}
	var words []string
	if !ok {
		l = m.line(c.Queue)
		words = append(words, "made by an operator")
	}
	if names := differences(l.settings, set); len(names) > 0 {
		words = append(words, "changed "+strings.Join(names, ", "))
		if ok {
			l.version++
		}
		m.adopt(l, set)
	}
	if len(words) > 0 {
		m.touchLine(l)
		m.emit(nil, Event{Kind: EventQueueChanged, Queue: c.Queue, Reason: strings.Join(words, "; ")})
	}
	c.View, c.Err = m.Queue(c.Queue)
}

func (m *Machine) checkUpdate(l *line, c *UpdateQueue) error {
	switch {
	case l == nil && c.Etag != 0:
		return queueNotFound(c.Queue)
	case l == nil && len(m.lines) > MaxQueues:
		return tooManyQueues()
	case l != nil && c.Etag != 0 && c.Etag != l.version:
		return &Error{Reason: EtagMismatch, Names: []string{c.Queue}, Detail: "the queue has changed since the etag was read; read it again, and repeat with the new one"}
	}
	return nil
}

func tooManyQueues() error {
	return &Error{Reason: TooManyQueues, Detail: fmt.Sprintf("at most %d queues may exist; use one that does", MaxQueues)}
}

// changed gives the settings as they are to be, in one form for each meaning.
func changed(l *line, c *UpdateQueue) (Settings, error) {
	set := Settings{Weight: 1}
	if l != nil {
		set = l.settings
	}
	for _, x := range settingNames {
		if c.Mask&x.mask != 0 {
			x.copy(&set, &c.Settings)
		}
	}
	if set.Weight == 0 {
		set.Weight = 1
	}
	switch {
	case set.Rate.PerSecond == 0:
		set.Rate = Rate{}
	case set.Rate.Burst == 0:
		set.Rate.Burst = 1
	}
	switch {
	case !set.Budget.Set:
		set.Budget = Budget{}
	case set.Budget.Period == 0:
		set.Budget.Period = PeriodTotal
	}
	return set, checkSettings(&set)
}

func checkSettings(s *Settings) error {
	r := &s.Retry
	for _, x := range []struct {
		ok           bool
		field, bound string
	}{
		{s.MaxRunning >= 0, "max_running", "must be 0, for any number, or more"},
		{s.KeyLimit >= 0, "max_running_per_key", "must be 0, for any number, or more"},
		{s.Weight >= 1 && s.Weight <= MaxWeight, "weight", "must be 1 to 1000"},
		{s.Rate.PerSecond == 0 || s.Rate.PerSecond >= MinPerSecond && s.Rate.PerSecond <= MaxPerSecond, "rate.per_second",
			"must be 0.0001 to 1000000, or 0 for no rate"},
		{s.Rate.Burst >= 0 && s.Rate.Burst <= MaxBurst, "rate.burst", "must be 1 to 100000"},
		{r.MaxAttempts >= 0 && r.MaxAttempts <= MaxMaxAttempts, "retry.max_attempts", "must be 1 to 100, or 0 for the general default"},
		{r.InitialBackoff >= 0 && r.InitialBackoff <= maxInitialDelay, "retry.initial_backoff", "must be at most 1 h"},
		{r.MaxBackoff >= 0 && r.MaxBackoff <= maxMaxDelay, "retry.max_backoff", "must be at most 24 h"},
		{s.Budget.Limit >= 0, "budget.limit_usd", "must be 0 or more"},
		{s.Budget.Period <= PeriodMonth, "budget.period", "must be TOTAL, HOUR, DAY or MONTH"},
	} {
		if !x.ok {
			return &Error{Reason: FieldInvalid, Field: "queue." + x.field, Detail: x.bound}
		}
	}
	return nil
}

// settingNames are the settings as the contract names them.
var settingNames = []struct {
	mask Mask
	name string
	copy func(to, from *Settings)
}{
	{MaskMaxRunning, "max_running", func(to, from *Settings) { to.MaxRunning = from.MaxRunning }},
	{MaskKeyLimit, "max_running_per_key", func(to, from *Settings) { to.KeyLimit = from.KeyLimit }},
	{MaskRate, "rate", func(to, from *Settings) { to.Rate = from.Rate }},
	{MaskWeight, "weight", func(to, from *Settings) { to.Weight = from.Weight }},
	{MaskStrictFencing, "strict_fencing", func(to, from *Settings) { to.StrictFencing = from.StrictFencing }},
	{MaskRetry, "retry", func(to, from *Settings) { to.Retry = from.Retry }},
	{MaskBudget, "budget", func(to, from *Settings) { to.Budget = from.Budget }},
}

// differences names the settings that differ.
func differences(was, is Settings) []string {
	var names []string
	for _, x := range settingNames {
		mixed := was
		if x.copy(&mixed, &is); mixed != was {
			names = append(names, x.name)
		}
	}
	return names
}

// adopt has settings take effect: a rate begins empty, a budget of another period with what was
// spent of that, as far as is known.
func (m *Machine) adopt(l *line, set Settings) {
	was := l.settings
	l.settings = set
	if set.Rate != was.Rate {
		l.bucket = newBucket(set.Rate, m.elapsed)
		m.unwake(&m.rateTimes, &l.rateAt, m.rateHolds)
	}
	if max(set.Budget.Period, PeriodTotal) != max(was.Budget.Period, PeriodTotal) {
		l.spend.Period = -1 // none that there is
		m.resume(l)
		if l.ends != 0 {
			l.spend.Since = m.now
		}
		m.rereserve(l)
		m.unwake(&m.periodTimes, &l.rollAt, m.periodHolds)
	}
	if set.KeyLimit != was.KeyLimit && l.gates > 0 {
		for n, g := range m.gates {
			if g != nil && g.line == l {
				m.openGate(uint32(n))
			}
		}
	}
	if set.Budget != was.Budget {
		m.takeBack(l)
	}
	m.stirLine(l)
}
