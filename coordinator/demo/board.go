package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// The kinds of events that the story turns on.
const (
	kindGranted   = "EVENT_KIND_GRANTED"
	kindCompleted = "EVENT_KIND_COMPLETED"
	kindEnded     = "EVENT_KIND_LEASE_ENDED"
)

// event is what `stint-agent watch --output json` says of one.
type event struct {
	Kind           string `json:"kind"`
	TaskID         string `json:"taskId"`
	Attempt        int    `json:"attempt"`
	AgentID        string `json:"agentId"`
	LeaseEndReason string `json:"leaseEndReason"`
}

// taskView is what `stint-agent get --output json` says of a task.
type taskView struct {
	ID     string `json:"id"`
	Status struct {
		Attempts []attempt `json:"attempts"`
		Result   struct {
			Text string `json:"text"`
		} `json:"result"`
	} `json:"status"`
}

type attempt struct {
	Attempt int     `json:"attempt"`
	AgentID string  `json:"agentId"`
	Outcome string  `json:"outcome"`
	Failure failure `json:"failure"`
}

type failure struct {
	FailureClass string `json:"failureClass"`
}

// movedOnce checks that the lease expired under the dead agent, and that the other one succeeded.
func (t *taskView) movedOnce() error {
	a := t.Status.Attempts
	if len(a) != 2 || bare(a[0].Failure.FailureClass) != "LEASE_EXPIRED" || bare(a[1].Outcome) != "SUCCEEDED" || a[0].AgentID == a[1].AgentID {
		return fmt.Errorf("task %s did not move from one agent to the other: %+v", t.ID, a)
	}
	return nil
}

// bare is the name of an enum value without that of its enum.
func bare(name string) string {
	for _, prefix := range []string{"EVENT_KIND_", "LEASE_END_REASON_", "ATTEMPT_OUTCOME_", "FAILURE_CLASS_"} {
		name = strings.TrimPrefix(name, prefix)
	}
	return name
}

// history is a running `stint-agent watch`.
type history struct {
	cmd    *exec.Cmd
	events chan *event // closed at the end; then err says why
	err    error
	stop   context.CancelFunc
}

// history starts the watch, from the first event on.
func (s *stage) history(ctx context.Context) (*history, error) {
	ctx, stop := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, agentProgram, "watch", "--coordinator", s.coordinator, "--from", "0", "--output", "json")
	cmd.Env, cmd.SysProcAttr, cmd.Stderr = ownEnvironment(), ownGroup(), os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		stop()
		return nil, err
	}
	h := &history{cmd: cmd, events: make(chan *event), stop: stop}
	go func() {
		defer close(h.events)
		h.err = h.read(ctx, out)
	}()
	return h, nil
}

// read hands on the events until the watch ends or nobody wants them.
func (h *history) read(ctx context.Context, out io.Reader) error {
	for lines := json.NewDecoder(out); ; {
		e := &event{}
		if err := lines.Decode(e); err != nil {
			return fmt.Errorf("the watch ended: %w", err)
		}
		select {
		case h.events <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// close ends the watch.
func (h *history) close() {
	h.stop()
	for range h.events { // until it is closed
	}
	_ = h.cmd.Wait() // it was killed, and says so
}

// board shows what happens, a line each.
type board struct {
	began     time.Time
	done, all int
}

func newBoard(all int) *board { return &board{began: time.Now(), all: all} }

func (b *board) complete() bool { return b.done == b.all }

// show shows an event of an attempt; what else there is would only be noise here.
func (b *board) show(e *event) {
	what := ""
	switch e.Kind {
	case kindGranted:
		what = "runs on " + e.AgentID
	case kindEnded:
		what = "lease of " + e.AgentID + " ended: " + bare(e.LeaseEndReason)
	case kindCompleted:
		b.done++
		what = "COMPLETED by " + e.AgentID
	default:
		return
	}
	b.line(fmt.Sprintf("%-16s attempt %d %s", e.TaskID, e.Attempt, what))
}

func (b *board) note(format string, args ...any) { b.line(">>> " + fmt.Sprintf(format, args...)) }

func (b *board) line(text string) {
	bar := strings.Repeat("#", b.done) + strings.Repeat("-", b.all-b.done)
	say("%5.1fs [%s] %2d/%d  %s", time.Since(b.began).Seconds(), bar, b.done, b.all, text)
}
