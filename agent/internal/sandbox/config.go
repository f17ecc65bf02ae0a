package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"os"
	"strconv"
	"time"
)

const (
	// DefaultListen is where agents look for their API by default.
	DefaultListen = "127.0.0.1:8420"

	// maxLatency is the longest time that a task may allow an attempt; a call that takes longer is a hanging one.
	maxLatency = 24 * time.Hour

	// minStatus and maxStatus bound Config.Status: 1xx are not answers, and above 599 clients disagree.
	minStatus, maxStatus = 200, 599
)

// Config says where the stand-in listens and how it misbehaves. The zero value of each field but Listen is "not at all".
type Config struct {
	// Listen is HOST:PORT with a numeric port; port 0 picks a free one, which Addr tells.
	Listen string
	// Latency is added before each task call's answer, 0 to 24 h.
	Latency time.Duration
	// FailRate is the share of task calls answered with 500, from 0 to 1.
	FailRate float64
	// Status, 200–599, is answered to every task call, with an error as body; 0 means normal answers.
	Status int
	// Hang accepts task calls and never answers them.
	Hang bool
	// CallLog is a file that gets one JSON line a call, synced before the answer leaves; parent folders are made.
	CallLog string
	// Seed chooses which task calls fail under FailRate.
	Seed uint64
	// Logger takes the log; nil discards it.
	Logger *slog.Logger
}

// check returns every fault of c, joined, each with field, value and remedy; nil when there is none.
func (c Config) check() error {
	return errors.Join(c.checkListen(), c.checkLatency(), c.checkFailRate(), c.checkStatus(), c.checkTogether(), c.checkCallLog())
}

func (c Config) checkListen() error {
	_, port, err := net.SplitHostPort(c.Listen)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("sandbox: listen %q is no address; give HOST:PORT with a port of 0 to 65535, such as %s", c.Listen, DefaultListen)
	}
	return nil
}

func (c Config) checkLatency() error {
	if c.Latency < 0 || c.Latency > maxLatency {
		return fmt.Errorf("sandbox: latency %v is out of bounds; give 0s to %v, or use hang", c.Latency, maxLatency)
	}
	return nil
}

func (c Config) checkFailRate() error {
	if math.IsNaN(c.FailRate) || c.FailRate < 0 || c.FailRate > 1 {
		return fmt.Errorf("sandbox: fail-rate %v is out of bounds; give a share from 0 to 1, such as 0.2", c.FailRate)
	}
	return nil
}

func (c Config) checkStatus() error {
	if c.Status != 0 && (c.Status < minStatus || c.Status > maxStatus) {
		return fmt.Errorf("sandbox: status %d is out of bounds; give %d to %d, or 0 for normal answers", c.Status, minStatus, maxStatus)
	}
	return nil
}

// checkTogether refuses a setting that another one would silently make void.
func (c Config) checkTogether() error {
	switch {
	case c.Hang && (c.Status != 0 || c.FailRate != 0 || c.Latency != 0):
		return fmt.Errorf("sandbox: hang never answers, so status %d, fail-rate %v and latency %v can't act; leave out hang or them",
			c.Status, c.FailRate, c.Latency)
	case c.Status != 0 && c.FailRate != 0:
		return fmt.Errorf("sandbox: status %d answers every call, so fail-rate %v can't act; leave out one of them", c.Status, c.FailRate)
	}
	return nil
}

func (c Config) checkCallLog() error {
	if c.CallLog == "" {
		return nil
	}
	info, err := os.Stat(c.CallLog)
	switch {
	case err == nil && info.IsDir():
		return fmt.Errorf("sandbox: call-log %q is a folder; give the path of a file", c.CallLog)
	case os.IsPathSeparator(c.CallLog[len(c.CallLog)-1]):
		return fmt.Errorf("sandbox: call-log %q names a folder; give the path of a file", c.CallLog)
	}
	return nil
}
