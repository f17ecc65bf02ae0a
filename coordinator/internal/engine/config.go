package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config is what the engine needs to know. New reports all faults at once.
type Config struct {
	LeaseTTL     time.Duration          // shortest lease of a session, 1 s–1 h
	GrantTimeout time.Duration          // an unconfirmed session grant goes back after it, > 0
	MaxLive      int                    // tasks that are not terminal, ≥ 1
	Offline      bool                   // nobody is served: leases that are found do not end
	MinFree      uint64                 // bytes; submits are refused below it
	FreeBytes    func() (uint64, error) // bytes free where the ledger is; nil: not checked
	Retain       time.Duration          // of terminal tasks and events; 0: for ever
	RetainEvery  time.Duration          // least pause between two rounds of retention; 0: 1 s
	PayloadCache int                    // bytes of payloads kept for their first grant; 0: none
	Wall         func() time.Time       // wall clock; nil: time.Now
	Logger       *slog.Logger           // nil: slog.Default()
	Version      string                 // of the program, for the log
}

func (c *Config) check() error {
	var faults []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			faults = append(faults, fmt.Errorf("engine: "+format, args...))
		}
	}
	fault(c.LeaseTTL < time.Second || c.LeaseTTL > time.Hour, "LeaseTTL is %v: give 1s to 1h", c.LeaseTTL)
	fault(c.GrantTimeout <= 0, "GrantTimeout is %v: give more than 0s", c.GrantTimeout)
	fault(c.MaxLive < 1, "MaxLive is %d: give 1 or more", c.MaxLive)
	fault(c.Retain < 0, "Retain is %v: give 0s (for ever) or more", c.Retain)
	fault(c.RetainEvery < 0, "RetainEvery is %v: give 0s (the default) or more", c.RetainEvery)
	fault(c.PayloadCache < 0, "PayloadCache is %d: give 0 (none) or more", c.PayloadCache)
	if c.RetainEvery == 0 {
		c.RetainEvery = retainEvery
	}
	if c.Wall == nil {
		c.Wall = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return errors.Join(faults...)
}
