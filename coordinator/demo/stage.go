package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

// The default ports; taken where they are free and someone is to type them.
const (
	usualGRPC = "127.0.0.1:7070"
	usualHTTP = "127.0.0.1:7071"
	anyPort   = "127.0.0.1:0"
)

// stage is where processes run: a fresh folder, and the processes in the order in which they were started.
type stage struct {
	dir         string
	coordinator string // its address, once it runs
	api         string // the stand-in's
	cast        []*process
}

// newStage clears dir.
func newStage(dir string) (*stage, error) {
	for _, program := range []string{agentProgram, coordinatorProgram} {
		if _, err := os.Stat(program); err != nil {
			return nil, fmt.Errorf("%w; run it from the top of the tree, after make build", err)
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	return &stage{dir: dir}, os.MkdirAll(dir, 0o755)
}

// path is of a file in the stage's folder.
func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// start starts a part of the demo, with its log in a file of its name.
func (s *stage) start(name, program string, args ...string) (*process, error) {
	p, err := start(name, s.path(name+".log"), program, args...)
	if err == nil {
		s.cast = append(s.cast, p)
	}
	return p, err
}

var (
	servesHTTP = regexp.MustCompile(`msg=serving .*\bhttp=(\S+)`)
	servesGRPC = regexp.MustCompile(`msg=serving .*\bgrpc=(\S+)`)
	connected  = regexp.MustCompile(`msg=connected\b`)
)

// startAPI starts the stand-in; each call takes as long as latency says.
func (s *stage) startAPI(ctx context.Context, latency time.Duration) error {
	p, err := s.start("api", agentProgram, "sandbox", "--listen", anyPort, "--latency", latency.String())
	if err != nil {
		return err
	}
	said, err := p.says(ctx, servesHTTP)
	if err == nil {
		s.api = said[1]
	}
	return err
}

// startCoordinator starts it on the stage's own data folder.
func (s *stage) startCoordinator(ctx context.Context, grpc, http string, flags ...string) error {
	p, err := s.start("coordinator", coordinatorProgram, append([]string{"serve", "--listen", grpc, "--http", http,
		"--data-dir", s.path("data")}, flags...)...)
	if err != nil {
		return err
	}
	said, err := p.says(ctx, servesGRPC)
	if err == nil {
		s.coordinator = said[1]
	}
	return err
}

// startAgent starts an agent and waits until it is connected.
func (s *stage) startAgent(ctx context.Context, id string, flags ...string) (*process, error) {
	p, err := s.start(id, agentProgram, append([]string{"run", "--coordinator", s.coordinator, "--agent-id", id,
		"--api-endpoint", "http://" + s.api, "--outbox-dir", s.path("outbox"), "--max-idle-cycles", "0", "--drain", "5s"}, flags...)...)
	if err != nil {
		return nil, err
	}
	_, err = p.says(ctx, connected)
	return p, err
}

// importPapers writes the queue.json and has the coordinator's own command read it into the data folder.
func (s *stage) importPapers(ctx context.Context) error {
	file := s.path("queue.json")
	if err := writeQueue(file); err != nil {
		return err
	}
	return show(ctx, coordinatorProgram, "import", "--data-dir", s.path("data"), file)
}

// clear ends all processes, the newest first.
func (s *stage) clear() error {
	var errs []error
	for _, p := range slices.Backward(s.cast) {
		errs = append(errs, p.stop())
	}
	s.cast = nil
	return errors.Join(errs...)
}

// usual is the address if nobody has it, else one of a free port.
func usual(address string) string {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return anyPort
	}
	_ = l.Close() // it was only to see whether it can be had
	return address
}
