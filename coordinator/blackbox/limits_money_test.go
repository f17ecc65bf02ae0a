package blackbox

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	moneyQueue   = "money"
	moneyTTL     = 2 * time.Second
	moneyAgents  = 5
	moneyLatency = 15 * time.Millisecond // of the API
	moneyTasks   = 1000
	moneyKills   = 6
	moneyReserve = 0.10 // of each task, in US dollars
	moneyRaise   = 4.0  // of the limit before each kill: some seventy tasks, forty if all cost what they reserve

	// overrunChance and failChance are of a call: to cost up to three times what was reserved, and to fail without a word
	// of what it cost.
	overrunChance = 0.02
	failChance    = 0.05
)

// micro is an amount in whole micro-dollars.
func micro(usd float64) int64 { return int64(math.Round(usd * 1e6)) }

// price is what an API charges for an attempt, always the same for the same one; fails says that it fails.
func price(task string, attempt string) (usd float64, fails bool) {
	h := fnv.New64a()
	_, _ = io.WriteString(h, task+"#"+attempt)
	r := rand.New(rand.NewPCG(h.Sum64(), 0))
	share, kind := r.Float64(), r.Float64()
	if kind < overrunChance {
		return float64(micro(moneyReserve*(1+2*share))) / 1e6, false
	}
	return float64(micro(moneyReserve*(0.1+0.9*share))) / 1e6, kind > 1-failChance
}

// priced answers after a time that a call takes.
func priced(w http.ResponseWriter, r *http.Request) {
	var body struct {
		TaskID string `json:"task_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	call := time.NewTimer(moneyLatency)
	defer call.Stop()
	select {
	case <-call.C:
	case <-r.Context().Done():
		return
	}
	usd, fails := price(body.TaskID, r.Header.Get("Stint-Attempt"))
	if fails {
		http.Error(w, "no luck", http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"status": "completed", "result": "done", "budget_used": usd})
}

// account is what the events of a queue say of its money, in micro-dollars. All its tasks reserve the same.
type account struct {
	settled, overrun int64
	live             map[string]bool  // attempts that hold a lease
	cost             map[string]int64 // of attempts that ended, by attempt
	agents           map[string]int64 // settled by agent
	of               map[string]string
}

// book takes in one event.
func (a *account) book(e *stintv1.Event) {
	attempt := fmt.Sprintf("%s#%d", e.GetTaskId(), e.GetAttempt())
	if e.GetKind() == grantedEvent {
		a.live[attempt], a.of[attempt] = true, e.GetAgentId()
		return
	}
	if e.CostUsd == nil {
		return
	}
	delete(a.live, attempt)
	before, late := a.cost[attempt]
	after := micro(e.GetCostUsd())
	a.cost[attempt] = after
	a.settled += after - before
	a.agents[a.of[attempt]] += after - before
	if late { // the rest of its reservation may be another's by now
		a.overrun += max(0, after-before)
	} else {
		a.overrun += max(0, after-micro(moneyReserve))
	}
}

// reserved is for live leases.
func (a *account) reserved() int64 { return int64(len(a.live)) * micro(moneyReserve) }

// audit folds a history, and holds B1 after each event of it. limits are those that the queue has had, one a change.
func audit(t *testing.T, events []*stintv1.Event, limits []int64) *account {
	t.Helper()
	limit := int64(0)
	a := &account{live: map[string]bool{}, cost: map[string]int64{}, agents: map[string]int64{}, of: map[string]string{}}
	for _, e := range events {
		if e.GetKind() == stintv1.EventKind_EVENT_KIND_QUEUE_CHANGED && e.GetQueue() == moneyQueue {
			limit, limits = limits[0], limits[1:]
		}
		before := a.settled + a.reserved()
		a.book(e)
		after := a.settled + a.reserved()
		if after > limit+a.overrun {
			t.Fatalf("B1: %d settled and %d reserved of %d, overruns of %d, after %v", a.settled, a.reserved(), limit, a.overrun, e)
		}
		if e.GetKind() == grantedEvent && before+micro(moneyReserve) > limit {
			t.Fatalf("B1: granted with %d of %d taken: %v", before, limit, e)
		}
		paid(t, e)
	}
	return a
}

// paid checks that what was reported is what the API had charged; what was not is as good as the reservation, or free.
func paid(t *testing.T, e *stintv1.Event) {
	t.Helper()
	if e.CostUsd == nil {
		return
	}
	charged, _ := price(e.GetTaskId(), fmt.Sprint(e.GetAttempt()))
	got, want := micro(e.GetCostUsd()), []int64{micro(charged)}
	switch e.GetKind() {
	case failedAttempt:
		want = []int64{micro(moneyReserve)}
	case endedEvent:
		want = []int64{0, micro(moneyReserve)}
	case stintv1.EventKind_EVENT_KIND_SPEND_SETTLED:
		want = append(want, micro(moneyReserve))
	}
	for _, w := range want {
		if got == w {
			return
		}
	}
	t.Errorf("B3: settled at %d, want one of %d: %v", got, want, e)
}

// purse watches a queue through every restart, and holds B1 against what each read says.
func (l *link) purse(ctx context.Context, t *testing.T, name string, wg *sync.WaitGroup) {
	wg.Go(func() {
		again := time.NewTicker(5 * time.Millisecond)
		defer again.Stop()
		for range again.C {
			resp, err := l.queues.GetQueue(ctx, &stintv1.GetQueueRequest{Queue: name}, patient)
			if ctx.Err() != nil {
				return
			}
			if err != nil {
				continue // a coordinator that was killed
			}
			if s := resp.GetQueue().GetStatus(); micro(s.GetSpentUsd()+s.GetReservedUsd()) > micro(resp.GetQueue().GetBudget().GetLimitUsd()+s.GetOverrunUsd()) {
				t.Errorf("B1: the queue says %v", s)
				return
			}
		}
	})
}

// TestBudgetHoldsUnderKills has real agents race for a budget that is too small for all, and raised now and then, kills them and
// the coordinator, and holds B1–B3 at every read and, by the events, after every change. A limit above what all can cost lets
// the rest run, and no reservation is left.
func TestBudgetHoldsUnderKills(t *testing.T) {
	r := seeded(t)
	kills, agentKills := injected(t, "kill -9 of the coordinator"), injected(t, "kill -9 of an agent")
	c := startCoordinator(t, "--lease-ttl", moneyTTL.String(), "--grant-timeout", "1s")
	l := c.dial(t)
	raised := &limitOf{l: l}
	raised.to(t, moneyRaise)
	l.submit(t, moneyWork()...)
	ctx, cancel := context.WithTimeout(t.Context(), sized(3*time.Minute, 10*time.Minute))
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	l.purse(ctx, t, moneyQueue, &watching)
	steady := l.watch(ctx, t, &watching, nil)

	fleet := newFleet(t, c, serveMoney(t))
	for n := range moneyKills {
		more := 15 + r.IntN(25)
		raised.to(t, float64(n+1)*moneyRaise)
		seen := count(steady.seen(), completedEvent)
		steady.until(ctx, t, "work between two kills", func(e []*stintv1.Event) bool { return count(e, completedEvent) >= seen+more })
		if n%2 == 0 {
			c.kill()
			kills.fired()
			c.serve(t)
		} else {
			fleet.killOne(r)
			agentKills.fired()
		}
	}
	fleet.exhausted(t, l)
	status := cli(t, c, "status")
	if !strings.Contains(status.stdout, "budget exhausted") {
		t.Errorf("status does not say that the budget is exhausted:\n%s%s", status.stdout, status.stderr)
	}
	settle(t, l, raised.all)

	raised.to(t, moneyTasks*moneyReserve*3)
	(&load{l: l}).terminalAll(ctx, t)
	fleet.quiet(t)
	if q := l.queue(t, moneyQueue); q.GetStatus().GetReservedUsd() != 0 || q.GetStatus().GetRunning() != 0 {
		t.Errorf("after all: %v", q)
	}
}

// moneyWork is what there is to do: of three customers, each task with the same reservation.
func moneyWork() []*stintv1.Task {
	var work []*stintv1.Task
	for i := range moneyTasks {
		work = append(work, task(fmt.Sprintf("m%03d", i), in(moneyQueue), costs(0, moneyReserve),
			ofKey(fmt.Sprintf("key-%d", i%3), ""), attempts(20), soon))
	}
	return work
}

// limitOf changes the budget of the queue, and keeps what it was in micro-dollars.
type limitOf struct {
	l   *link
	all []int64
}

func (x *limitOf) to(t *testing.T, usd float64) {
	t.Helper()
	if n := len(x.all); n > 0 && x.all[n-1] == micro(usd) {
		return // no change, and no event
	}
	x.all = append(x.all, micro(usd))
	x.l.set(t, &stintv1.Queue{Name: moneyQueue, Budget: &stintv1.QueueBudget{LimitUsd: &usd}}, "budget")
}

// settle holds the figures of a queue in which nothing runs, and the sums of its spend, against its events.
func settle(t *testing.T, l *link, limits []int64) {
	t.Helper()
	a := audit(t, l.history(t), limits)
	s := l.queue(t, moneyQueue).GetStatus()
	if micro(s.GetSpentUsd()) != a.settled || micro(s.GetOverrunUsd()) != a.overrun || s.GetReservedUsd() != 0 || len(a.live) != 0 {
		t.Errorf("the queue says %v, its events %d settled, %d overrun, %d live", s, a.settled, a.overrun, len(a.live))
	}
	if all := l.spend(t, moneyQueue, stintv1.SpendGroup_SPEND_GROUP_QUEUE)[moneyQueue]; micro(all.GetSpentUsd()) != a.settled || int(all.GetAttempts()) != len(a.cost) {
		t.Errorf("spend %v, want %d micro-dollars of %d attempts", all, a.settled, len(a.cost))
	}
	for agent, sum := range l.spend(t, moneyQueue, stintv1.SpendGroup_SPEND_GROUP_AGENT) {
		if micro(sum.GetSpentUsd()) != a.agents[agent] {
			t.Errorf("spend of %s %v, want %d", agent, sum, a.agents[agent])
		}
	}
	byKey := int64(0)
	for _, sum := range l.spend(t, moneyQueue, stintv1.SpendGroup_SPEND_GROUP_FAIRNESS_KEY) {
		byKey += micro(sum.GetSpentUsd())
	}
	if byKey != a.settled {
		t.Errorf("spend by key is %d in all, want %d", byKey, a.settled)
	}
	t.Logf("%d attempts cost %d micro-dollars, %d above reservations, of a limit of %d", len(a.cost), a.settled, a.overrun, limits[len(limits)-1])
}

func count(events []*stintv1.Event, kind stintv1.EventKind) int {
	n := 0
	for _, e := range events {
		if e.GetKind() == kind {
			n++
		}
	}
	return n
}
