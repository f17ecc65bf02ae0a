package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Load is a flow of tasks: who submits, who runs, in what portions.
type Load struct {
	Queue       string `json:"queue"`             // "": the default one
	Submitters  int    `json:"submitters"`        // connections that submit
	Callers     int    `json:"callers"`           // calls under way on each
	Batch       int    `json:"batch"`             // tasks a call, 1–1,000
	Unary       bool   `json:"unary"`             // SubmitTask instead of SubmitTasks; Batch is 1 then
	Agents      int    `json:"agents"`            // sessions, each on a connection of its own
	Slots       int    `json:"slots"`             // tasks that each may hold
	Portion     int    `json:"portion"`           // reports a message at most; 0: all that a message of grants brought
	Instruction int    `json:"instruction_bytes"` // of each task
	Result      int    `json:"result_bytes"`      // of each report
	Backlog     int    `json:"backlog"`           // tasks submitted and not recorded, at most
}

// Check says what is wrong with a load, all at once.
func (l Load) Check() error {
	var faults []error
	for _, f := range []struct {
		name             string
		value, low, high int
	}{
		{"submitters", l.Submitters, 0, 1000}, {"callers", l.Callers, 0, 200}, {"batch", l.Batch, 1, 1000},
		{"agents", l.Agents, 1, 1000}, {"slots", l.Slots, 1, 10_000}, {"portion", l.Portion, 0, 10_000},
		{"instruction", l.Instruction, 0, 512 << 10}, {"result", l.Result, 0, 1<<20 - 64},
		{"backlog", l.Backlog, l.Batch, 10_000_000},
	} {
		if f.value < f.low || f.value > f.high {
			faults = append(faults, fmt.Errorf("bench: %s %d is out of bounds; give %d to %d", f.name, f.value, f.low, f.high))
		}
	}
	return errors.Join(faults...)
}

// flow is a Load under way. Counters only rise.
type flow struct {
	Load
	submitted atomic.Int64
	recorded  atomic.Int64
	refused   atomic.Int64 // reports with another outcome than RECORDED
	room      room
	enough    chan struct{} // closed: submit nothing more
	aim       aim
	report    []byte // an encoded report of success, without its lease

	onGrant func(leaseID, taskID string) // of any agent, before it is reported; nil: nothing
	onAck   func(leaseID string)         // of any agent; nil: nothing
	shape   func(t *stintv1.Task)        // changes the tasks before their submit; nil: nothing
}

func newFlow(l Load) *flow {
	return &flow{
		Load: l, room: room{free: l.Backlog, places: l.Backlog}, enough: make(chan struct{}),
		report: encode(&stintv1.Report{Result: &stintv1.Result{Text: strings.Repeat("y", l.Result)}}),
	}
}

// newID makes a random id of 26 characters, as ULIDs are long, but without their order: the
// hardest case for an index. They have 130 random bits.
func newID() (made id) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	a, b, c := rand.Uint64(), rand.Uint64(), rand.Uint32()
	for i := range 12 {
		made[i], made[i+12] = letters[a%32], letters[b%32]
		a /= 32
		b /= 32
	}
	made[24], made[25] = letters[c%32], letters[c/32%32]
	return made
}

func (i id) String() string { return string(i[:]) }

// submit keeps submitting until ctx ends or there is enough.
func (f *flow) submit(ctx context.Context, conns []*grpc.ClientConn) error {
	return all(f.Submitters*f.Callers, func(i int) error {
		c := f.caller(conns[i%len(conns)])
		for f.room.take(ctx, f.Batch, f.enough) {
			if err := c.submit(ctx, f.Batch); err != nil {
				return ended(ctx, err)
			}
		}
		return nil
	})
}

// fill submits n tasks, whatever the backlog.
func (f *flow) fill(ctx context.Context, conns []*grpc.ClientConn, n int64) error {
	var taken atomic.Int64
	return all(f.Submitters*f.Callers, func(i int) error {
		c := f.caller(conns[i%len(conns)])
		for {
			upto := taken.Add(int64(f.Batch))
			size := min(int64(f.Batch), n-upto+int64(f.Batch))
			if size <= 0 {
				return nil
			}
			if err := c.submit(ctx, int(size)); err != nil {
				return err
			}
		}
	})
}

// caller submits, one call after the other.
type caller struct {
	*flow
	conn *grpc.ClientConn
	rest []byte // an encoded task, without its id
	ids  []id   // of the call under way
}

func (f *flow) caller(conn *grpc.ClientConn) *caller {
	return &caller{flow: f, conn: conn, rest: encode(f.task("")), ids: make([]id, f.Batch)}
}

// submit submits up to Batch tasks in one call.
func (c *caller) submit(ctx context.Context, n int) (err error) {
	ids := c.ids[:n]
	for i := range ids {
		ids[i] = newID()
	}
	if c.Unary {
		err = c.conn.Invoke(ctx, stintv1.TaskService_SubmitTask_FullMethodName, submission(ids, c.rest), &stintv1.SubmitTaskResponse{})
	} else {
		err = c.conn.Invoke(ctx, stintv1.TaskService_SubmitTasks_FullMethodName, submission(ids, c.rest), &receipt{ids})
	}
	c.count(err, n)
	return err
}

func (f *flow) count(err error, n int) {
	if err == nil {
		f.submitted.Add(int64(n))
	}
}

// task makes a task of the flow.
func (f *flow) task(id string) *stintv1.Task {
	t := &stintv1.Task{Id: id, Queue: f.Queue, Instruction: strings.Repeat("x", f.Instruction)}
	if f.shape != nil {
		f.shape(t)
	}
	return t
}

// aim is a number of lives that somebody waits for.
type aim struct {
	mu      sync.Mutex
	lives   int64
	reached chan struct{} // nil: nobody waits
}

// until gives a channel that is closed once n lives are recorded. It takes the place of the one
// before.
func (f *flow) until(n int64) <-chan struct{} {
	reached := make(chan struct{})
	f.aim.mu.Lock()
	f.aim.lives, f.aim.reached = n, reached
	f.aim.mu.Unlock()
	f.done(0) // they may have been recorded before
	return reached
}

func (a *aim) look(recorded int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reached != nil && recorded >= a.lives {
		close(a.reached)
		a.reached = nil
	}
}

// done counts lives, and gives their places in the backlog free.
func (f *flow) done(n int) {
	recorded := f.recorded.Add(int64(n))
	f.room.give(n)
	f.aim.look(recorded)
}

// all runs n of them and gives the first error.
func all(n int, run func(i int) error) error {
	var wg sync.WaitGroup
	errs := make(chan error, n)
	for i := range n {
		wg.Go(func() { errs <- run(i) })
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// ended is the error of a call, unless the run was over.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
