package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/stint-dev/stint/agent/internal/client"
)

// maxInstruction is the contract's bound on instruction and parameters together, in bytes.
const maxInstruction = 512 << 10

// addCmd are the arguments of add. What isn't given is left to the coordinator's defaults.
type addCmd struct {
	target
	ID          string `arg:"" name:"id" help:"Id of the new task; the same id with the same content again is the same task."`
	Instruction string `arg:"" optional:"" help:"What the API is asked to do. With --instruction-file the dependencies stand in this place."`
	DependsOn   string `arg:"" optional:"" name:"dep,dep" help:"Ids of tasks that must complete first, separated by commas."`

	InstructionFile     string            `placeholder:"FILE" help:"Read the instruction from this file; - is standard input (none)."`
	Queue               string            `placeholder:"NAME" help:"Queue of the task (default)."`
	Priority            int32             `placeholder:"POINTS" help:"-100 to 100; a point is worth a head start of a minute (0). Give a negative one as --priority=-5."`
	Param               []string          `sep:"none" placeholder:"KEY=VALUE" help:"Parameter for the API, as model=small; a value that is JSON is passed on as such. May be repeated (none)."`
	Label               map[string]string `mapsep:"," placeholder:"KEY=VALUE" help:"Label of the task. May be repeated (none)."`
	Require             []string          `sep:"none" placeholder:"EXPRESSION" help:"What an agent's labels must meet to get the task: gpu=true, gpu!=true, region in (eu,us), region notin (eu), gpu, !spot. May be repeated (none)."`
	FairnessKey         string            `placeholder:"KEY" help:"Whose task it is: the key with the fewest tasks running goes first (none)."`
	ConcurrencyKey      string            `placeholder:"KEY" help:"No more tasks with this key run at once than the queue lets (none)."`
	MinBudget           *float64          `placeholder:"USD" help:"Least that an attempt should spend, in US dollars (0.05)."`
	MaxBudget           *float64          `aliases:"budget" placeholder:"USD" help:"Most that an attempt may spend, in US dollars; reserved in the queue's budget while it runs. Also --budget (0.10)."`
	Intensity           string            `placeholder:"LEVEL" help:"How hard the API should try: low, medium or high (medium)."`
	MaxAttempts         int32             `placeholder:"N" help:"Failed attempts after which the task has failed, 1 to 100 (3)."`
	UnknownOutcome      string            `placeholder:"POLICY" help:"When nobody knows whether the API did the work: fail or retry (a timeout fails, a lost lease is retried)."`
	AttemptTimeout      time.Duration     `placeholder:"DURATION" help:"Longest time of one attempt, 1s to 24h (120s)."`
	NotBefore           string            `placeholder:"TIME" help:"Not run before this time, as 2026-01-02T15:04:05Z, or from now, as 10m (at once)."`
	ExpireTime          string            `placeholder:"TIME" help:"Not begun after this time, as 2026-01-02T15:04:05Z, or from now, as 2h (never)."`
	OnDependencyFailure string            `placeholder:"POLICY" help:"When a dependency fails: cancel, run all the same, or wait for its retry (cancel)."`
}

// Validate refuses arguments that leave open what the instruction is.
func (c *addCmd) Validate() error {
	switch {
	case c.InstructionFile == "" && c.Instruction == "":
		return errors.New("no instruction is given; give it after the id, or a file with --instruction-file")
	case c.InstructionFile != "" && c.DependsOn != "":
		return fmt.Errorf("instruction %q and --instruction-file %q are both given; leave out one of them", c.Instruction, c.InstructionFile)
	}
	return nil
}

// Run submits the task.
func (c *addCmd) Run(a *app) error {
	instruction, dependsOn, err := c.words(a.stdin)
	if err != nil {
		return err
	}
	spec := client.Spec{
		ID:                  c.ID,
		Instruction:         instruction,
		DependsOn:           splitIDs(dependsOn),
		Queue:               c.Queue,
		Priority:            c.Priority,
		Parameters:          c.Param,
		Labels:              c.Label,
		Requires:            c.Require,
		FairnessKey:         c.FairnessKey,
		ConcurrencyKey:      c.ConcurrencyKey,
		MinUSD:              c.MinBudget,
		MaxUSD:              c.MaxBudget,
		Intensity:           c.Intensity,
		OnDependencyFailure: c.OnDependencyFailure,
		UnknownOutcome:      c.UnknownOutcome,
		MaxAttempts:         c.MaxAttempts,
		AttemptTimeout:      c.AttemptTimeout,
		NotBefore:           c.NotBefore,
		ExpireTime:          c.ExpireTime,
	}
	return c.do(a, func(ctx context.Context, cl *client.Client) error { return cl.Add(ctx, spec) })
}

// words sorts out what the arguments behind the id are.
func (c *addCmd) words(stdin io.Reader) (instruction, dependsOn string, err error) {
	if c.InstructionFile == "" {
		return c.Instruction, c.DependsOn, nil
	}
	instruction, err = readInstruction(c.InstructionFile, stdin)
	return instruction, c.Instruction, err
}

func readInstruction(path string, stdin io.Reader) (string, error) {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("add: instruction-file: %w; give a file that can be read, or - for standard input", err)
		}
		defer func() { _ = file.Close() }() // it was only read
		stdin = file
	}
	text, err := io.ReadAll(io.LimitReader(stdin, maxInstruction+1))
	if err != nil {
		return "", fmt.Errorf("add: instruction-file %q: %w; give a file that can be read, or - for standard input", path, err)
	}
	if len(text) > maxInstruction {
		return "", fmt.Errorf("add: instruction-file %q has over %d bytes; give a shorter instruction", path, maxInstruction)
	}
	if len(text) == 0 {
		return "", fmt.Errorf("add: instruction-file %q is empty; give a file with the instruction", path)
	}
	return string(text), nil
}

// splitIDs takes "a,b" apart; no text is no ids.
func splitIDs(list string) []string {
	var ids []string
	for id := range strings.SplitSeq(list, ",") {
		if id = strings.TrimSpace(id); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}
