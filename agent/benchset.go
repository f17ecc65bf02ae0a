package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/stint-dev/stint/agent/internal/bench"
)

// set are the flags of a whole table. Its coordinators are always its own.
type set struct {
	CoordinatorBin string   `placeholder:"FILE" help:"Program of the coordinator (stint-coordinator beside this program)."`
	DataDir        string   `default:"." placeholder:"FOLDER" help:"Where temporary folders are made; a disk, not memory (${default})."`
	Save           string   `placeholder:"FILE" help:"Add each result to this file as a line of JSON, as soon as it is there (none)."`
	Row            []string `placeholder:"NAME" help:"Row to run; several separated by commas (all)."`
}

func (s set) run(a *app, sizes bench.Sizes) (err error) {
	m := measured{Spawn: true, CoordinatorBin: s.CoordinatorBin, DataDir: s.DataDir}
	b, err := m.timed(a, timing{Duration: time.Second})
	if err != nil {
		return err
	}
	save, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, save.Close()) }()
	ctx, stop := interruptible()
	defer stop()
	var results []bench.Result
	err = b.Set(ctx, sizes, s.Row, func(r bench.Result) error {
		results = append(results, r)
		return bench.WriteLine(save, r)
	})
	if b.Redraw {
		_, _ = fmt.Fprint(a.stderr, "\r\x1b[K")
	}
	return errors.Join(bench.WriteMarkdown(a.stdout, results), err)
}

func (s set) open() (io.WriteCloser, error) {
	if s.Save == "" {
		return nowhere{io.Discard}, nil
	}
	f, err := os.OpenFile(s.Save, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("save: %w; give a file that can be written", err)
	}
	return f, nil
}

// nowhere takes what nobody wants to keep.
type nowhere struct{ io.Writer }

func (nowhere) Close() error { return nil }

// quickCmd runs the small table.
type quickCmd struct{ set }

// Run measures and prints the table.
func (c *quickCmd) Run(a *app) error { return c.run(a, bench.Quick()) }

// fullCmd runs the whole table.
type fullCmd struct {
	set
	Runs int `default:"5" placeholder:"NUMBER" help:"How often each row is run; the table tells the median (${default})."`
}

// Run measures and prints the table.
func (c *fullCmd) Run(a *app) error {
	sizes := bench.Full()
	if sizes.Runs = c.Runs; c.Runs < 1 {
		return fmt.Errorf("runs %d is too few; give 1 or more", c.Runs)
	}
	return c.run(a, sizes)
}

// tableCmd prints what was saved.
type tableCmd struct {
	Files []string `arg:"" name:"files" help:"Files that --save wrote."`
}

// Run reads all files and prints one table.
func (c *tableCmd) Run(a *app) error {
	var all []bench.Result
	for _, name := range c.Files {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("table: %w; give a file that --save wrote", err)
		}
		results, err := bench.ReadLines(f)
		if err := errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("table: %s: %w", name, err)
		}
		all = append(all, results...)
	}
	return bench.WriteMarkdown(a.stdout, all)
}

// echoCmd is the yardstick's other process.
type echoCmd struct{}

// Run serves until standard input ends.
func (echoCmd) Run(a *app) error {
	ctx, stop := interruptible()
	defer stop()
	return bench.Echo(ctx, a.stdin, a.stdout)
}

// sitCmd keeps idle sessions.
type sitCmd struct {
	Coordinator string `default:"127.0.0.1:7070" placeholder:"HOST:PORT" help:"Coordinator to connect to (${default})."`
	Sessions    int    `default:"100" placeholder:"NUMBER" help:"Agents, each on a connection of its own (${default})."`
	Prefix      string `default:"sit" placeholder:"TEXT" help:"What the agents' ids begin with (${default})."`
}

// Run keeps them until standard input ends.
func (c *sitCmd) Run(a *app) error {
	ctx, stop := interruptible()
	defer stop()
	return bench.Sit(ctx, c.Coordinator, c.Prefix, c.Sessions, a.stdin, a.stdout)
}

// callCmd calls an API as a bare client.
type callCmd struct {
	APIEndpoint string `name:"api-endpoint" default:"http://127.0.0.1:8420" placeholder:"URL" help:"API to call (${default})."`
	Calls       int    `default:"1000" placeholder:"NUMBER" help:"How many calls to make (${default})."`
	Slots       int    `default:"16" placeholder:"NUMBER" help:"Calls under way at once, 1 to 10000 (${default})."`
	Instruction int    `default:"256" placeholder:"BYTES" help:"Size of each instruction (${default})."`
}

// Run makes the calls.
func (c *callCmd) Run(*app) error {
	ctx, stop := interruptible()
	defer stop()
	return bench.Call(ctx, c.APIEndpoint, c.Calls, c.Slots, c.Instruction)
}
