package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Overhead measures the CPU time that the real agent takes for a task, outbox and all, and what a
// bare HTTP client takes for the same call to the same sandbox. Each is a process of its own; the
// time is that of its whole life, over many tasks.
func (b *Bench) Overhead(ctx context.Context, l Load, tasks int) (r Result, err error) {
	t, err := b.open(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, t.close()) }()
	r = b.result("overhead", t, map[string]any{"tasks": tasks, "slots": l.Slots, "instruction_bytes": l.Instruction})
	folder, err := b.temporary()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	sandbox, address, err := launch(ctx, sandboxServing, b.Agent, "sandbox", "--listen", "127.0.0.1:0", "--log-format", "json")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, sandbox.end()) }()
	if _, err := t.fill(ctx, newFlow(l), int64(tasks), "overhead: filling"); err != nil {
		return r, err
	}
	api, slots := "http://"+address, fmt.Sprint(l.Slots)
	bare, err := b.spent(ctx, "overhead: bare client", "bench", "call",
		"--api-endpoint", api, "--calls", fmt.Sprint(tasks), "--slots", slots, "--instruction", fmt.Sprint(l.Instruction))
	if err != nil {
		return r, err
	}
	line := b.agentLine(t, folder, "--api-endpoint", api, "--slots", slots, fmt.Sprint(tasks))
	agent, err := b.spent(ctx, "overhead: agent", line...)
	if err != nil {
		return r, err
	}
	if status, err := t.status(ctx); err != nil || (t.process != nil && status.GetCounts().GetCompleted() != int64(tasks)) {
		return r, errors.Join(err, fmt.Errorf("bench: %d of %d tasks are completed after the agent has ended; look at its log",
			status.GetCounts().GetCompleted(), tasks))
	}
	r.Figures["bare_cpu_us_a_call"] = float64(bare.Microseconds()) / float64(tasks)
	r.Figures["agent_cpu_us_a_task"] = float64(agent.Microseconds()) / float64(tasks)
	r.Figures["overhead_cpu_us_a_task"] = r.Figures["agent_cpu_us_a_task"] - r.Figures["bare_cpu_us_a_call"]
	return r, nil
}

// agentLine is the command line of a real agent for the target.
func (b *Bench) agentLine(t *target, folder string, more ...string) []string {
	return append([]string{"run", "--coordinator", t.address, "--outbox-dir", filepath.Join(folder, "outbox"),
		"--log-level", "info", "--log-format", "json"}, more...)
}

// spent runs a program to its end and answers the CPU time that it took.
func (b *Bench) spent(ctx context.Context, what string, args ...string) (time.Duration, error) {
	b.note(what, 0, 0)
	var last tail
	cmd := exec.CommandContext(ctx, b.Agent, args...)
	cmd.SysProcAttr = tiedToUs()
	cmd.Stderr = &last
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("bench: %s: %w: %s", what, err, &last)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// Write keeps the last lines of what a program says; a line may come in pieces, which then count.
func (t *tail) Write(text []byte) (int, error) {
	t.add(string(text))
	return len(text), nil
}

// sandboxServing finds the address in the sandbox's log line.
func sandboxServing(line string) (string, bool) {
	var entry struct{ Msg, HTTP string }
	err := json.Unmarshal([]byte(line), &entry)
	return entry.HTTP, err == nil && entry.Msg == "serving"
}

// logged finds a log line by its message.
func logged(message string) func(string) (string, bool) {
	return func(line string) (string, bool) {
		var entry struct{ Msg string }
		err := json.Unmarshal([]byte(line), &entry)
		return "", err == nil && entry.Msg == message
	}
}
