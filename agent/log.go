package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// gatherTime is how long a line of the log may wait for others: to write each by itself costs more than to make it.
	gatherTime = 10 * time.Millisecond

	// gatherSize is how many bytes may wait.
	gatherSize = 64 << 10
)

// gatherer writes the lines of a moment together. Write may be called from any number of goroutines; what waits when the
// program crashes is lost. Whoever makes one calls flush in the end.
type gatherer struct {
	to io.Writer

	mu    sync.Mutex
	lines []byte
	timed bool // flush will be called
}

// Write keeps lines for a moment; an error of the writer behind is nobody's to know, as is usual with logs.
func (g *gatherer) Write(lines []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lines = append(g.lines, lines...)
	switch {
	case len(g.lines) >= gatherSize:
		g.write()
	case !g.timed:
		g.timed = true
		time.AfterFunc(gatherTime, g.flush)
	}
	return len(lines), nil
}

func (g *gatherer) flush() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timed = false
	g.write()
}

func (g *gatherer) write() {
	if len(g.lines) > 0 {
		_, _ = g.to.Write(g.lines)
		g.lines = g.lines[:0]
	}
}

// newLogger writes lines of a level, debug, info, warn or error, and above to w, as text or json. Times are UTC, so that the
// logs of machines in different places can be laid side by side.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log-level %q is unknown; give debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: least, ReplaceAttr: inUTC}
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, options)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, options)), nil
	}
	return nil, fmt.Errorf("log-format %q is unknown; give text or json", format)
}

func inUTC(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 && a.Value.Kind() == slog.KindTime {
		a.Value = slog.TimeValue(a.Value.Time().UTC())
	}
	return a
}
