package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"
)

// Bounds of settings.
const (
	leastTTL   = time.Second            // below it a heartbeat every third is lost in the noise
	leastGrant = 100 * time.Millisecond // a round trip around the world
	longest    = time.Hour              // of what keeps a task from another agent
)

// check looks at all settings and reports every fault: the flag, its value, what to give.
func (s *serve) check() error {
	var faults []error
	fault := func(bad bool, flag string, value any, remedy string) {
		if bad {
			faults = append(faults, fmt.Errorf("--%s is %v: %s", flag, value, remedy))
		}
	}
	faults = append(faults, checkAddress("listen", s.Listen, s.Insecure), checkAddress("http", s.HTTP, s.Insecure))
	fault(s.DataDir == "", "data-dir", `""`, "give the folder of the ledger")
	fault(s.LeaseTTL < leastTTL || s.LeaseTTL > longest, "lease-ttl", s.LeaseTTL, "give 1s to 1h")
	fault(s.GrantTimeout < leastGrant || s.GrantTimeout > longest, "grant-timeout", s.GrantTimeout, "give 100ms to 1h")
	fault(s.Retain < 0, "retain", s.Retain, "give 0s (for ever) or more")
	fault(s.Drain < 0, "drain", s.Drain, "give 0s or more")
	fault(s.MaxLiveTasks < 1, "max-live-tasks", s.MaxLiveTasks, "give 1 or more")
	_, known := levels[s.LogLevel]
	fault(!known, "log-level", strconv.Quote(s.LogLevel), "give debug, info, warn or error")
	fault(s.LogFormat != "text" && s.LogFormat != "json", "log-format", strconv.Quote(s.LogFormat), "give text or json")
	return errors.Join(faults...)
}

// checkAddress wants HOST:PORT, and, as there is no encryption, a host that only this machine
// reaches.
func checkAddress(flag, address string, insecure bool) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("--%s is %q: give HOST:PORT, like 127.0.0.1:7070", flag, address)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > math.MaxUint16 {
		return fmt.Errorf("--%s is %q: give a port from 0 (any free one) to 65535", flag, address)
	}
	if insecure || loopback(host) {
		return nil
	}
	return fmt.Errorf("--%s is %q: other machines can reach it, and traffic is plain text without identities; "+
		"listen on 127.0.0.1, or add --insecure if the network is trusted", flag, address)
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// bytesize is a number of bytes, written plainly or with a binary unit.
type bytesize uint64

var units = []struct {
	name  string
	shift uint
}{{"KiB", 10}, {"MiB", 20}, {"GiB", 30}, {"TiB", 40}, {"B", 0}}

// UnmarshalText reads 1024, 1KiB, 256MiB, 1GiB.
func (b *bytesize) UnmarshalText(text []byte) error {
	digits, shift := string(text), uint(0)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(digits, u.name); ok {
			digits, shift = rest, u.shift
			break
		}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(digits), 10, 64)
	if err != nil || n > math.MaxUint64>>shift {
		return fmt.Errorf("%q is not a number of bytes: give one like 268435456, 256MiB or 1GiB", text)
	}
	*b = bytesize(n << shift)
	return nil
}
