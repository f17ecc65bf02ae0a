// Command demo shows stint at work on one machine: the stand-in API, a coordinator and two agents as separate processes, and a
// queue.json of a dozen tasks that depend on each other, whose text is this project's own documents.
//
//	demo          one agent is killed (-9) in the middle of a task; the task moves to the other. Then documents are read
//	              one by one, and put together by a task that is handed the results. Ends by itself.
//	demo -up      the same parts, left running until Ctrl-C, with commands to try.
//
// It is run by make, from the top of the tree, after the programs were built into bin/. All it knows of a task it is told
// by these programs: it speaks no protocol of its own. What it leaves, logs and data, is in .demo/.
//
// # What is always true
//
//   - Every process is started here and ended here by its id, on every way out: agents first, so that they can hand over
//     what they hold, then the coordinator, then the API.
//   - The exit code is 0 only if everything that was to be shown was seen; also after Ctrl-C under -up.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

// folder is what a demo leaves; each kind of demo clears its own part before it starts.
const folder = ".demo"

func main() {
	up := flag.Bool("up", false, "leave everything running until Ctrl-C")
	flag.Parse()
	show := story
	if *up {
		show = stay
	}
	if err := run(show); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run shows one kind of demo, and ends what it started.
func run(show func(context.Context, *stage) error) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := newStage(filepath.Join(folder, "run"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.clear()) }()
	err = show(ctx, s)
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted") // what failed, failed for that
	}
	return err
}
