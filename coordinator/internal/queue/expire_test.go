package queue

import (
	"fmt"
	"testing"
	"time"
)

// Tasks that expire together end a part at a time, so that no batch grows with their number; those
// whose turn has not come are not granted meanwhile, and end no other way (Q6).
func TestManyExpireTogether(t *testing.T) {
	const tasks, expire = 5000, Instant(1_000_000)
	m, b := New(scenarioConfig), newBook()
	at := Input{Now: 1}
	step := func(cs ...Command) Effects {
		at.Commands, at.Released, at.Settled = cs, b.head.Batch, b.head.Batch
		out := m.Step(at)
		if out.Batch != nil {
			if err := b.fold(out.Batch); err != nil {
				t.Fatal(err)
			}
		}
		return out
	}
	many := &Submit{Lookup: Lookup{Looked: true}}
	for i := range tasks {
		s := benchSpec(i)
		s.ID, s.ExpireTime = fmt.Sprint("t", i), expire
		switch i % 5 {
		case 1:
			s.ConcurrencyKey = "k"
		case 2:
			s.NotBefore = expire - 1
		case 3:
			s.DependsOn = []string{fmt.Sprint("t", i-1)}
		case 4:
			s.MaxCost, s.Priority = 5, 1
		}
		many.Tasks = append(many.Tasks, s)
	}
	set := func(limit Micros) Command {
		return &UpdateQueue{Queue: DefaultQueue, Mask: MaskAll, Settings: Settings{
			KeyLimit: 1, Budget: Budget{Set: true, Limit: limit},
		}}
	}
	step(many, set(4))
	step(&Acquire{Agent: "me", Max: 2, Length: time.Hour}) // those that cost too much come up first
	at.Now, at.Elapsed = expire, time.Second
	out := step(&Connect{Stream: 1, Agent: "a", Instance: "i"}, &Message{Stream: 1, Credit: tasks})
	last := many.Tasks[tasks-1]
	for more := []Command{set(9), &Cancel{Items: []Choice{{ID: last.ID}}}}; ; more = nil {
		if n := len(out.Batch.Terminal); n > expireBound+cascadeBound+1 {
			t.Fatalf("%d end in one step", n)
		}
		if n := len(granted(&out)); n > 0 {
			t.Fatalf("%d are granted past their expire_time", n)
		}
		if !out.More {
			break
		}
		out = step(more...)
	}
	v, err := m.Queue(DefaultQueue)
	if err != nil || v.Counts.States[Expired] != tasks-2 || v.Running != 2 {
		t.Errorf("%+v, error %v", v.Counts, err)
	}
	if s := b.terminal[b.ids[last.ID]].Status.State; s != Expired {
		t.Errorf("one that was cancelled past its expire_time is %s", s)
	}
}
