package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/stint-dev/stint/agent/internal/bench"
)

// benchCmd are the modes of the measuring tool, and the helpers that they start.
type benchCmd struct {
	Throughput throughputCmd `cmd:"" help:"Lives a second: submit, grant, report, recorded."`
	Latency    latencyCmd    `cmd:"" help:"Times from submit at a fixed rate, against what the machine itself takes."`
	Drain      drainBenchCmd `cmd:"" help:"Lives a second of tasks that were all submitted before."`
	Sessions   sessionsCmd   `cmd:"" help:"What idle sessions cost the coordinator."`
	Backlog    backlogCmd    `cmd:"" help:"Lives a second beside more and more tasks, against an empty coordinator."`
	Memory     memoryCmd     `cmd:"" help:"The coordinator's memory with more and more tasks waiting."`
	Restart    restartCmd    `cmd:"" help:"Time until the coordinator serves again after it was killed."`
	Idle       idleCmd       `cmd:"" help:"What a coordinator and an agent cost that have nothing to do."`
	Overhead   overheadCmd   `cmd:"" help:"The agent's CPU time a task over that of a bare HTTP client."`
	Quick      quickCmd      `cmd:"" help:"All rows of the table, small: less than five minutes."`
	Full       fullCmd       `cmd:"" help:"All rows of the table under its conditions, five times: hours."`
	Table      tableCmd      `cmd:"" help:"Print saved results as one table, with the median of the runs."`

	Echo echoCmd `cmd:"" hidden:"" help:"Serve an echo until standard input ends; latency starts it."`
	Sit  sitCmd  `cmd:"" hidden:"" help:"Keep idle sessions until standard input ends; sessions starts it."`
	Call callCmd `cmd:"" hidden:"" help:"Call an API as a bare client; overhead starts it."`
}

// clientGC is the growth of the heap, in percent, between two collections of the load's garbage: the clients are not what
// is measured, and they share the machine with the coordinator.
const clientGC = 400

// measured are the flags of every mode.
type measured struct {
	Coordinator    string `default:"127.0.0.1:7070" placeholder:"HOST:PORT" help:"Coordinator to measure, if --spawn isn't given; it should have no other work (${default})."`
	Spawn          bool   `help:"Start a coordinator for the run, on a fresh folder and free ports, and remove it all afterwards (off)."`
	CoordinatorBin string `placeholder:"FILE" help:"Program that --spawn starts (stint-coordinator beside this program)."`
	DataDir        string `default:"." placeholder:"FOLDER" help:"Where --spawn makes its temporary folder, and where the disk's own speed is measured; a disk, not memory (${default})."`
	Output         string `default:"table" enum:"table,json" placeholder:"FORM" help:"table for people, or json: one object a line (${default})."`
}

func (m measured) timed(a *app, t timing) (*bench.Bench, error) {
	debug.SetGCPercent(clientGC)
	c := bench.Config{
		Program: m.CoordinatorBin, Folder: m.DataDir, Version: version(), Warmup: t.Warmup, Duration: t.Duration,
		Notes: a.stderr, Redraw: terminalWidth(a.stderr) != nil,
	}
	if !m.Spawn {
		c.Coordinator = m.Coordinator
	}
	return bench.New(c)
}

// tell writes results as --output says.
func (m measured) tell(a *app, results []bench.Result) error {
	if terminalWidth(a.stderr) != nil {
		_, _ = fmt.Fprint(a.stderr, "\r\x1b[K")
	}
	if m.Output == "table" {
		return bench.WriteTable(a.stdout, results)
	}
	for _, r := range results {
		if err := bench.WriteLine(a.stdout, r); err != nil {
			return err
		}
	}
	return nil
}

// many runs a mode with several results; what it found before an error is told too.
func (m measured) many(a *app, t timing, verify bool, run func(context.Context, *bench.Bench) ([]bench.Result, error)) error {
	b, err := m.timed(a, t)
	if err != nil {
		return err
	}
	b.Verify = verify
	ctx, stop := interruptible()
	defer stop()
	results, err := run(ctx, b)
	return errors.Join(m.tell(a, results), err)
}

// one runs a mode with one result.
func (m measured) one(a *app, t timing, verify bool, run func(context.Context, *bench.Bench) (bench.Result, error)) error {
	return m.many(a, t, verify, func(ctx context.Context, b *bench.Bench) ([]bench.Result, error) {
		r, err := run(ctx, b)
		if err != nil {
			return nil, err
		}
		return []bench.Result{r}, nil
	})
}

// timing are the flags of modes that measure for a time.
type timing struct {
	Warmup   time.Duration `default:"10s" placeholder:"DURATION" help:"Time before each measurement (${default})."`
	Duration time.Duration `default:"60s" placeholder:"DURATION" help:"Time of each measurement, at least 1s (${default})."`
}

// untimed is of modes that measure until something is done.
func untimed() timing { return timing{Duration: time.Second} }

// sized are the sizes of tasks and results.
type sized struct {
	Instruction int `default:"256" placeholder:"BYTES" help:"Size of each instruction (${default})."`
	Result      int `default:"64" placeholder:"BYTES" help:"Size of each result's text (${default})."`
}

// loaded are the flags of modes with a flow of tasks.
type loaded struct {
	sized
	Queue      string `placeholder:"NAME" help:"Queue of the tasks (default, or bench where other tasks wait beside them)."`
	Submitters int    `default:"4" placeholder:"NUMBER" help:"Connections that submit (${default})."`
	Callers    int    `default:"4" placeholder:"NUMBER" help:"Calls under way on each (${default})."`
	Batch      int    `default:"128" placeholder:"NUMBER" help:"Tasks a call, 1 to 1000 (${default})."`
	Unary      bool   `help:"Submit each task by a SubmitTask of its own (off)."`
	Agents     int    `default:"4" placeholder:"NUMBER" help:"Sessions, each on a connection of its own (${default})."`
	Slots      int    `default:"1000" placeholder:"NUMBER" help:"Tasks that each agent runs at once, 1 to 10000 (${default})."`
	Portion    int    `default:"0" placeholder:"NUMBER" help:"Reports a message at most; 0: all that a message of grants brought (${default})."`
	Backlog    int    `default:"10000" placeholder:"NUMBER" help:"Tasks that are submitted and not recorded, at most (${default})."`
}

func (l loaded) load() (bench.Load, error) {
	load := bench.Load{
		Queue: l.Queue, Submitters: l.Submitters, Callers: l.Callers, Batch: l.Batch, Unary: l.Unary, Agents: l.Agents,
		Slots: l.Slots, Portion: l.Portion, Instruction: l.Instruction, Result: l.Result, Backlog: l.Backlog,
	}
	if l.Unary {
		load.Batch = 1
	}
	return load, load.Check()
}

func (s sized) load() bench.Load {
	load := bench.Usual()
	load.Instruction, load.Result = s.Instruction, s.Result
	return load
}

// throughputCmd measures a flow.
type throughputCmd struct {
	measured
	timing
	loaded
	Lives  int64 `default:"0" placeholder:"NUMBER" help:"Go on until so many lives were measured (${default})."`
	Verify bool  `help:"Hold the coordinator's counts against the clients', with --spawn after a kill and a restart too (off)."`
}

// Run measures and tells.
func (c *throughputCmd) Run(a *app) error {
	load, err := c.load()
	if err != nil {
		return err
	}
	return c.one(a, c.timing, c.Verify, func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
		return b.Throughput(ctx, load, c.Lives)
	})
}

// latencyCmd measures times.
type latencyCmd struct {
	measured
	timing
	sized
	PerSecond int `default:"100" placeholder:"NUMBER" help:"Tasks a second, 1 to 10000 (${default})."`
	Agents    int `default:"1" placeholder:"NUMBER" help:"Sessions, each on a connection of its own (${default})."`
	Slots     int `default:"100" placeholder:"NUMBER" help:"Tasks that each agent runs at once, 1 to 10000 (${default})."`
}

// Run measures and tells.
func (c *latencyCmd) Run(a *app) error {
	load := c.load()
	load.Agents, load.Slots = c.Agents, c.Slots
	if err := load.Check(); err != nil {
		return err
	}
	if c.PerSecond < 1 || c.PerSecond > 10_000 {
		return fmt.Errorf("per-second %d is out of bounds; give 1 to 10000", c.PerSecond)
	}
	return c.one(a, c.timing, false, func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
		return b.Latency(ctx, load, c.PerSecond)
	})
}

// drainBenchCmd measures agents at a backlog.
type drainBenchCmd struct {
	measured
	loaded
	Waiting int64 `default:"1000000" placeholder:"NUMBER" help:"Tasks submitted before the agents come (${default})."`
	Verify  bool  `help:"Hold the coordinator's counts against the clients', with --spawn after a kill and a restart too (off)."`
}

// Run measures and tells.
func (c *drainBenchCmd) Run(a *app) error {
	load, err := c.load()
	if err != nil {
		return err
	}
	return c.one(a, untimed(), c.Verify, func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
		return b.Drain(ctx, load, c.Waiting)
	})
}

// sessionsCmd measures idle sessions.
type sessionsCmd struct {
	measured
	timing
	Sessions int `default:"10000" placeholder:"NUMBER" help:"Agents, each on a connection of its own (${default})."`
}

// Run measures and tells.
func (c *sessionsCmd) Run(a *app) error {
	return c.one(a, c.timing, false, func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
		return b.Sessions(ctx, c.Sessions)
	})
}

// backlogCmd measures a flow beside other tasks.
type backlogCmd struct {
	measured
	timing
	loaded
	Behind string  `default:"same" enum:"same,unmatched,other,finished" placeholder:"WHAT" help:"What the tasks beside are: same queue and later, unmatched by any agent, of another queue, or finished (${default})."`
	Levels []int64 `default:"1000,100000,1000000" placeholder:"NUMBER" help:"How many tasks are beside the flow; several separated by commas, rising (${default})."`
}

// Run measures and tells.
func (c *backlogCmd) Run(a *app) error {
	load, err := c.load()
	if err != nil {
		return err
	}
	return c.many(a, c.timing, false, func(ctx context.Context, b *bench.Bench) ([]bench.Result, error) {
		return b.Backlog(ctx, load, c.Behind, c.Levels)
	})
}

// memoryCmd measures memory.
type memoryCmd struct {
	measured
	sized
	Levels []int64 `default:"0,100000,1000000" placeholder:"NUMBER" help:"How many tasks wait; several separated by commas, rising (${default})."`
}

// Run measures and tells.
func (c *memoryCmd) Run(a *app) error {
	return c.many(a, untimed(), false, func(ctx context.Context, b *bench.Bench) ([]bench.Result, error) {
		return b.Memory(ctx, c.load(), c.Levels)
	})
}

// restartCmd measures a restart.
type restartCmd struct {
	measured
	sized
	Waiting int64 `default:"1000000" placeholder:"NUMBER" help:"Tasks that live when the coordinator is killed (${default})."`
}

// Run measures and tells.
func (c *restartCmd) Run(a *app) error {
	return c.one(a, untimed(), false, func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
		return b.Restart(ctx, c.load(), c.Waiting)
	})
}

// idleCmd measures what has nothing to do.
type idleCmd struct {
	measured
	timing
}

// Run measures and tells.
func (c *idleCmd) Run(a *app) error {
	return c.one(a, c.timing, false, func(ctx context.Context, b *bench.Bench) (bench.Result, error) { return b.Idle(ctx) })
}

// overheadCmd measures the real agent.
type overheadCmd struct {
	measured
	sized
	Tasks int `default:"50000" placeholder:"NUMBER" help:"Tasks to run, and calls to make (${default})."`
	Slots int `default:"16" placeholder:"NUMBER" help:"Tasks that the agent runs at once, and calls under way (${default})."`
}

// Run measures and tells.
func (c *overheadCmd) Run(a *app) error {
	load := c.load()
	load.Slots = c.Slots
	if err := load.Check(); err != nil {
		return err
	}
	return c.one(a, untimed(), false, func(ctx context.Context, b *bench.Bench) (bench.Result, error) {
		return b.Overhead(ctx, load, c.Tasks)
	})
}
