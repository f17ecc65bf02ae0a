package engine

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Many callers at once: every task completes once, every watcher hears all of it in order, and
// every read is of a state that was.
func TestManyCallersAtOnce(t *testing.T) {
	const submitters, each = 8, 25
	bubble(t, func(t *testing.T, r *rig) {
		ctx := t.Context()
		var all, readers sync.WaitGroup
		over := make(chan struct{})
		for n := range 3 {
			readers.Go(func() { r.drain(r.watch(0, EventFilter{}), 0, 3*submitters*each) })
			all.Go(func() { r.work(fmt.Sprint("unary-", n), over) })
			all.Go(func() { r.serve(fmt.Sprint("session-", n), over) })
		}
		readers.Go(func() {
			for !closed(over) {
				tasks, _, err := r.List(ctx, ledger.Query{Limit: 100, Examine: 1000, History: true, States: []queue.State{queue.Running}})
				if err != nil {
					t.Error(err)
				}
				for _, task := range tasks {
					if task.Lease == nil || len(task.Attempts) != int(task.Status.Attempt) {
						t.Errorf("a running task without its lease: %+v", task)
					}
				}
			}
		})
		var submits sync.WaitGroup
		for n := range submitters {
			submits.Go(func() {
				for i := range each {
					id := fmt.Sprintf("task-%d-%d", n, i)
					if _, err := r.Submit(ctx, specs(id), nil); err != nil {
						t.Error(err)
					}
					if got, err := r.Wait(ctx, id, 0); err != nil || got.Spec.ID != id {
						t.Errorf("a read after OK: %+v, %v", got, err)
					}
				}
			})
		}
		submits.Wait()
		for n := range submitters {
			for i := range each {
				id := fmt.Sprintf("task-%d-%d", n, i)
				got, err := r.Wait(ctx, id, 1<<40)
				if err != nil || got.Status.State != queue.Completed || string(got.Result) != "result of "+id {
					t.Errorf("%s: %+v, %v", id, got, err)
				}
			}
		}
		close(over)
		all.Wait()
		readers.Wait()
	})
}

// work is an agent of the unary calls.
func (r *rig) work(agent string, over <-chan struct{}) {
	for !closed(over) {
		leases, err := r.Acquire(r.t.Context(), Acquire{Agent: agent, Max: 3, Length: 1 << 36, Wait: 1 << 30})
		if err != nil {
			r.t.Error(err)
			return
		}
		for _, l := range leases {
			if string(l.Payload) != "payload of "+l.TaskID {
				r.t.Errorf("payload of %s: %q", l.TaskID, l.Payload)
			}
			if a := r.report(success(l))[0]; a.Ack != queue.AckRecorded {
				r.t.Errorf("%s: %+v", l.TaskID, a)
			}
		}
	}
}

// serve is an agent with a session: a slot for each of four, every report sent twice.
func (r *rig) serve(agent string, over <-chan struct{}) {
	ctx := r.t.Context()
	s := r.connect(agent, Message{Credit: 4})
	defer s.Close()
	credit := int64(4)
	open := make(map[string]Lease)
	for !closed(over) {
		o, err := s.Receive(ctx)
		if err != nil {
			r.t.Error(err)
			return
		}
		m := Message{Beats: true, Number: 1}
		for _, l := range o.Grants {
			open[l.ID] = l
			m.Reports = append(m.Reports, success(l), success(l))
		}
		for _, a := range o.Acks {
			if _, ok := open[a.LeaseID]; ok && a.Ack == queue.AckRecorded {
				delete(open, a.LeaseID)
				credit++
			} else if a.Ack != queue.AckDuplicate {
				r.t.Errorf("%s: %+v", agent, a)
			}
		}
		for _, l := range open {
			m.Held = append(m.Held, Extension{LeaseID: l.ID})
		}
		m.Credit = credit
		if err := s.Send(ctx, m); err != nil {
			r.t.Error(err)
			return
		}
	}
}
