package blackbox

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	graceTTL    = 2 * time.Second
	graceHands  = 20
	graceSlots  = 10 // 200 live leases in all
	graceDead   = 2  // hands that do not come back
	graceBusy   = 3  // of each hand's leases: their work ends while the coordinator is away
	graceLeases = graceHands * graceSlots
)

// TestRestartGrace kills a coordinator under 200 live leases and starts it again after a part of a TTL and after many
// (L2, L6, L7, L8, Q3): no lease of an agent that lives ends, no attempt changes, what finished meanwhile is recorded, and
// the tasks of agents that are gone are granted again at no cost.
func TestRestartGrace(t *testing.T) {
	t.Parallel()
	for _, away := range []float64{0.5, 0.9, 2, 10} {
		t.Run(fmt.Sprintf("away for %v TTL", away), func(t *testing.T) {
			t.Parallel()
			restartGrace(t, time.Duration(away*float64(graceTTL)))
		})
	}
}

// crew are hands whose works end when they are told to.
type crew struct {
	hands []*hand
	stop  []context.CancelFunc // of each hand
	wg    sync.WaitGroup
	mu    sync.Mutex
	works map[string]chan struct{} // by task: closed to let the work end
	ids   map[string]chan string   // by task: the id of a lease that works on it
}

// newCrew starts hands whose works wait; each ends with ctx, or by its own stop.
func newCrew(ctx context.Context, t *testing.T, c *coordinator, hands, slots int, b *book) *crew {
	r := seeded(t)
	k := &crew{works: map[string]chan struct{}{}, ids: map[string]chan string{}}
	for i := range hands {
		h := newHand(t, c, fmt.Sprintf("hand-%d", i), slots, b, r)
		h.work = k.work
		ctx, stop := context.WithCancel(ctx)
		k.hands, k.stop = append(k.hands, h), append(k.stop, stop)
		k.wg.Go(func() { h.run(ctx) })
	}
	return k
}

func (k *crew) gate(id string) chan struct{} {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.works[id] == nil {
		k.works[id] = make(chan struct{})
	}
	return k.works[id]
}

// lease gives the id of the lease by which a task was begun, once it was.
func (k *crew) lease(id string) chan string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ids[id] == nil {
		k.ids[id] = make(chan string, 16) // more than a task has attempts here
	}
	return k.ids[id]
}

func (k *crew) work(ctx context.Context, lease *stintv1.Lease) *stintv1.Report {
	k.lease(lease.GetTask().GetId()) <- lease.GetLeaseId()
	select {
	case <-k.gate(lease.GetTask().GetId()):
		return &stintv1.Report{LeaseId: lease.GetLeaseId(), Result: &stintv1.Result{Text: "done by " + fmt.Sprint(lease.GetAttempt())}}
	case <-ctx.Done():
		return nil
	}
}

// let has the work of a task end, now or as soon as it begins.
func (k *crew) let(id string) { close(k.gate(id)) }

// end stops all hands.
func (k *crew) end() {
	for _, stop := range k.stop {
		stop()
	}
	k.wg.Wait()
}

func restartGrace(t *testing.T, away time.Duration) {
	down := injected(t, "coordinator killed under live leases")
	c := startCoordinator(t, "--lease-ttl", graceTTL.String())
	l := c.dial(t)
	b := newBook()
	ctx := bounded(t)
	k := newCrew(ctx, t, c, graceHands, graceSlots, b)
	defer k.end()
	var tasks []*stintv1.Task
	for i := range graceLeases {
		tasks = append(tasks, task(fmt.Sprintf("g%03d", i)))
	}
	l.submit(t, tasks...)
	b.submit(nil, tasks...)
	var watching sync.WaitGroup
	defer watching.Wait()
	watchCtx, endWatch := context.WithCancel(ctx)
	defer endWatch()
	w := l.watch(watchCtx, t, &watching, nil)
	w.counts(ctx, t, "all tasks granted", graceLeases, ofKind(grantedEvent))
	confirmed(ctx, t, l)

	holder := map[string]string{}
	for _, e := range w.seen() {
		if e.GetKind() == grantedEvent {
			holder[e.GetTaskId()] = e.GetAgentId()
		}
	}
	c.kill()
	down.fired()
	dead := map[string]bool{}
	for i := range graceDead {
		k.stop[i]()
		dead[k.hands[i].id] = true
	}
	busy := 0
	perHand := map[string]int{}
	for id, agent := range holder { // some end while nobody can be told
		if perHand[agent]++; !dead[agent] && perHand[agent] <= graceBusy {
			k.let(id)
			delete(holder, id)
			busy++
		}
	}
	waitOut(t, away)
	c.serve(t)

	w.counts(ctx, t, "what finished meanwhile", busy, ofKind(completedEvent))
	for id := range holder {
		if !dead[holder[id]] {
			k.let(id)
			delete(holder, id)
		}
	}
	// The dead ones' tasks need the slots that are free now.
	w.counts(ctx, t, "the dead agents' tasks granted again", graceLeases+graceDead*graceSlots, ofKind(grantedEvent))
	for id := range holder {
		k.let(id)
	}
	w.counts(ctx, t, "all completed", graceLeases, ofKind(completedEvent))
	eventually(t, "an ack of every report", func() bool { return b.acknowledged() >= graceLeases })
	endWatch()
	watching.Wait()
	for id, f := range judge(t, c, l, b) {
		first, status := f.grants[0], l.get(t, id).GetStatus()
		switch {
		case !dead[first.agent] && len(f.grants) != 1:
			t.Errorf("L7: %s of %s, which lived, was granted %d times: its lease ended %v", id, first.agent, len(f.grants), first.reason)
		case dead[first.agent] && (len(f.grants) != 2 || first.reason != stintv1.LeaseEndReason_LEASE_END_REASON_UNCONFIRMED):
			t.Errorf("L8: %s of %s, which is gone: %d attempts, lease ended %v", id, first.agent, len(f.grants), first.reason)
		case status.GetLostLeases() != 0 || status.GetCountedFailures() != 0:
			t.Errorf("Q3: %s: the restart cost %d lost leases and %d failures", id, status.GetLostLeases(), status.GetCountedFailures())
		}
	}
}

// ofKind matches events of a kind.
func ofKind(kind stintv1.EventKind) func(*stintv1.Event) bool {
	return func(e *stintv1.Event) bool { return e.GetKind() == kind }
}

// confirmed waits until every agent, but for those that are mute, has sent a heartbeat after its grants: the coordinator has
// heard of all leases.
func confirmed(ctx context.Context, t *testing.T, l *link, mute ...string) {
	t.Helper()
	began := time.Now()
	eventually(t, "a heartbeat of every agent", func() bool {
		resp, err := l.agents.ListAgents(ctx, &stintv1.ListAgentsRequest{PageSize: 1000}, patient)
		if err != nil {
			t.Fatalf("list agents: %v", err)
		}
		for _, a := range resp.GetAgents() {
			if !slices.Contains(mute, a.GetId()) && !a.GetLastHeartbeatTime().AsTime().After(began) {
				return false
			}
		}
		return true
	})
}
