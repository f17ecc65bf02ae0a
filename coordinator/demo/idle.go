package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// settle is the time before a measurement, for what a start leaves behind.
	settle = 5 * time.Second

	// span is how long is measured: many heartbeats, and enough clock ticks to see a tenth of a percent.
	span = 30 * time.Second

	// ticksPerSecond is the unit of CPU time in /proc, the same on all Linux systems.
	ticksPerSecond = 100
)

// measure prints memory and CPU of a coordinator and an agent that have nothing to do, with the default settings.
func measure(ctx context.Context, s *stage) error {
	if err := s.startAPI(ctx, 0); err != nil {
		return err
	}
	if err := s.startCoordinator(ctx, anyPort, anyPort); err != nil {
		return err
	}
	if _, err := s.startAgent(ctx, "agent-a"); err != nil {
		return err
	}
	if !wait(ctx, settle) {
		return nil
	}
	say("Idle for %v: a coordinator with one agent connected.\n", span)
	before, err := s.cpu()
	if err != nil {
		return fmt.Errorf("%w; it can be measured on Linux only", err)
	}
	if !wait(ctx, span) {
		return nil
	}
	now, err := s.cpu()
	if err != nil {
		return err
	}
	say("%-12s %10s %8s", "PROCESS", "RSS MiB", "CPU %")
	for _, p := range s.cast {
		rss, err := rss(p.cmd.Process.Pid)
		if err != nil {
			return err
		}
		percent := float64(now[p]-before[p]) / ticksPerSecond / span.Seconds() * 100
		say("%-12s %10.1f %8.2f", p.name, float64(rss)/(1<<20), percent)
	}
	return nil
}

// wait is false if the wait was interrupted.
func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// cpu is the CPU time of each process so far, in ticks.
func (s *stage) cpu() (map[*process]uint64, error) {
	all := map[*process]uint64{}
	for _, p := range s.cast {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			return nil, err
		}
		_, rest, _ := strings.Cut(string(stat), ") ") // the name before it may hold spaces
		const userTime, systemTime = 11, 12           // fields behind the name, from 0
		fields := strings.Fields(rest)
		if len(fields) <= systemTime {
			return nil, errors.New("/proc has too few fields")
		}
		for _, i := range []int{userTime, systemTime} {
			ticks, err := strconv.ParseUint(fields[i], 10, 64)
			if err != nil {
				return nil, err
			}
			all[p] += ticks
		}
	}
	return all, nil
}

var residentLine = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)

// rss is the memory of a process, in bytes.
func rss(pid int) (uint64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	m := residentLine.FindSubmatch(status)
	if m == nil {
		return 0, errors.New("/proc has no VmRSS")
	}
	kib, err := strconv.ParseUint(string(m[1]), 10, 64)
	return kib << 10, err
}
