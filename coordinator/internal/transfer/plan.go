package transfer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Admission turns a task into what the engine takes: it fills in defaults and checks it by the
// rules of the contract. *server.Admission is one.
type Admission interface {
	Spec(*stintv1.Task) (queue.Spec, error)
}

// Plan is what an import will do. Make it with Load, hold it against the ledger with Check, and
// write it once Err is nil. A plan is for one goroutine.
type Plan struct {
	reading *reading
	now     queue.Instant
	tasks   []planned
	byID    map[string]int
	missing map[string][]int // dependencies that the files do not hold, and who has them
	existed map[string]bool  // tasks that the ledger has, with the same content
}

// planned is one task to be imported.
type planned struct {
	queue.Imported
	at       Place
	path     string
	exported bool
}

// Load reads files and puts together what they say. now is the time of the import. What is
// wrong is told by Err; that ctx ended before all was read is a fault like any.
func Load(ctx context.Context, files []string, a Admission, now queue.Instant) *Plan {
	r := newReading()
	r.ended = ctx.Err
	for _, f := range files {
		r.file(f)
	}
	return r.plan(a, now)
}

// Err gives a *Faults of all that was found wrong so far, or nil.
func (p *Plan) Err() error {
	f := p.reading.faults
	if !f.any() {
		return nil
	}
	return &Faults{List: f.list, More: f.more}
}

// plan puts together what the files say.
func (r *reading) plan(a Admission, now queue.Instant) *Plan {
	p := &Plan{reading: r, now: now, byID: map[string]int{}, missing: map[string][]int{}, existed: map[string]bool{}}
	r.oldestFirst()
	r.complete()
	for i, d := range r.definitions {
		p.add(d, a)
		r.definitions[i] = nil // what is kept of it is in the plan
	}
	p.link()
	p.cycles()
	return p
}

// oldestFirst puts exported tasks, which come newest first, back into the order of their
// submits. Others keep the order of the files.
func (r *reading) oldestFirst() {
	var old, plain []*definition
	for _, d := range r.definitions {
		if d.order != "" {
			old = append(old, d)
		} else {
			plain = append(plain, d)
		}
	}
	slices.Reverse(old)
	slices.SortStableFunc(old, func(a, b *definition) int { return strings.Compare(a.order, b.order) })
	r.definitions = slices.Concat(old, plain)
}

// complete defines the tasks that are only known by where they stand, in the order of their
// ids. They were done, so that all they are needed for is to be depended on.
func (r *reading) complete() {
	var ids []string
	for id, defined := range r.named {
		if !defined {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		if d := r.spare[id]; d != nil {
			r.definitions = append(r.definitions, d)
			continue
		}
		if d := r.bare(id); d != nil {
			r.definitions = append(r.definitions, d)
		}
	}
}

// bare defines a task of which only a record is known.
func (r *reading) bare(id string) *definition {
	rec := r.logs[id]
	if rec == nil {
		rec = r.lists[id]
	}
	where := rec.path
	if where == "" {
		where = "task_id"
	}
	if !rec.state.Terminal() {
		if !r.broken && !r.faulty[id] {
			r.faults.add(rec.at, "%s is %s, a task to run whose text is in no file: give the queue.json that it stands in", where, quoted(id))
		}
		return nil
	}
	if r.faulty[id] {
		return nil
	}
	r.warnings.add(rec.at, "%s is %s, whose text is in no file: imported without an instruction", where, quoted(id))
	return &definition{at: rec.at, path: rec.path, task: &stintv1.Task{
		Id: id, OnDependencyFailure: stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_WAIT,
	}}
}

// standing is the record that counts for a task; nil: none does.
func (r *reading) standing(d *definition) *record {
	if rec := r.logs[d.task.Id]; rec != nil {
		return rec
	}
	if rec := r.lists[d.task.Id]; rec != nil {
		return rec
	}
	return d.own
}

// add plans one task.
func (p *Plan) add(d *definition, a Admission) {
	r := p.reading
	if at, ok := p.byID[d.task.Id]; ok {
		r.faults.add(d.at, "%s is %s, which also stands at %s: drop one or give it another id", idPath(d.path), quoted(d.task.Id), p.tasks[at].at)
		return
	}
	spec, err := a.Spec(d.task)
	if err != nil {
		r.faulty[d.task.Id] = true
		r.faults.add(d.at, "%s", strings.TrimPrefix(d.path+": ", ": ")+renamed(err.Error()))
		return
	}
	if d.digest != nil {
		spec.Digest = *d.digest
	}
	t := planned{at: d.at, path: d.path, exported: d.exported, Imported: queue.Imported{Spec: spec, State: queue.Ready}}
	if rec := r.standing(d); rec != nil {
		if err := t.stand(rec); err != nil {
			r.faults.add(rec.at, "%s", strings.TrimPrefix(rec.path+": ", ": ")+err.Error())
		}
	}
	t.late(p.now)
	p.byID[spec.ID] = len(p.tasks)
	p.tasks = append(p.tasks, t)
}

func idPath(path string) string { return strings.TrimPrefix(path+".id", ".") }

// contractNames are the contract's names of keys, and those of the files.
var contractNames = strings.NewReplacer("budget.min_usd", "min_budget", "budget.max_usd", "max_budget", "min_usd", "min_budget", "max_usd", "max_budget")

func renamed(text string) string { return contractNames.Replace(text) }

// stand takes over where a task stands.
func (t *planned) stand(rec *record) error {
	t.State, t.Agent, t.Start, t.Finish = rec.state, rec.agent, rec.start, rec.finish
	if !t.State.Terminal() {
		t.Agent, t.Start, t.Finish = "", 0, 0
		return nil
	}
	if rec.state != queue.Completed {
		t.Failure = failure(rec.failure)
		return nil
	}
	var err error
	if t.Result, err = (proto.MarshalOptions{Deterministic: true}).Marshal(rec.result); err != nil {
		return fmt.Errorf("result cannot be encoded: %w", err)
	}
	if len(t.Result) > maxResult {
		return fmt.Errorf("result_summary has %d bytes with what belongs to it, %d are allowed: shorten it", len(t.Result), maxResult)
	}
	return nil
}

// late judges a deadline. One that passed while the task was away ends it; behind a terminal
// state there is nothing left for it to do, and the machine takes no task with a past one.
func (t *planned) late(now queue.Instant) {
	s := &t.Spec
	if !t.State.Terminal() && s.ExpireTime != 0 && s.ExpireTime <= now {
		t.State, t.Finish = queue.Expired, s.ExpireTime
		t.Failure = queue.Failure{Class: queue.ClassDeadline, Message: "its expire_time passed before it was imported"}
	}
	if t.State.Terminal() {
		s.NotBefore, s.ExpireTime = 0, 0
	}
}

func failure(f *stintv1.Failure) queue.Failure {
	out := queue.Failure{
		Class: queue.Class(f.GetFailureClass()), Message: cut(f.GetMessage(), maxFailureMessage),
		HTTPStatus: f.GetHttpStatus(), RetryAfter: f.GetRetryAfter().AsDuration(),
	}
	if f.BudgetUsedUsd != nil {
		out.HasCost, out.Cost = true, queue.Micros(*f.BudgetUsedUsd*1e6+0.5)
	}
	return out
}

// cut shortens s to at most n bytes without breaking a character.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "")
}
