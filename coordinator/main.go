// Command stint-coordinator owns queues of tasks and hands them out to agents.
//
// Each command is a struct in a file of its own: its fields are its flags, its Run does the
// work. A flag --some-name can also be given as STINT_SOME_NAME in the environment.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitOK    = 0 // done, also after an interrupt
	exitError = 1 // anything else, wrong usage too
)

// console is where a command writes: what was asked for to Out, all else to Err.
type console struct{ Out, Err io.Writer }

// program is the command line.
type program struct {
	Serve  serve     `cmd:"" default:"withargs" help:"Own the queues and serve agents and submitters (the default)."`
	Import importing `cmd:"" help:"Bring tasks in from queue.json, execution logs and exports."`
	Export exporting `cmd:"" help:"Write all tasks as JSON lines, newest first: to import them in parts, begin with the last lines."`
	Verify verifying `cmd:"" help:"Read a whole ledger and check it."`
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without its process.
func run(args []string, stdout, stderr io.Writer) int {
	helped := false
	parser, err := kong.New(&program{},
		kong.Name("stint-coordinator"),
		kong.Description("Hands out tasks to agents: durably, in dependency order, each result recorded once."),
		kong.DefaultEnvars("STINT"),
		kong.Writers(stdout, stderr),
		kong.Bind(&console{Out: stdout, Err: stderr}),
		kong.Exit(func(int) { helped = true }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
	)
	if err != nil {
		return complain(stderr, err)
	}
	command, err := parser.Parse(args)
	if helped {
		return exitOK
	}
	if err != nil {
		return misused(parser, stderr, err)
	}
	if err := command.Run(); err != nil {
		return complain(stderr, err)
	}
	return exitOK
}

// misused shows the usage and what is wrong with the command line.
func misused(parser *kong.Kong, stderr io.Writer, err error) int {
	var p *kong.ParseError
	if errors.As(err, &p) {
		parser.Stdout = stderr
		_ = p.Context.PrintUsage(true) // nothing is left to say if standard error is gone
		fmt.Fprintln(stderr)
	}
	return complain(stderr, err)
}

func complain(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "stint-coordinator: %v\n", err)
	return exitError
}
