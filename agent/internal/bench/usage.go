package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"time"
)

// usage is what a process has used since its start, as /proc tells it.
type usage struct {
	cpu     time.Duration // in steps of 10 ms
	rss     int64         // bytes now
	peak    int64         // bytes at most
	written int64         // bytes given to the disk
}

// tick is the unit of CPU time in /proc: USER_HZ, 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// usage reads what the coordinator has used; false where that can't be known.
func (t *target) usage() (usage, bool) {
	if t.process == nil {
		return usage{}, false
	}
	return usageOf(t.process.cmd.Process.Pid)
}

func usageOf(pid int) (u usage, ok bool) {
	folder := fmt.Sprintf("/proc/%d/", pid)
	stat, err := os.ReadFile(folder + "stat")
	if err != nil {
		return u, false
	}
	// The second field is a name in brackets that may hold anything; utime is the 14th field.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	const user, system = 11, 12
	if len(fields) <= system {
		return u, false
	}
	u.cpu = time.Duration(number(fields[user])+number(fields[system])) * tick
	status, _ := os.ReadFile(folder + "status") // what is missing stays zero
	u.rss, u.peak = entry(status, "VmRSS:")<<10, entry(status, "VmHWM:")<<10
	io, _ := os.ReadFile(folder + "io")
	u.written = entry(io, "write_bytes:")
	return u, true
}

// entry finds the number behind a name at the start of a line.
func entry(text []byte, name string) int64 {
	for line := range bytes.Lines(text) {
		if rest, ok := bytes.CutPrefix(line, []byte(name)); ok {
			if f := bytes.Fields(rest); len(f) > 0 {
				return number(f[0])
			}
		}
	}
	return 0
}

func number(b []byte) int64 {
	n, _ := strconv.ParseInt(string(b), 10, 64) // the system's own files
	return n
}

// quiet waits until the coordinator has neither written nor worked for a while, at most
// quietWithin, and answers what it has used by then.
func (t *target) quiet(ctx context.Context) (usage, bool) {
	last, ok := t.usage()
	calm := 0
	for began := time.Now(); ok && calm < calmSeconds && time.Since(began) < quietWithin && ctx.Err() == nil; {
		t.bench.note("waiting until the coordinator is quiet", 0, time.Since(began))
		pause(ctx, time.Second)
		now, known := t.usage()
		calm++
		if now.written != last.written || now.cpu-last.cpu > calmCPU {
			calm = 0
		}
		last, ok = now, known
	}
	return last, ok
}

const (
	// calmSeconds without work in a row count as quiet: background work follows in less.
	calmSeconds = 3
	// calmCPU is what an idle coordinator may take in a second, with room for its own ticks.
	calmCPU = 30 * time.Millisecond
)

// pause waits; an end of ctx cuts it.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
