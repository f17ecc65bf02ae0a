package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// stay starts everything, says what can be tried, and waits for an interrupt.
func stay(ctx context.Context, s *stage) error {
	if err := errors.Join(s.startAPI(ctx, 200*time.Millisecond), s.importPapers(ctx)); err != nil {
		return err
	}
	if err := s.startCoordinator(ctx, usual(usualGRPC), usual(usualHTTP)); err != nil {
		return err
	}
	for _, id := range []string{"agent-a", "agent-b"} {
		if _, err := s.startAgent(ctx, id); err != nil {
			return err
		}
	}
	s.invite()
	for _, p := range s.cast {
		go func() {
			<-p.ended
			if ctx.Err() == nil {
				say("%s has ended; its log is %s", p.name, p.log.file.Name())
			}
		}()
	}
	<-ctx.Done()
	say("\nEnding: agents first, then the coordinator, then the API.")
	return s.clear()
}

// invite shows what to type.
func (s *stage) invite() {
	tool := grpcurl()
	say(`
Running: a coordinator on %[1]s, two agents, and an API at http://%[2]s that is a stand-in: no model is called.
Logs and data are in %[3]s. Ctrl-C ends it all. In another terminal, from here:

  %[4]s -plaintext -d '{"task":{"id":"hello","instruction":"What is 2+2?"}}' %[1]s stint.v1.TaskService/SubmitTask
  %[4]s -plaintext -d '{"task_id":"hello","timeout":"5s"}' %[1]s stint.v1.TaskService/WaitTask
  %[4]s -plaintext -d '{"after_sequence":0}' %[1]s stint.v1.TaskService/WatchEvents
  %[4]s -plaintext %[1]s describe stint.v1.TaskService

  export STINT_COORDINATOR=%[1]s
  bin/stint-agent status
  bin/stint-agent add rivers "List three rivers." hello
  bin/stint-agent get rivers
  bin/stint-agent agents
`, s.coordinator, s.api, s.dir, tool)
}

// grpcurl is how to call it here: what `make tools` has built, or whatever the reader has.
func grpcurl() string {
	built, err := filepath.Glob(".tools/grpcurl@*/grpcurl" + suffix)
	if err == nil && len(built) > 0 {
		if _, err := os.Stat(built[0]); err == nil {
			return built[0]
		}
	}
	return "grpcurl"
}
