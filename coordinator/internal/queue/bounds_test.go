package queue

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// reasonOf submits tasks and gives the reason of the refusal, "" for none.
func reasonOf(t *testing.T, m *Machine, tasks ...Spec) Reason {
	t.Helper()
	c := &Submit{Tasks: tasks, Generated: make([]bool, len(tasks))}
	for i := range c.Generated {
		c.Generated[i] = true
	}
	m.Step(Input{Now: m.Now() + 1, Settled: m.Head().Batch, Commands: []Command{c}})
	var e *Error
	if c.Err != nil && !errors.As(c.Err, &e) {
		t.Fatalf("%v is no *Error", c.Err)
	}
	if e == nil {
		return ""
	}
	return e.Reason
}

// The tables of queues and of label sets are bounded; what exists may still be used, and a set
// of labels is free again when its last task has ended (S5).
func TestTablesAreBounded(t *testing.T) {
	m := New(Config{LeaseTTL: scenarioConfig.LeaseTTL, GrantTimeout: scenarioConfig.GrantTimeout, MaxLive: 20_000})
	var queues, sets []Spec
	for i := range MaxQueues - 1 { // default exists
		s := benchSpec(i)
		s.Queue = fmt.Sprint("q", i)
		queues = append(queues, s)
	}
	for i := range MaxLabelSets - 1 { // the empty one is in use
		s := benchSpec(MaxQueues + i)
		s.Requires = []Requirement{{"n", In, []string{fmt.Sprint(i)}}}
		sets = append(sets, s)
	}
	if r := reasonOf(t, m, queues...); r != "" {
		t.Fatal(r)
	}
	if r := reasonOf(t, m, sets...); r != "" {
		t.Fatal(r)
	}
	other := benchSpec(30_000)
	other.Queue = "one too many"
	if r := reasonOf(t, m, other); r != TooManyQueues {
		t.Errorf("one queue too many: %q", r)
	}
	set := benchSpec(30_001)
	set.Requires = []Requirement{{"new", In, []string{"set"}}}
	if r := reasonOf(t, m, set); r != TooManyLabelSets {
		t.Errorf("one label set too many: %q", r)
	}
	known := benchSpec(30_002)
	known.Queue, known.Requires = "q7", []Requirement{{"n", In, []string{"7"}}}
	if r := reasonOf(t, m, known); r != "" {
		t.Errorf("a known queue and label set: %q", r)
	}
	m.Step(Input{Now: m.Now() + 1, Commands: []Command{&Cancel{Items: []Choice{{ID: sets[8].ID}}}}})
	if r := reasonOf(t, m, set); r != "" {
		t.Errorf("a label set after another's last task ended: %q", r)
	}
}

// Retries of many are refused together, before anything has changed, if there is no room for all: for
// their label sets, or on the disk. Where nothing would be retried there is nothing to refuse (S5, C4).
func TestRetriesTogetherNeedRoom(t *testing.T) {
	m := New(Config{LeaseTTL: scenarioConfig.LeaseTTL, GrantTimeout: scenarioConfig.GrantTimeout, MaxLive: 20_000})
	sets := make([]Spec, MaxLabelSets) // the empty one is not counted: nobody needs it
	for i := range sets {
		sets[i] = benchSpec(i)
		sets[i].Requires = []Requirement{{"n", In, []string{fmt.Sprint(i)}}}
	}
	old, live := sets[:3], sets[3:]
	if r := reasonOf(t, m, old...); r != "" {
		t.Fatal(r)
	}
	known := make([]Known, len(old))
	var items []Choice
	for i, s := range old {
		items = append(items, Choice{ID: s.ID})
		known[i] = Known{Spec: s, Status: Status{State: Cancelled, Run: 1}}
	}
	m.Step(Input{Now: m.Now() + 1, Commands: []Command{&Cancel{Items: items}}})
	if r := reasonOf(t, m, live...); r != "" {
		t.Fatal(r)
	}
	retry := func(noRoom error) *Rerun {
		c := &Rerun{Items: items, Lookup: Lookup{Looked: true, Known: known}, NoRoom: noRoom}
		m.Step(Input{Now: m.Now() + 1, Settled: m.Head().Batch, Commands: []Command{c}})
		return c
	}
	full := errors.New("disk full")
	if c := retry(full); !errors.Is(c.Err, full) || c.Changed != 0 {
		t.Errorf("on a full disk: %d changed, %v", c.Changed, c.Err)
	}
	extra := benchSpec(30_000)
	extra.Requires = []Requirement{{"n", In, []string{"extra"}}}
	if r := reasonOf(t, m, extra); r != "" {
		t.Fatal(r)
	}
	var e *Error
	if c := retry(nil); !errors.As(c.Err, &e) || e.Reason != TooManyLabelSets || c.Changed != 0 {
		t.Errorf("with room for two sets: %d changed, %v", c.Changed, c.Err)
	}
	m.Step(Input{Now: m.Now() + 1, Commands: []Command{&Cancel{Items: []Choice{{ID: extra.ID}}}}})
	if c := retry(nil); c.Err != nil || c.Changed != len(items) {
		t.Errorf("with room for all: %d changed, %v", c.Changed, c.Err)
	}
	if c := retry(full); c.Err != nil || c.Changed != 0 {
		t.Errorf("a repeat on a full disk: %d changed, %v", c.Changed, c.Err)
	}
}

// Records that cannot stand beside each other are refused, not served (D6).
func TestRestoreRefusesInconsistentRecords(t *testing.T) {
	live := func(change func(*Live)) Live {
		l := Live{Serial: 1, ID: "a", Queue: DefaultQueue, OnFailure: PolicyCancel, Status: Status{State: Ready, Run: 1}}
		change(&l)
		return l
	}
	good := live(func(*Live) {})
	one := Counts{Submitted: 1, States: [States]int64{Ready: 1}}
	for name, c := range map[string]struct {
		lives  []Live
		counts Counts
		ok     bool
	}{
		"good":                 {[]Live{good}, one, true},
		"twice":                {[]Live{good, good}, Counts{Submitted: 2, States: [States]int64{Ready: 2}}, false},
		"serial 0":             {[]Live{live(func(l *Live) { l.Serial = 0 })}, one, false},
		"serial of the future": {[]Live{live(func(l *Live) { l.Serial = 9 })}, one, false},
		"queue not there":      {[]Live{live(func(l *Live) { l.Queue = "other" })}, one, false},
		"terminal":             {[]Live{live(func(l *Live) { l.Status.State = Failed })}, one, false},
		"no such state":        {[]Live{live(func(l *Live) { l.Status.State = 200 })}, one, false},
		"parent not there":     {[]Live{live(func(l *Live) { l.Status.State, l.Parents = Blocked, []Serial{3} })}, one, false},
		"a task missing":       {nil, one, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := New(scenarioConfig)
			m.RestoreHead(Head{Batch: 1, NextSerial: 5, Oldest: 1})
			m.RestoreQueue(QueueRecord{Name: DefaultQueue, Counts: c.counts})
			var errs []error
			for i := range c.lives {
				errs = append(errs, m.RestoreTask(&c.lives[i]))
			}
			err := errors.Join(append(errs, m.Activate(1, nil))...)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrInconsistent) {
				t.Errorf("restored with %v, want ok %v", err, c.ok)
			}
		})
	}
}

// A reason for people is cut in an event, between characters.
func TestClipCutsBetweenCharacters(t *testing.T) {
	for _, s := range []string{"short", strings.Repeat("a", reasonBytes), strings.Repeat("a", 999), strings.Repeat("aé", 200), strings.Repeat("→", 99)} {
		got := clip(s)
		if len(got) > reasonBytes || !utf8.ValidString(got) || !strings.HasPrefix(s, got) || len(s)-len(got) > 0 && len(got) < reasonBytes-3 {
			t.Errorf("%d bytes are cut to %d: %q", len(s), len(got), got)
		}
	}
}
