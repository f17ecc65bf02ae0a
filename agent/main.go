// Command stint-agent is both halves of the agent program: the machine's, which runs tasks for a coordinator, and the
// people's, which submits, watches and changes them.
//
// # Commands
//
// Without a command it runs tasks: `stint-agent` and `stint-agent 5` are `stint-agent run` and `stint-agent run 5`. All
// others speak to a coordinator and end: add, get, list, status, wait, explain, watch, cancel, retry, agents, drain, queue,
// spend.
// sandbox serves a stand-in for the API that tasks run against; bench measures a coordinator; version tells the version.
//
// # What is always true
//
//   - Exit code 0 is a clean end, an interrupt of what runs until then included: run, watch, status --watch, sandbox. 1 is
//     every error, a wrong command or flag and an interrupt before the answer included: `wait a && next` must not go on.
//     There are no others: the CLI library's own are mapped.
//   - Answers go to standard output, all else to standard error: notes, errors, and the usage that follows a wrong command.
//   - Every flag has an environment variable, STINT_ and its name in upper case with underscores; flags of one name share
//     it. The command line goes before the environment.
//   - An error is one line that names what was wrong, its value and the remedy.
//
// # How it is built
//
// This package is flags and wiring. The verbs are in internal/client, the stand-in API in internal/sandbox; a command here
// turns its flags into one call.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// The exit codes of the program.
const (
	exitClean = 0
	exitError = 1
)

// cli is the grammar: one field a command.
type cli struct {
	Run     runCmd     `cmd:"" default:"withargs" help:"Run tasks for a coordinator. The default command."`
	Add     addCmd     `cmd:"" help:"Submit a task."`
	Get     getCmd     `cmd:"" help:"Show everything known of a task."`
	List    listCmd    `cmd:"" help:"List tasks, newest first."`
	Status  statusCmd  `cmd:"" help:"Show counts by state, queues that are held, failed tasks with their errors, and live leases."`
	Wait    waitCmd    `cmd:"" help:"Wait until tasks have ended. Exits with 1 if one did not complete."`
	Explain explainCmd `cmd:"" help:"Say why a task is not running."`
	Watch   watchCmd   `cmd:"" help:"Show events as they happen, until interrupted."`
	Cancel  cancelCmd  `cmd:"" help:"Cancel tasks, by id or by filter."`
	Retry   retryCmd   `cmd:"" help:"Run ended tasks again, by id or by filter."`
	Agents  agentsCmd  `cmd:"" help:"List the agents that are connected or hold leases."`
	Drain   drainCmd   `cmd:"" help:"Tell an agent to take no more work, finish what it has and end."`
	Queue   queueCmd   `cmd:"" help:"List, show, set, pause and resume queues."`
	Spend   spendCmd   `cmd:"" help:"Show what attempts have cost, by queue, agent or fairness key."`
	Sandbox sandboxCmd `cmd:"" help:"Serve a stand-in for the API that tasks run against. There is no model behind it."`
	Bench   benchCmd   `cmd:"" help:"Measure a coordinator: rates, latencies, memory, restarts."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// app is what a command gets of the world around it; tests give it another.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	exit           func(code int) // ends the program after --help; doesn't return
}

func main() {
	a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, exit: os.Exit}
	os.Exit(a.main(os.Args[1:]))
}

// main runs one command line and answers the exit code.
func (a *app) main(args []string) int {
	command, err := a.parse(args)
	if err == nil {
		err = command.Run(a)
	}
	return a.finish(err)
}

// finish tells an error, and makes the exit code of it.
func (a *app) finish(err error) int {
	if err == nil {
		return exitClean
	}
	_, _ = fmt.Fprintf(a.stderr, "%s: %v\n", programName, err)
	return exitError
}

// parse reads the command line; after a wrong one it has printed the usage.
func (a *app) parse(args []string) (*kong.Context, error) {
	parser, err := a.parser()
	if err != nil {
		return nil, err
	}
	words, err := arrange(parser.Model.Node, args)
	if err == nil {
		var command *kong.Context
		if command, err = parser.Parse(words); err == nil {
			return command, nil
		}
	}
	return nil, a.usage(parser, err)
}

func (a *app) parser() (*kong.Kong, error) {
	parser, err := kong.New(&cli{},
		kong.Name(programName),
		kong.Description("stint hands out tasks to a fleet of agents. This program runs tasks, and submits, watches and changes them."),
		kong.DefaultEnvars("STINT"),
		kong.Writers(a.stdout, a.stderr),
		kong.Exit(a.exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: helpColumns}),
	)
	if err != nil {
		return nil, fmt.Errorf("the command line grammar is broken, a fault of this program: %w", err)
	}
	return parser, nil
}

// interruptible answers a context that ends at an interrupt, and what gives the signals back.
func interruptible() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), endings()...)
}

// endings are the signals that ask a program to end; that of a terminal which goes away is one, unless nohup says otherwise.
func endings() []os.Signal {
	if signal.Ignored(syscall.SIGHUP) {
		return []os.Signal{os.Interrupt, syscall.SIGTERM}
	}
	return []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
}
