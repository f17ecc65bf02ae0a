package ledgertest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// everyField commits records in which nothing has its usual value.
func everyField(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	b := FullBatch()
	commit(t, h.Ledger, b)
	m := NewModel()
	m.Apply(b)
	same(t, h.Ledger, m)
	shut(t, h.Ledger)
}

// FullBatch is a batch in whose records every field is set, and to an unusual value.
func FullBatch() *queue.Batch {
	retry := queue.Retry{MaxAttempts: 7, InitialBackoff: 3, MaxBackoff: time.Hour, Unknown: queue.UnknownFail}
	requires := []queue.Requirement{{Key: "a", Op: queue.In, Values: []string{"", "x"}}, {Key: "b/c", Op: queue.NotIn, Values: []string{"d e"}},
		{Key: "d", Op: queue.Exists}, {Key: "e", Op: queue.Absent}}
	labels := []queue.Label{{Key: "a", Value: ""}, {Key: "b/c", Value: "d e"}}
	failure := queue.Failure{Class: queue.ClassRateLimited, Message: "späte Nachricht\x00", HTTPStatus: 429,
		RetryAfter: time.Minute, Cost: -5, HasCost: true}
	status := queue.Status{State: queue.Running, Run: 4, Attempt: 9, Create: firstInstant, Ready: firstInstant - 1,
		Start: firstInstant + 2, NotBefore: 5, ExpireTime: 1 << 62, Counted: 1, Lost: 2, Uncounted: 3,
		Denied: 4, Spent: 1 << 51, BackingOff: true, Spilled: true}
	attempt := queue.Attempt{Number: 9, Run: 4, Agent: "w", Unary: true, Start: 7, Finish: 3,
		Outcome: queue.OutcomeLost, End: queue.EndTimedOut, Reported: true, Digest: queue.Digest{15: 9},
		Failure: failure, Cost: 1 << 50, HasCost: true, Reserved: 11, Spent: 12}
	over := status
	over.State, over.Finish = queue.Expired, firstInstant+9
	b := &queue.Batch{
		Head: queue.Head{Batch: 12, NextSerial: 1 << 40, Newest: 6, Oldest: 4, Now: firstInstant},
		Queues: []queue.QueueRecord{{Name: "q", Paused: true, Counts: queue.Counts{
			Submitted: 45, States: [queue.States]int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, Pruned: 1 << 40},
			Settings: queue.Settings{MaxRunning: 1, KeyLimit: 2, Rate: queue.Rate{PerSecond: 0.1, Burst: 3}, Weight: 1000, StrictFencing: true,
				Retry:  queue.RetryDefaults{MaxAttempts: 4, InitialBackoff: 5, MaxBackoff: 6, Unknown: queue.UnknownRetry},
				Budget: queue.Budget{Set: true, Limit: 1 << 40, Period: queue.PeriodMonth}},
			Version: 1 << 60, Spend: queue.PeriodSpend{Period: firstInstant, Settled: 7, Overrun: 8, Since: firstInstant + 1}}},
		Spends: []queue.SpendRecord{{Queue: "q", By: queue.ByQueue, Spent: 1 << 62, Attempts: 1 << 50}, {Queue: "q", By: queue.ByAgent, Name: "w", Spent: -1},
			{Queue: "q", By: queue.ByFairnessKey, Name: "a\x00/b", Attempts: 9}, {Queue: "q", By: queue.ByFairnessKey}, {Queue: "q\x02", By: queue.ByAgent, Name: "w"}},
		Attempts: []queue.AttemptRecord{{Serial: 1, Attempt: attempt}, {Serial: 2, Attempt: attempt}},
		Deferred: []queue.Serial{2},
		Events: []queue.Event{
			{Sequence: 4, Time: 9, Kind: queue.EventLeaseEnded, Task: "t", Serial: 1, Queue: "q", Run: 2,
				Attempt: 3, Agent: "w", Reason: "because", End: queue.EndSuperseded, Class: queue.ClassDeadline, Cost: 1 << 60, HasCost: true},
			{Sequence: 5, Time: 8, Kind: queue.EventQueueChanged, Queue: "other"},
			{Sequence: 6, Time: 8, Kind: queue.EventSpendSettled, Queue: "other", HasCost: true},
		},
		Live: []queue.Live{{
			Serial: 1, ID: "t", Digest: queue.Digest{1, 2, 3}, Queue: "q", Priority: -100, Parents: []queue.Serial{3, 1 << 39},
			OnFailure: queue.PolicyRun, AttemptTimeout: time.Nanosecond, Retry: retry, Requires: requires, MaxCost: 13,
			FairnessKey: "f/k", ConcurrencyKey: "c@k", Status: status,
			Grant: queue.Grant{Agent: "w", Instance: "i", Request: "r", Length: time.Hour, Start: 1},
		}},
		Terminal: []queue.Terminal{{Serial: 2, ID: "u", Queue: "q", Status: over, Failure: failure, Final: attempt,
			Result: []byte{0, 1, 2}}},
	}
	for i, id := range []string{"t", "u"} {
		b.Specs = append(b.Specs, queue.Spec{
			Serial: queue.Serial(i + 1), ID: id, Digest: queue.Digest{1, 2, 3}, Queue: "q", Priority: 100, DependsOn: []string{"x", "y"},
			Parents: []queue.Serial{3, 1 << 39}, OnFailure: queue.PolicyWait, NotBefore: 5, ExpireTime: 1 << 62,
			AttemptTimeout: time.Hour, Retry: retry, Requires: requires, Labels: labels, MaxCost: 1 << 52,
			FairnessKey: "f/k", ConcurrencyKey: "c@k", Payload: []byte("payload\x00"),
		})
	}
	return b
}

func gets(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	b := FullBatch()
	commit(t, h.Ledger, b)
	m := NewModel()
	m.Apply(b)
	live, over, attempt := m.Live[1], m.Terminal[2], m.Attempts[queue.AttemptKey{Serial: 1, Number: 9}]
	bare := func(s queue.Serial) queue.Spec { v := m.Specs[s]; v.Payload = nil; return v }
	cut := over
	cut.Result = nil
	for _, c := range []struct {
		name string
		keys ledger.Keys
		want ledger.Found
	}{
		{"nothing", ledger.Keys{}, ledger.Found{}},
		{"ids, bare", ledger.Keys{IDs: []string{"u", "no", "t", "", "t"}}, ledger.Found{IDs: []*ledger.Task{
			{Spec: bare(2), Terminal: &cut}, nil, {Spec: bare(1), Live: &live}, nil, {Spec: bare(1), Live: &live}}}},
		{"ids, full", ledger.Keys{IDs: []string{"t", "u"}, Payload: true, Result: true, History: true}, ledger.Found{IDs: []*ledger.Task{
			{Spec: m.Specs[1], Live: &live, Attempts: []queue.Attempt{attempt}},
			{Spec: m.Specs[2], Terminal: &over, Attempts: []queue.Attempt{attempt}}}}},
		{"serials, bare", ledger.Keys{Serials: []queue.Serial{0, 2, 1, 9}, Payload: true}, ledger.Found{Serials: []*ledger.Task{
			nil, {Terminal: &cut}, {Live: &live}, nil}}},
		{"serials, with spec", ledger.Keys{Serials: []queue.Serial{2, 1}, Spec: true, Payload: true, Result: true}, ledger.Found{
			Serials: []*ledger.Task{{Spec: m.Specs[2], Terminal: &over}, {Spec: m.Specs[1], Live: &live}}}},
		{"serials, with history", ledger.Keys{Serials: []queue.Serial{2, 1}, History: true}, ledger.Found{Serials: []*ledger.Task{
			{Terminal: &cut, Attempts: []queue.Attempt{attempt}}, {Live: &live, Attempts: []queue.Attempt{attempt}}}}},
		{"attempts", ledger.Keys{Attempts: []queue.AttemptKey{{Serial: 1, Number: 9}, {Serial: 1, Number: 8}, {Serial: 3, Number: 9}}},
			ledger.Found{Attempts: []*queue.Attempt{&attempt, nil, nil}}},
	} {
		got, err := h.Ledger.Get(t.Context(), c.keys)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if len(got.IDs) != len(c.want.IDs) || len(got.Serials) != len(c.want.Serials) || len(got.Attempts) != len(c.want.Attempts) {
			t.Fatalf("%s: %d, %d, %d answers", c.name, len(got.IDs), len(got.Serials), len(got.Attempts))
		}
		for i, w := range c.want.IDs {
			sameTask(t, c.name, got.IDs[i], w)
		}
		for i, w := range c.want.Serials {
			sameTask(t, c.name, got.Serials[i], w)
		}
		for i, w := range c.want.Attempts {
			if !reflect.DeepEqual(got.Attempts[i], w) {
				t.Errorf("%s: attempt %+v, want %+v", c.name, got.Attempts[i], w)
			}
		}
	}
	shut(t, h.Ledger)
}

// getsMany asks for more serials than are looked up one by one, in any order, some twice and some that
// are not there, with gaps between them of all widths.
func getsMany(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	m := NewMaker(11)
	m.Begin()
	const tasks = 300
	for range tasks {
		m.Submit()
	}
	commit(t, h.Ledger, m.End())
	m.Begin()
	for s := queue.Serial(5); s <= tasks; s += 5 {
		m.Finish(s, queue.Cancelled)
	}
	commit(t, h.Ledger, m.End())
	rng := rand.New(rand.NewPCG(11, 1))
	for _, n := range []int{15, 16, 40, 400} {
		serials, want := make([]queue.Serial, n), make([]*ledger.Task, n)
		for i := range serials {
			serials[i] = queue.Serial(rng.IntN(tasks + 20))
			want[i] = m.Model.task(serials[i])
		}
		got, err := h.Ledger.Get(t.Context(), ledger.Keys{Serials: serials, Spec: true, Payload: true, Result: true})
		if err != nil || len(got.Serials) != n {
			t.Fatalf("%d serials: %d answers, error %v", n, len(got.Serials), err)
		}
		for i, w := range want {
			sameTask(t, fmt.Sprintf("serial %d among %d", serials[i], n), got.Serials[i], w)
		}
	}
	none, err := h.Ledger.Get(t.Context(), ledger.Keys{Serials: make([]queue.Serial, 40)})
	if err != nil || slices.ContainsFunc(none.Serials, func(t *ledger.Task) bool { return t != nil }) {
		t.Errorf("serial 0: %v, error %v", none.Serials, err)
	}
	shut(t, h.Ledger)
}

// task is all that is stored of a serial, nil if there is nothing.
func (m *Model) task(s queue.Serial) *ledger.Task {
	t := &ledger.Task{Spec: m.Specs[s]}
	if l, ok := m.Live[s]; ok {
		t.Live = &l
	} else if over, ok := m.Terminal[s]; ok {
		t.Terminal = &over
	} else {
		return nil
	}
	return t
}

func sameTask(t *testing.T, what string, got, want *ledger.Task) {
	t.Helper()
	if got == nil || want == nil {
		if got != want {
			t.Errorf("%s: task %+v, want %+v", what, got, want)
		}
		return
	}
	g := *got
	g.Spec = cloneSpec(g.Spec)
	if g.Live != nil {
		l := cloneLive(*g.Live)
		g.Live = &l
	}
	if !reflect.DeepEqual(&g, want) {
		t.Errorf("%s: task %+v live %+v terminal %+v\nwant %+v live %+v terminal %+v", what, g, g.Live, g.Terminal, want, want.Live, want.Terminal)
	}
}

// getsDuringMoves looks tasks up while they become terminal and live again: each look must
// find exactly one of both records.
func getsDuringMoves(t *testing.T, h Harness) {
	lead(t, h.Ledger)
	m := NewMaker(7)
	const tasks = 20
	m.Begin()
	var all []queue.Serial
	for range tasks {
		all = append(all, m.Submit())
	}
	commit(t, h.Ledger, m.End())
	var ids []string
	for _, s := range all {
		ids = append(ids, m.Model.Specs[s].ID)
	}
	stop, looking := make(chan struct{}), sync.WaitGroup{}
	for range 2 {
		looking.Go(func() {
			for {
				f, err := h.Ledger.Get(t.Context(), ledger.Keys{IDs: ids, Serials: all, Result: true})
				if err != nil {
					t.Errorf("get: %v", err)
					return
				}
				for i := range all {
					if f.IDs[i] == nil || f.Serials[i] == nil || (f.IDs[i].Live == nil) != (f.Serials[i].Live == nil) {
						t.Errorf("task %d is not found as one", all[i])
						return
					}
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 100 {
		m.Begin()
		for _, s := range all {
			if _, ok := m.Model.Live[s]; ok {
				m.Finish(s, queue.Cancelled)
			} else {
				m.Rerun(s)
			}
		}
		commit(t, h.Ledger, m.End())
	}
	close(stop)
	looking.Wait()
	shut(t, h.Ledger)
}
