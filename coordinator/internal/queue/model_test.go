package queue

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestModel drives the machine with random commands, times, stale look-ups, late commits,
// crashes and restarts, and compares it after every step with the naive reference: states,
// answers, events, streams, records (L1–L5, L7–L11, C1–C5, Q1–Q4, Q6). A second machine is
// given copies of the same inputs and must do the same (D7). After a crash a machine restored
// from the committed records must go on as the reference of that time does (D4).
//
// It has been seen to fail on: an attempt number given twice, or from one again after a retry; an
// unconfirmed grant counted as lost; a late winner refused, or leaving the other lease alive; a
// released attempt that wins; a failure taken from a stranger; a WAIT child let go by a failed
// parent; a RUN child held by a retried one; a heap without priority; a ready time that is reset;
// credit off by one; a drained agent that is given work; a count not moved; an ended task, a past
// attempt or a pruned id forgotten before Settled; a stall not added, or one too short; a clock
// that starts before the release; a restart that confirms leases or cuts them short; one missed
// heartbeat taken for two; pruning under a live dependent; a terminal record both put and dropped.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 200).Draw(t, "turns") {
			w.turn()
		}
		w.finish()
	})
}

var modelConfig = Config{LeaseTTL: 30 * time.Second, GrantTimeout: 5 * time.Second, MaxLive: 14}

// world plays the engine, the ledger and the agents around a machine, its twin and the
// reference.
type world struct {
	t       *rapid.T
	machine *Machine
	twin    *Machine
	ref     *reference
	newest  *book // of all batches
	durable *book // of those committed
	flying  []flight
	// committed is the reference as of the newest batch committed.
	committed *reference
	looks     []*order // looked up, or to be, and not handed in yet
	now       Instant
	elapsed   time.Duration
	// released is the newest batch whose replies have left.
	released uint64
	leases   []knownLease // all ever given out, whoever knows of them
	calls    []*order     // Acquire
	streams  []StreamID
	stream   StreamID
	made     int
	specs    map[string]Spec // as submitted last
}

// flight is a batch on its way to the disk, with the reference as of then.
type flight struct {
	batch *Batch
	ref   *reference
}

// order is a command, and its copy for the twin.
type order struct {
	c, twin Command
	asked   bool // a look-up was made, of the book as of batch seen
	seen    uint64
	tries   int
}

type knownLease struct {
	ref   LeaseRef
	agent string
	unary bool
}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, machine: New(modelConfig), twin: New(modelConfig), ref: newReference(modelConfig),
		committed: newReference(modelConfig), newest: newBook(), durable: newBook(),
		now:   7_100_000_000, // an hour ends in 100 s, not the first of all, whose start reads as none
		specs: map[string]Spec{},
	}
	return w
}

// turn is one turn of the engine's loop.
func (w *world) turn() {
	for len(w.flying) > 2 || len(w.flying) > 0 && w.chance(60, "commit") {
		w.commit()
	}
	if w.chance(3, "crash") {
		w.crash()
	}
	w.pass()
	orders := w.looked()
	for range rapid.IntRange(0, 3).Draw(w.t, "commands") {
		if o := w.command(); o != nil {
			orders = append(orders, o)
		}
	}
	w.step(orders)
}

func (w *world) chance(percent int, what string) bool {
	return rapid.IntRange(0, 99).Draw(w.t, what) >= 100-percent
}

func (w *world) commit() {
	if err := w.durable.fold(w.flying[0].batch); err != nil {
		w.t.Fatal(err)
	}
	if w.chance(50, "recycle") {
		w.machine.Recycle(w.flying[0].batch) // the twin always makes new ones
	}
	w.committed, w.flying = w.flying[0].ref, w.flying[1:]
}

// pass lets time go by: mostly little, at times a deadline's length, a stall, or a wall clock
// that jumps.
func (w *world) pass() {
	d := rapid.SampledFrom([]time.Duration{
		0, time.Microsecond, time.Second, time.Second, 2 * time.Second, 5 * time.Second,
		5 * time.Second, 10 * time.Second, 10 * time.Second, 10*time.Second + 1, 31 * time.Second,
	}).Draw(w.t, "pass")
	w.elapsed += d
	w.now += Instant(d / time.Microsecond)
	if w.chance(3, "jump") {
		w.now += Instant(rapid.IntRange(-20, 20).Draw(w.t, "by")) * 1_000_000
	}
}

// looked makes look-ups for some of the commands that need one, and gives some of those whose
// look-up was made, perhaps long ago.
func (w *world) looked() []*order {
	var ready, rest []*order
	for _, o := range w.looks {
		if !o.asked && w.chance(70, "look up") {
			w.lookUp(o)
		}
		if o.asked && w.chance(70, "hand in") {
			ready = append(ready, o)
		} else {
			rest = append(rest, o)
		}
	}
	w.looks = rest
	return ready
}

func (w *world) lookUp(o *order) {
	w.durable.look(o.c)
	w.durable.look(o.twin)
	o.asked, o.seen = true, w.durable.head.Batch
}

// step steps both machines and the reference with the same input and compares them.
func (w *world) step(orders []*order) {
	in := Input{Now: w.now, Elapsed: w.elapsed, Settled: w.durable.head.Batch}
	for _, o := range append(slices.Clone(orders), w.looks...) {
		if o.asked {
			in.Settled = min(in.Settled, o.seen)
		}
	}
	if w.chance(80, "release") {
		w.released = w.durable.head.Batch
	}
	in.Released = w.released
	twin := in
	for _, o := range orders {
		in.Commands = append(in.Commands, o.c)
		twin.Commands = append(twin.Commands, o.twin)
	}
	out, same := w.machine.Step(in), w.twin.Step(twin)
	w.t.Logf("%s", describe(in, &out))
	tidy(out.Batch)
	tidy(same.Batch)
	if !reflect.DeepEqual(out, same) {
		w.t.Fatalf("two machines differ (D7):\n%+v %+v\n%+v %+v", out, out.Batch, same, same.Batch)
	}
	if out.Batch != nil {
		if err := w.newest.fold(out.Batch); err != nil {
			w.t.Fatal(err)
		}
	}
	w.ref.step(w.machine, in, &out)
	if faults := w.ref.check(&out, w.newest); len(faults) > 0 {
		w.t.Fatalf("%s", strings.Join(faults, "\n"))
	}
	if out.Batch != nil {
		w.flying = append(w.flying, flight{out.Batch, w.ref.clone()})
	}
	if len(w.machine.cascade) > 0 {
		w.t.Fatal("a short cascade was cut")
	}
	w.checkNext()
	w.note(orders, &out)
	if out.More { // a call ended that held tasks
		w.step(nil)
	}
}

// tidy makes slices that are only empty nil, as those of a batch that was not recycled are.
func tidy(b *Batch) {
	if b == nil {
		return
	}
	v := reflect.ValueOf(b).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Slice && f.Len() == 0 {
			f.SetZero()
		}
	}
}

func describe(in Input, out *Effects) string {
	var b strings.Builder
	fmt.Fprintf(&b, "STEP now %d elapsed %v released %d settled %d", in.Now, in.Elapsed, in.Released, in.Settled)
	for _, c := range in.Commands {
		missing := slices.Contains(out.Missing, c)
		fmt.Fprintf(&b, "\n  %T %+v missing %v", c, reflect.ValueOf(c).Elem(), missing)
	}
	if out.Batch != nil {
		for i := range out.Batch.Events {
			fmt.Fprintf(&b, "\n    event %s", eventKey(&out.Batch.Events[i]))
		}
	}
	return b.String()
}

// checkNext shows that the machine asks to be stepped by its nearest deadline.
func (w *world) checkNext() {
	next, ok := w.machine.Next()
	for _, t := range w.ref.live() {
		by := time.Duration(-1)
		if l := t.lease; l != nil && l.running {
			by = min(w.elapsed+modelConfig.LeaseTTL/6, l.deadline+w.ref.stalled)
		}
		if t.st.State == Scheduled {
			by = w.elapsed + time.Duration(t.st.Ready-w.ref.now)*time.Microsecond
		}
		if by >= 0 && (!ok || next > by) {
			w.t.Fatalf("next is %v %v, and %s has a deadline at %v", next, ok, t.spec.ID, by)
		}
	}
	for id, a := range w.ref.agents {
		if a.drainBy > 0 && (!ok || next > a.drainBy+w.ref.stalled) {
			w.t.Fatalf("next is %v %v, and the drain of %s is over at %v", next, ok, id, a.drainBy+w.ref.stalled)
		}
	}
}

// note takes what the step gave out.
func (w *world) note(orders []*order, out *Effects) {
	for _, ref := range granted(out) {
		l := w.ref.tasks[ref.Serial].lease
		w.leases = append(w.leases, knownLease{ref, l.agent, l.unary})
	}
	for _, o := range orders {
		if slices.Contains(out.Missing, o.c) {
			if o.tries++; o.tries > 20 {
				w.t.Fatalf("%T is looked up again and again", o.c)
			}
			o.asked = false
			w.looks = append(w.looks, o)
		}
		if c, ok := o.c.(*Connect); ok && c.Err == nil {
			w.streams = append(w.streams, c.Stream)
		}
	}
	w.calls = slices.DeleteFunc(w.calls, func(o *order) bool {
		return len(w.calls) > 6 && slices.Contains(out.Done, o.c)
	})
}

// crash loses what was not committed and restores a machine from what was (D4).
func (w *world) crash() {
	w.newest = w.durable.clone()
	w.ref = w.committed.clone()
	w.flying, w.looks, w.calls, w.streams = nil, nil, nil, nil
	w.elapsed, w.released = 0, w.durable.head.Batch
	w.ref.restart()
	for _, m := range []**Machine{&w.machine, &w.twin} {
		var err error
		if *m, err = w.durable.load(modelConfig, w.now); err != nil {
			w.t.Fatal(err)
		}
	}
	w.step(nil)
}

// finish lets every command come to its answer: with fresh look-ups none may be missing.
func (w *world) finish() {
	for range 3 {
		for len(w.flying) > 0 {
			w.commit()
		}
		orders := w.looks
		w.looks = nil
		for _, o := range orders {
			w.lookUp(o)
		}
		w.step(orders)
	}
	if len(w.looks) > 0 {
		w.t.Fatalf("%T is not answered", w.looks[0].c)
	}
}

func digestOf(v any) Digest {
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v", v))
	return Digest(sum[:16])
}
