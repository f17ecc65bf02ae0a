package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	// callTime is how long the stand-in takes for an answer: long enough to watch, and to be killed in.
	callTime = 1200 * time.Millisecond

	// leaseTime is how long a lease lives without a heartbeat, and so how long the coordinator waits for the dead agent.
	leaseTime = "5s"

	// storyTime bounds the whole; it takes about a third of it.
	storyTime = 60 * time.Second
)

// story runs the dozen tasks, kills an agent on the way, and shows that nothing was lost by it. Then it has results handed
// from task to task.
func story(ctx context.Context, s *stage) error {
	ctx, cancel := context.WithTimeout(ctx, storyTime)
	defer cancel()
	say("A coordinator, two agents and an API, each a process of its own. The API is a stand-in: no model is called.")
	agents, err := s.openWith(ctx)
	if err != nil {
		return err
	}
	moved, err := s.watch(ctx, agents)
	if err != nil {
		return err
	}
	return s.close(ctx, moved)
}

// openWith starts everything and gives the agents by id.
func (s *stage) openWith(ctx context.Context) (map[string]*process, error) {
	if err := errors.Join(s.startAPI(ctx, callTime), s.importPapers(ctx)); err != nil {
		return nil, err
	}
	if err := s.startCoordinator(ctx, anyPort, anyPort, "--lease-ttl", leaseTime); err != nil {
		return nil, err
	}
	agents := map[string]*process{}
	for _, id := range []string{"agent-a", "agent-b"} {
		p, err := s.startAgent(ctx, id, "--slots", "1")
		if err != nil {
			return nil, err
		}
		agents[id] = p
	}
	say("Serving on %s; logs and data are in %s.\n", s.coordinator, s.dir)
	return agents, nil
}

// watch shows every event until all tasks have ended, and kills an agent on the way. It gives the task that was hit.
func (s *stage) watch(ctx context.Context, agents map[string]*process) (moved string, err error) {
	history, err := s.history(ctx)
	if err != nil {
		return "", err
	}
	defer history.close()
	board := newBoard(len(leaves) + len(chapters) + 1)
	var victim string
	var midCall <-chan time.Time
	for !board.complete() {
		select {
		case <-midCall:
			if err := agents[victim].kill(); err != nil {
				return "", err
			}
			board.note("kill -9 %s, in the middle of %s. Its lease ends when it has been silent for %s.", victim, moved, leaseTime)
		case e, ok := <-history.events:
			if !ok {
				return "", fmt.Errorf("the tasks did not all complete: %w", errors.Join(history.err, ctx.Err()))
			}
			board.show(e)
			if moved == "" && board.done >= killAfter && e.Kind == kindGranted {
				moved, victim, midCall = e.TaskID, e.AgentID, time.After(callTime/2)
			}
		}
	}
	return moved, nil
}

// killAfter is how many tasks have completed before an agent is killed that begins the next.
const killAfter = 3

// close shows the results, and checks that the story was the one to be told.
func (s *stage) close(ctx context.Context, moved string) error {
	say("\nThe results, newest first:\n")
	if err := show(ctx, agentProgram, "list", "--coordinator", s.coordinator); err != nil {
		return err
	}
	hit, err := s.task(ctx, moved)
	if err != nil {
		return err
	}
	say("\nWhat became of %s, whose agent was killed:\n", moved)
	for _, a := range hit.Status.Attempts {
		say("  attempt %d on %s: %s %s", a.Attempt, a.AgentID, bare(a.Outcome), bare(a.Failure.FailureClass))
	}
	last, err := s.task(ctx, lastTask)
	if err != nil {
		return err
	}
	say("\nThe text of the last task, %s:\n\n%s\n", lastTask, last.Status.Result.Text)
	if err := hit.movedOnce(); err != nil {
		return err
	}
	if err := s.mapReduce(ctx); err != nil {
		return err
	}
	if err := s.clear(); err != nil {
		return err
	}
	say("All tasks completed, each recorded once. All processes have ended.")
	return nil
}

// task asks for one task.
func (s *stage) task(ctx context.Context, id string) (*taskView, error) {
	out, err := read(ctx, agentProgram, "get", "--coordinator", s.coordinator, "--output", "json", id)
	if err != nil {
		return nil, err
	}
	t := &taskView{}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(t); err != nil {
		return nil, fmt.Errorf("get %s: %w", id, err)
	}
	return t, nil
}

func say(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stdout, format+"\n", args...) // there is nobody to tell when standard output is gone
}
