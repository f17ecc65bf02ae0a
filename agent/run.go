package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/stint-dev/stint/agent/internal/outbox"
	"github.com/stint-dev/stint/agent/internal/runner"
	"github.com/stint-dev/stint/agent/internal/session"
)

const (
	// keyVariable holds the API key itself. There is no flag for it: command lines are seen by everybody on the machine.
	keyVariable = "STINT_API_KEY"

	// garbageGrowth is how far the heap may grow, in percent, between two collections, unless GOGC says otherwise. What an
	// agent holds at once is little and soon done with, so that Go's own 100 would collect every few hundred tasks; this
	// takes about 3 MB more of memory.
	garbageGrowth = 400

	// maxKeyFile is far above any key, in bytes; a larger file is the wrong one.
	maxKeyFile = 16 << 10
)

// runCmd are the flags of the command that runs tasks.
type runCmd struct {
	MaxTasks maxTasks `arg:"" optional:"" default:"0" name:"MAX_TASKS" help:"End after this many attempts, failed or not; 0: no limit (${default})."`

	Coordinator   string            `default:"127.0.0.1:7070" placeholder:"HOST:PORT" help:"Coordinator to serve; several separated by commas are tried in turn (${default})."`
	AgentID       string            `placeholder:"ID" help:"Name of this agent (the first one in --outbox-dir that no process uses, or a new one: worker_ and 8 hex digits)."`
	Slots         int               `default:"4" placeholder:"NUMBER" help:"How many tasks run at once, 1 to 10000 (${default})."`
	Label         map[string]string `mapsep:"," placeholder:"KEY=VALUE" help:"Label that tasks may require; repeat for more, at most 32 (none)."`
	Queue         []string          `placeholder:"QUEUE" help:"Queue to serve; repeat for more (all)."`
	APIEndpoint   string            `name:"api-endpoint" default:"http://127.0.0.1:8420" placeholder:"URL" help:"API that tasks are run against (${default})."`
	APIDialect    string            `name:"api-dialect" default:"grind" placeholder:"NAME" help:"What that API speaks: grind, or http for the task as a plain JSON object (${default})."`
	APITimeout    time.Duration     `name:"api-timeout" default:"0s" placeholder:"DURATION" help:"Longest time for a call, if the task allows more; 0s: the task's own (${default})."`
	APIKeyFile    string            `name:"api-key-file" placeholder:"FILE" help:"File with the API key; the variable STINT_API_KEY may hold the key itself instead (none)."`
	OutboxDir     string            `default:"./stint-outbox" placeholder:"FOLDER" help:"Where reports are kept until the coordinator has them; it is made if need be (${default})."`
	MaxIdleCycles int               `default:"10" placeholder:"NUMBER" help:"End after this many checks in a row found nothing to do; 0: stay for ever (${default})."`
	IdleInterval  time.Duration     `default:"2s" placeholder:"DURATION" help:"Time between these checks (${default})."`
	Drain         time.Duration     `default:"20s" placeholder:"DURATION" help:"Longest time to finish what runs after an interrupt; a second interrupt stops at once (${default})."`
	LogLevel      string            `default:"info" enum:"debug,info,warn,error" placeholder:"LEVEL" help:"Least level logged: debug, info, warn or error (${default})."`
	LogFormat     string            `default:"text" enum:"text,json" placeholder:"FORM" help:"Form of the log: text or json (${default})."`
}

// Run serves the coordinator until there is nothing to do, MAX_TASKS attempts have ended, or a signal or an operator says
// so. All faults of the flags are told at once, before anything is touched.
func (c *runCmd) Run(a *app) (err error) {
	lines := &gatherer{to: a.stderr}
	defer lines.end()
	logger, err := newLogger(lines, c.LogLevel, c.LogFormat)
	if err != nil {
		return err
	}
	lines.tell = func(lost int) { logger.Warn("lines of the log were lost: nobody read it", "lines", lost) }
	api, err := c.runner()
	cfg := c.session(logger)
	if err := errors.Join(err, cfg.Check()); err != nil {
		return err
	}
	defer api.Close()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbageGrowth)
	}
	box, err := outbox.Open(outbox.Config{Dir: c.OutboxDir, AgentID: c.AgentID, Logger: logger})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, box.Close()) }()
	cfg.AgentID, cfg.Runner, cfg.Outbox = box.AgentID(), api, box
	s, err := session.New(cfg)
	if err != nil {
		return err
	}
	logger = logger.With("agent", box.AgentID())
	logger.Info("started", "version", cfg.Version, "coordinator", c.Coordinator, "slots", c.Slots, "api", c.APIDialect)
	defer func() { logger.Info("ended") }()
	return serve(s, logger)
}

// serve runs s and hands it the signals: the first drains it, the second stops it at once.
func serve(s *session.Session, logger *slog.Logger) error {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endings()...)
	signal.Ignore(syscall.SIGPIPE) // whoever reads the log may go, as tee does at Ctrl-C; what runs is not to die of that
	watched := make(chan struct{})
	defer func() { signal.Stop(signals); stop(); <-watched }()
	go func() {
		defer close(watched)
		for acts := []func(){s.Drain, stop}; len(acts) > 0; {
			select {
			case caught := <-signals:
				logger.Info("signal", "signal", caught.String())
				if len(acts) == 1 && caught == syscall.SIGHUP {
					continue // a shell and the system both say that the terminal has gone
				}
				acts[0]()
				acts = acts[1:]
			case <-ctx.Done():
				return
			}
		}
	}()
	return s.Run(ctx)
}

func (c *runCmd) session(logger *slog.Logger) session.Config {
	return session.Config{
		Coordinators:  addresses(c.Coordinator),
		AgentID:       c.AgentID,
		Version:       version(),
		Slots:         c.Slots,
		Labels:        c.Label,
		Queues:        c.Queue,
		MaxTasks:      int(c.MaxTasks),
		MaxIdleCycles: c.MaxIdleCycles,
		IdleInterval:  c.IdleInterval,
		DrainTime:     c.Drain,
		Logger:        logger,
	}
}

// addresses splits at commas; spaces around them are nobody's intention.
func addresses(list string) []string {
	split := strings.Split(list, ",")
	for i, address := range split {
		split[i] = strings.TrimSpace(address)
	}
	return split
}

// runner builds what calls the API; a fault of the key comes along with those of the other flags.
func (c *runCmd) runner() (*runner.Runner, error) {
	key, keyErr := c.apiKey()
	api, err := runner.New(runner.Config{
		Endpoint: c.APIEndpoint,
		Dialect:  c.APIDialect,
		Timeout:  c.APITimeout,
		APIKey:   key,
		Version:  version(),
	})
	return api, errors.Join(keyErr, err)
}

// apiKey reads the key; "" if there is none. Errors never hold it.
func (c *runCmd) apiKey() (string, error) {
	key := strings.TrimSpace(os.Getenv(keyVariable))
	switch {
	case c.APIKeyFile == "":
		return key, nil
	case key != "":
		return "", fmt.Errorf("api-key-file %q is given and %s is set; leave out one of them", c.APIKeyFile, keyVariable)
	}
	f, err := os.Open(c.APIKeyFile)
	if err != nil {
		return "", fmt.Errorf("api-key-file: %w; give a file with the key", err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("api-key-file: %w; give a file with the key", err)
	}
	key = strings.TrimSpace(string(data))
	if key == "" || len(data) > maxKeyFile {
		return "", fmt.Errorf("api-key-file %q has %d bytes and no key in them; give a file with the key alone", c.APIKeyFile, len(data))
	}
	return key, nil
}
