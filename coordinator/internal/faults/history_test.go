package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// The size of one history: small enough that it is judged in a moment.
const (
	histories   = 25 // times 100 in the long size: one takes a few milliseconds
	clients     = 6
	tasks       = 5
	lives       = 4 // each but the last ends in a crash
	callsALife  = 14
	leasesAHand = 3
	patience    = time.Minute // of porcupine, for one history
)

// C1–C6, L2–L4, D1, D2, W3: what concurrent clients were answered, across crashes that keep 0, 50
// or 100 % of what was not synced, is what one task after the other would have answered. All
// histories must be judged Ok: none Illegal, none Unknown.
func TestHistoriesAreLinearizable(t *testing.T) {
	first := seed(t)
	var unknown, calls int
	n := histories
	if soak {
		n *= 100
	}
	for i := range n {
		var r *recorder
		synctest.Test(t, func(t *testing.T) { r = record(t, first+uint64(i)) })
		model := contract
		if result := porcupine.CheckOperationsTimeout(model, r.all, patience); result != porcupine.Ok {
			t.Errorf("SEED=%d: the history is %s", first+uint64(i), result)
			r.tell(t)
		}
		unknown, calls = unknown+r.unknown, calls+len(r.all)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d histories, %d operations, %d of them without an answer", n, calls, unknown)
	if unknown == 0 {
		t.Error("no crash came while a call was under way")
	}
}

// recorder is the clients' side of a history.
type recorder struct {
	clock   atomic.Int64
	crashed atomic.Bool

	mu      sync.Mutex
	all     []porcupine.Operation
	unknown int
}

// tell logs what happened to the tasks that are not in order.
func (r *recorder) tell(t *testing.T) {
	for _, part := range contract.Partition(r.all) {
		if porcupine.CheckOperations(contract, part) {
			continue
		}
		for _, o := range part {
			a := o.Output.(answer)
			t.Logf("client %d [%d,%d] %+v → %q unknown %v not found %v seen %v %v %v %q", o.ClientId, o.Call, o.Return, o.Input, a.text,
				a.unknown, a.notFound, a.seen.state, a.seen.run, a.seen.outcomes[:a.seen.attempt], a.seen.result)
		}
		return
	}
}

// record lets clients loose on a coordinator that crashes now and then.
func record(t *testing.T, seed uint64) *recorder {
	r := &recorder{}
	rng := rand.New(rand.NewPCG(seed, 14))
	disk := vfs.NewCrashableMem()
	hands := make([]*client, clients)
	for i := range hands {
		hands[i] = &client{recorder: r, id: i, rng: rand.New(rand.NewPCG(seed, uint64(100+i)))}
	}
	for life := range lives {
		r.crashed.Store(false)
		l := start(t, disk)
		if rng.IntN(2) == 0 {
			r.lapse()
		}
		var all sync.WaitGroup
		var done atomic.Int64
		crash := int64(rng.IntN(clients * callsALife))
		fell := make(chan struct{})
		for _, c := range hands {
			all.Go(func() {
				for range callsALife {
					if r.crashed.Load() {
						return
					}
					c.call(t, l)
					if done.Add(1) == crash {
						close(fell)
					}
				}
			})
		}
		if life < lives-1 && crash > 0 {
			<-fell
			r.crashed.Store(true) // from here on no answer is believed
			left := disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng})
			all.Wait()
			l.stop()
			disk = left
			continue
		}
		all.Wait()
		if life == lives-1 {
			hands[0].lookAtAll(t, l)
			wantHistory(t, l.history())
		}
		l.stop()
	}
	return r
}

// lapse lets all leases of before a restart run out, with nobody naming them (L8).
func (r *recorder) lapse() {
	from := r.clock.Add(1)
	time.Sleep(2 * unaryLength)
	synctest.Wait()
	for i := range tasks {
		r.add(0, op{kind: "lapse", task: name(i)}, answer{}, from, r.clock.Add(1))
	}
}

func name(i int) string { return fmt.Sprint("task-", i) }

func (r *recorder) add(client int, o op, a answer, from, to int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if a.unknown {
		r.unknown++
		to = 1 << 60 // it may take effect at any time, or never
	}
	r.all = append(r.all, porcupine.Operation{ClientId: client, Input: o, Output: a, Call: from, Return: to})
}

// client is one caller, one call at a time.
type client struct {
	*recorder
	id    int
	rng   *rand.Rand
	hands []holding
}

// holding is a lease that the client was once given, whatever has become of it.
type holding struct {
	task, lease string
	attempt     int32
}

// call makes one random call and records it.
func (c *client) call(t *testing.T, l *life) {
	task := name(c.rng.IntN(tasks))
	switch n := c.rng.IntN(20); {
	case n < 3:
		c.record(op{kind: "submit", task: task}, func() (string, error) {
			existed, err := l.Submit(t.Context(), []queue.Spec{spec(task)}, nil)
			if err != nil || !existed[0] {
				return "made", err
			}
			return "existed", nil
		})
	case n < 8:
		c.acquire(t, l)
	case n < 10:
		c.get(t, l, task)
	case n < 11:
		c.change(t, task, "cancel", func() (int, error) { return l.Cancel(t.Context(), []queue.Choice{{ID: task}}, "") })
	case n < 13:
		c.change(t, task, "retry", func() (int, error) { return l.Retry(t.Context(), []queue.Choice{{ID: task}}, 0) })
	default:
		c.use(t, l)
	}
}

// record makes a call of which one answer is wanted.
func (c *client) record(o op, call func() (string, error)) {
	from := c.clock.Add(1)
	text, err := call()
	to := c.clock.Add(1)
	if c.crashed.Load() {
		c.add(c.id, o, answer{unknown: true}, from, to)
		return
	}
	if err != nil {
		text = "error: " + err.Error() // none is expected: the model knows no such answer
	}
	c.add(c.id, o, answer{text: text}, from, to)
}

// change records a call that does nothing to a task that is not there, which then says nothing.
func (c *client) change(t *testing.T, task, kind string, call func() (int, error)) {
	var refusal *queue.Error
	missing := false
	from := c.clock.Add(1)
	n, err := call()
	to := c.clock.Add(1)
	a := answer{unknown: c.crashed.Load(), text: fmt.Sprint("changed ", n)}
	switch {
	case a.unknown:
	case errors.As(err, &refusal) && refusal.Reason == queue.TaskNotFound:
		missing = true
	case errors.As(err, &refusal) && refusal.Reason == queue.TaskCompleted:
		a.text = "completed"
	case err != nil:
		t.Errorf("%s of %s: %v", kind, task, err)
	}
	if missing {
		c.add(c.id, op{kind: "get", task: task}, answer{notFound: true}, from, to)
		return
	}
	c.add(c.id, op{kind: kind, task: task}, a, from, to)
}

func (c *client) get(t *testing.T, l *life, id string) {
	from := c.clock.Add(1)
	task, err := l.Task(t.Context(), id)
	to := c.clock.Add(1)
	if c.crashed.Load() {
		return // it would say nothing
	}
	var refusal *queue.Error
	switch {
	case errors.As(err, &refusal) && refusal.Reason == queue.TaskNotFound:
		c.add(c.id, op{kind: "get", task: id}, answer{notFound: true}, from, to)
	case err != nil:
		t.Errorf("get %s: %v", id, err)
	default:
		c.add(c.id, op{kind: "get", task: id}, answer{seen: seen(task)}, from, to)
	}
}

// seen is what of a task is compared.
func seen(task *engine.Task) taskState {
	s := taskState{
		exists: true, state: task.Status.State, run: task.Status.Run, attempt: int32(len(task.Attempts)),
		result: string(task.Result),
	}
	for i, a := range task.Attempts {
		s.outcomes[i] = a.Outcome
		if int(a.Number) != i+1 {
			s.attempt = -a.Number // never equal to anything: L2
		}
	}
	return s
}

// acquire records a grant for each lease. If the answer was lost, each task may have been granted.
func (c *client) acquire(t *testing.T, l *life) {
	from := c.clock.Add(1)
	leases, err := l.Acquire(t.Context(), engine.Acquire{Agent: fmt.Sprint("agent-", c.id), Max: 1 + c.rng.IntN(2), Length: unaryLength})
	to := c.clock.Add(1)
	if c.crashed.Load() {
		for i := range tasks {
			c.add(c.id, op{kind: "grant", task: name(i)}, answer{unknown: true}, from, to)
		}
		return
	}
	if err != nil {
		t.Errorf("acquire: %v", err)
	}
	for _, x := range leases {
		c.add(c.id, op{kind: "grant", task: x.TaskID, attempt: x.Attempt}, answer{text: "granted"}, from, to)
		c.hands = append(c.hands, holding{x.TaskID, x.ID, x.Attempt})
	}
	c.hands = c.hands[max(0, len(c.hands)-leasesAHand):]
}

// use says something of a lease that the client has or had.
func (c *client) use(t *testing.T, l *life) {
	if len(c.hands) == 0 {
		return
	}
	h := c.hands[c.rng.IntN(len(c.hands))]
	o := op{task: h.task, attempt: h.attempt}
	switch n := c.rng.IntN(8); {
	case n < 2:
		o.kind, o.text = "success", fmt.Sprint("result ", c.rng.IntN(2))
		c.record(o, func() (string, error) { return ack(l, success(h.lease, o.text)) })
	case n < 5:
		o.kind, o.text = "failure", "again"
		r := failure(h.lease, queue.ClassServerError)
		if n == 4 {
			o.text, r = "final", failure(h.lease, queue.ClassTaskFailed)
		}
		c.record(o, func() (string, error) { return ack(l, r) })
	case n < 6:
		o.kind = "extend"
		c.record(o, func() (string, error) { return extend.do(l, h.lease) })
	default:
		o.kind = "release"
		c.record(o, func() (string, error) { return release.do(l, h.lease) })
	}
}

// lookAtAll ends a history with a reading of every task.
func (c *client) lookAtAll(t *testing.T, l *life) {
	for i := range tasks {
		c.get(t, l, name(i))
	}
}
