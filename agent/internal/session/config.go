package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	// maxSlots keeps the heartbeats that list all slots' leases far below a message's bounds.
	maxSlots = 10_000

	// maxLabels and maxQueues are what a coordinator takes in a hello.
	maxLabels = 32
	maxQueues = 1000
)

var (
	idPattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)
	keyPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$`)
	valuePattern = regexp.MustCompile(`^[A-Za-z0-9._:/@+-]{0,128}$`)
)

// Runner runs one lease and returns its report, or nil if and only if ctx ended first. It is called from as many
// goroutines as there are slots.
type Runner interface {
	Run(ctx context.Context, lease *stintv1.Lease) *stintv1.Report
}

// Outbox keeps reports until they are acknowledged; see package outbox for the promises. All methods are called from
// several goroutines.
type Outbox interface {
	Put(ledgerID string, reports ...*stintv1.Report)
	Pending(ledgerID string) []*stintv1.Report
	Remove(leaseIDs ...string)
	Refuse(leaseID, reason string)
	Retry()
}

// Stream is one open session stream. Send and Recv are called from one goroutine each; Close after both.
type Stream interface {
	Send(*stintv1.SessionRequest) error
	Recv() (*stintv1.SessionResponse, error)
	// CloseSend is called from Send's goroutine.
	CloseSend() error
	// Close frees what the stream stands on.
	Close() error
}

// Dial opens a stream to one address; the end of ctx cuts dialling, Send and Recv.
type Dial func(ctx context.Context, address string) (Stream, error)

// Config says who the agent is, whom it serves, and when it stops.
type Config struct {
	// Coordinators are addresses, HOST:PORT, tried in turn.
	Coordinators []string
	// AgentID names the agent; required.
	AgentID string
	// Version is told to the coordinator.
	Version string
	// Slots is how many leases run at once, 1 to 10,000.
	Slots int
	// Labels are what tasks may require; at most 32.
	Labels map[string]string
	// Queues are served; none: all.
	Queues []string
	// MaxTasks ends Run after so many attempts, failed or not; 0: no limit.
	MaxTasks int
	// MaxIdleCycles ends Run after so many checks in a row, IdleInterval apart, found nothing to do; 0: never.
	MaxIdleCycles int
	// IdleInterval is over 0 if MaxIdleCycles is.
	IdleInterval time.Duration
	// DrainTime is how long a drain that began here may take, from 0.
	DrainTime time.Duration
	// Runner and Outbox are required.
	Runner Runner
	Outbox Outbox
	// Dial opens streams; nil: gRPC in plain text.
	Dial Dial
	// Logger takes the log, which carries the agent's id on every line; nil discards it.
	Logger *slog.Logger
	// Now is the wall clock, which goes on while the machine sleeps; nil: time.Now.
	Now func() time.Time
}

// Check returns every fault in what people give, joined, each with field, value and remedy. An empty AgentID passes: it may
// be still to be found.
func (c Config) Check() error {
	faults := []error{c.checkCoordinators(), c.checkLabels(), c.checkQueues(), c.checkNumbers()}
	if c.AgentID != "" && !idPattern.MatchString(c.AgentID) {
		faults = append(faults, fmt.Errorf("session: agent-id %q is no id; give 1 to 128 of A-Z a-z 0-9 . _ : - beginning with a letter or digit", c.AgentID))
	}
	return errors.Join(faults...)
}

func (c Config) checkCoordinators() error {
	if len(c.Coordinators) == 0 {
		return errors.New("session: coordinator is empty; give HOST:PORT, or several with commas between")
	}
	var faults []error
	for _, address := range c.Coordinators {
		host, port, err := net.SplitHostPort(address)
		if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || host == "" || n == 0 {
			faults = append(faults, fmt.Errorf("session: coordinator %q is no address; give HOST:PORT such as 127.0.0.1:7070", address))
		}
	}
	return errors.Join(faults...)
}

func (c Config) checkLabels() error {
	var faults []error
	if len(c.Labels) > maxLabels {
		faults = append(faults, fmt.Errorf("session: %d labels; give at most %d", len(c.Labels), maxLabels))
	}
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		if value := c.Labels[key]; !keyPattern.MatchString(key) || !valuePattern.MatchString(value) {
			faults = append(faults, fmt.Errorf("session: label %q is no label; give KEY=VALUE, the key of %s and the value of %s",
				key+"="+value, strings.Trim(keyPattern.String(), "^$"), strings.Trim(valuePattern.String(), "^$")))
		}
	}
	return errors.Join(faults...)
}

func (c Config) checkQueues() error {
	var faults []error
	if len(c.Queues) > maxQueues {
		faults = append(faults, fmt.Errorf("session: %d queues; give at most %d, or none for all", len(c.Queues), maxQueues))
	}
	for _, queue := range c.Queues {
		if !idPattern.MatchString(queue) {
			faults = append(faults, fmt.Errorf("session: queue %q is no id; give 1 to 128 of A-Z a-z 0-9 . _ : - beginning with a letter or digit", queue))
		}
	}
	return errors.Join(faults...)
}

func (c Config) checkNumbers() error {
	var faults []error
	if c.Slots < 1 || c.Slots > maxSlots {
		faults = append(faults, fmt.Errorf("session: slots %d is out of bounds; give 1 to %d", c.Slots, maxSlots))
	}
	if c.MaxTasks < 0 {
		faults = append(faults, fmt.Errorf("session: MAX_TASKS %d is negative; give the number of attempts, or 0 for no limit", c.MaxTasks))
	}
	if c.MaxIdleCycles < 0 {
		faults = append(faults, fmt.Errorf("session: max-idle-cycles %d is negative; give the number of checks, or 0 to stay for ever", c.MaxIdleCycles))
	}
	if c.MaxIdleCycles > 0 && c.IdleInterval <= 0 {
		faults = append(faults, fmt.Errorf("session: idle-interval %v is too short; give a time over 0s such as 2s", c.IdleInterval))
	}
	if c.DrainTime < 0 {
		faults = append(faults, fmt.Errorf("session: drain %v is negative; give 0s or more", c.DrainTime))
	}
	return errors.Join(faults...)
}
