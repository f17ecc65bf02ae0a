package queue

import (
	"fmt"
	"testing"
	"time"
)

// Calls that ask for work and find none leave nothing behind, nor do sessions that come again and
// again, although an agent that waits longer stands before them all (S5).
func TestWhoAsksInVainIsForgotten(t *testing.T) {
	const rounds = 10_000
	for name, ask := range map[string]func(f *floor, i int){
		"calls": func(f *floor, i int) { f.step(&Acquire{Agent: fmt.Sprint("me", i), Max: 1, Length: time.Hour}) },
		"sessions": func(f *floor, i int) {
			s := StreamID(i + 2)
			f.step(&Connect{Stream: s, Agent: "again", Instance: "i"}, &Message{Stream: s, Credit: 1})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFloor(t, 1)
			f.step(&Message{Stream: 1, Credit: 1})
			most := 0
			for i := range rounds {
				ask(f, i)
				most = max(most, f.m.profiles[0].takers.len())
			}
			if most > 100 {
				t.Errorf("%d stand in line after %d asked", most, rounds)
			}
			f.submit(1, func(*Spec) {})
			if len(f.held[0]) != 1 {
				t.Errorf("who waited longest holds %v", f.held[0])
			}
		})
	}
}
