package main

import (
	"time"

	"github.com/stint-dev/stint/agent/internal/sandbox"
)

// sandboxCmd are the flags of the stand-in API.
type sandboxCmd struct {
	Listen    string        `default:"127.0.0.1:8420" placeholder:"HOST:PORT" help:"Address to serve on; port 0 picks one, and the log line \"serving\" carries it (${default})."`
	Latency   time.Duration `default:"0s" placeholder:"DURATION" help:"Wait this long before each answer (${default})."`
	FailRate  float64       `default:"0" placeholder:"SHARE" help:"Share of the calls answered with status 500, 0 to 1 (${default})."`
	Status    int           `default:"0" placeholder:"CODE" help:"Answer every call with this HTTP status, 200 to 599; 0: normal answers (${default})."`
	Hang      bool          `help:"Take calls and never answer them (off)."`
	CallLog   string        `placeholder:"FILE" help:"Write a line of JSON for each call, synced before the answer leaves (none)."`
	Seed      uint64        `default:"0" placeholder:"NUMBER" help:"Chooses which calls fail under --fail-rate (${default})."`
	LogLevel  string        `default:"info" enum:"debug,info,warn,error" placeholder:"LEVEL" help:"Least level logged: debug, info, warn or error (${default})."`
	LogFormat string        `default:"text" enum:"text,json" placeholder:"FORM" help:"Form of the log: text or json (${default})."`
}

// Run serves until an interrupt.
func (c *sandboxCmd) Run(a *app) error {
	logger, err := newLogger(a.stderr, c.LogLevel, c.LogFormat)
	if err != nil {
		return err
	}
	server, err := sandbox.New(sandbox.Config{
		Listen:   c.Listen,
		Latency:  c.Latency,
		FailRate: c.FailRate,
		Status:   c.Status,
		Hang:     c.Hang,
		CallLog:  c.CallLog,
		Seed:     c.Seed,
		Logger:   logger,
	})
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	return server.Run(ctx)
}
