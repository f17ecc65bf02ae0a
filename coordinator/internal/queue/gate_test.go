package queue

import (
	"fmt"
	"testing"
)

// A concurrency key without room keeps nothing of the tasks that it parked and that went: nor of
// their fairness keys.
func TestParkedTasksThatGoAreForgotten(t *testing.T) {
	f := newFloor(t, 1)
	f.step(&UpdateQueue{Queue: DefaultQueue, Mask: MaskKeyLimit, Settings: Settings{KeyLimit: 1}})
	f.step(&Message{Stream: 1, Credit: 2})
	one := func(fair string) string {
		id := ""
		f.submit(1, func(s *Spec) { s.ConcurrencyKey, s.FairnessKey, id = "k", fair, s.ID })
		return id
	}
	one("")
	var g *gate
	for _, x := range f.m.gates[1:] {
		g = x
	}
	for i := range 10_000 {
		id := one(fmt.Sprint("f", i))
		if n := len(g.parked); n != 1 {
			t.Fatalf("round %d: the key has tasks parked in %d lanes", i, n)
		}
		f.step(&Cancel{Items: []Choice{{ID: id}}})
		if n := len(g.parked); n > 0 {
			t.Fatalf("round %d: the key keeps %d lanes", i, n)
		}
	}
	waits := one("last")
	f.turn()
	if v, _ := f.m.Task(waits); v.Status.State != Running {
		t.Errorf("the next of the key is %s", v.Status.State)
	}
}
