package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Config says what is measured and for how long.
type Config struct {
	Coordinator string        // HOST:PORT of one that runs; "": the bench starts its own for each run
	Program     string        // of the coordinator that it starts; "": stint-coordinator beside Agent
	Agent       string        // program of the agent, which is also started for helpers; "": this one
	Folder      string        // where temporary folders are made; "": the current one
	Version     string        // of the agent
	Warmup      time.Duration // before each measurement
	Duration    time.Duration // of each measurement
	Verify      bool          // hold the coordinator's counts against ours, also after a kill if it is ours
	Notes       io.Writer     // progress; nil: none
	Redraw      bool          // Notes is a terminal: progress is one line that changes
}

// Bench runs modes, one at a time. It has no state between them.
type Bench struct {
	Config
	machine Machine
}

// New checks the configuration and looks at the machine.
func New(c Config) (*Bench, error) {
	var err error
	if c.Agent == "" {
		if c.Agent, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("bench: own program not found: %w; give its path", err)
		}
	}
	if c.Program == "" {
		c.Program = filepath.Join(filepath.Dir(c.Agent), "stint-coordinator")
		if runtime.GOOS == "windows" {
			c.Program += ".exe"
		}
	}
	if c.Notes == nil {
		c.Notes = io.Discard
	}
	if c.Folder == "" {
		c.Folder = "."
	}
	if c.Duration < time.Second || c.Warmup < 0 {
		return nil, fmt.Errorf("bench: duration %v or warm-up %v is too short; give at least 1s and 0s", c.Duration, c.Warmup)
	}
	return &Bench{Config: c, machine: thisMachine()}, nil
}

// target is the coordinator of one run.
type target struct {
	bench   *Bench
	address string
	version string
	folder  string   // made for it; "": it is not ours
	process *process // nil: it is not ours
}

// open reaches the coordinator, or starts one on a fresh folder.
func (b *Bench) open(ctx context.Context) (t *target, err error) {
	t = &target{bench: b, address: b.Coordinator}
	if b.Coordinator == "" {
		if t.folder, err = b.temporary(); err != nil {
			return nil, err
		}
		if err := t.start(ctx); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	status, err := t.status(ctx)
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	t.version = status.GetVersion()
	return t, nil
}

// close ends what was started and removes what was made.
func (t *target) close() error {
	var err error
	if t.process != nil {
		err = t.process.end()
		t.process = nil
	}
	if t.folder != "" {
		err = errors.Join(err, os.RemoveAll(t.folder))
	}
	return err
}

// dial makes n connections. drop closes them.
func (t *target) dial(n int) (conns []*grpc.ClientConn, drop func(), err error) {
	drop = func() {
		for _, c := range conns {
			_ = c.Close() // an error says only that it is closed already
		}
	}
	options := append(lean(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	for range n {
		c, err := grpc.NewClient(t.address, options...)
		if err != nil {
			drop()
			return nil, nil, fmt.Errorf("bench: coordinator %q can't be dialled: %w; give HOST:PORT", t.address, err)
		}
		conns = append(conns, c)
	}
	return conns, drop, nil
}

// status asks the coordinator how it stands.
func (t *target) status(ctx context.Context) (*stintv1.GetStatusResponse, error) {
	conns, drop, err := t.dial(1)
	if err != nil {
		return nil, err
	}
	defer drop()
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	status, err := stintv1.NewQueueServiceClient(conns[0]).GetStatus(ctx, &stintv1.GetStatusRequest{}, grpc.WaitForReady(true))
	if err != nil {
		return nil, fmt.Errorf("bench: coordinator at %s: %w", t.address, err)
	}
	return status, nil
}

const (
	// answerWithin bounds one question to the coordinator, which may be busy with a full backlog.
	answerWithin = 30 * time.Second
	// startWithin bounds the start of a program: a ledger of ten million live tasks takes a minute.
	startWithin = 5 * time.Minute
	// endWithin is how long a program may take to end when told to; then it is killed.
	endWithin = time.Minute
	// quietWithin bounds the wait for a coordinator to finish its compactions.
	quietWithin = 3 * time.Minute
	// mostLive is the limit of live tasks of a coordinator under test: above the largest backlog.
	mostLive = 20_000_000
)

// temporary makes a folder inside the one for such, which is made if it is missing; whoever asks removes it.
func (b *Bench) temporary() (string, error) {
	if err := os.MkdirAll(b.Folder, 0o755); err != nil {
		return "", fmt.Errorf("bench: folder for temporary data: %w; give one that can be made with --data-dir", err)
	}
	folder, err := os.MkdirTemp(b.Folder, "stint-bench-")
	if err != nil {
		return "", fmt.Errorf("bench: temporary folder: %w; give another with --data-dir", err)
	}
	return folder, nil
}
