package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// gatherTime is how long a line of the log may wait for others: to write each by itself costs more than to make it.
	gatherTime = 10 * time.Millisecond

	// gatherMost is how many bytes may wait for a reader that does not read; what comes then is lost: a terminal that was
	// stopped must not stop the work.
	gatherMost = 1 << 20

	// lastFlush is how long the end of the program waits for a reader.
	lastFlush = time.Second
)

// gatherer writes the lines of a moment together. Write may be called from any number of goroutines and never waits for the
// writer behind; what waits when the program crashes is lost. Whoever makes one calls end in the end.
type gatherer struct {
	to   io.Writer
	tell func(lost int) // of lines that nobody read, once somebody reads again; nil: it is not told

	writing sync.Mutex // taken before mu
	written []byte     // guarded by writing: to be used again

	mu    sync.Mutex
	lines []byte
	timed bool // flush will be called
	lost  int  // lines, since it was told
}

// Write keeps lines for a moment; an error of the writer behind is nobody's to know, as is usual with logs.
func (g *gatherer) Write(lines []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.lines)+len(lines) <= gatherMost {
		g.lines = append(g.lines, lines...)
	} else {
		g.lost++
	}
	if !g.timed {
		g.timed = true
		time.AfterFunc(gatherTime, g.flush)
	}
	return len(lines), nil
}

func (g *gatherer) flush() {
	g.writing.Lock()
	defer g.writing.Unlock()
	g.mu.Lock()
	lines, lost := g.lines, g.lost
	g.lines, g.timed, g.lost = g.written[:0], false, 0
	g.mu.Unlock()
	if len(lines) > 0 {
		_, _ = g.to.Write(lines)
	}
	g.written = lines
	if lost > 0 && g.tell != nil {
		g.tell(lost)
	}
}

// end is the last flush. A reader that does not read is not waited for.
func (g *gatherer) end() {
	flushed := make(chan struct{})
	go func() { defer close(flushed); g.flush() }()
	select {
	case <-flushed:
	case <-time.After(lastFlush):
	}
}

// newLogger writes lines of a level, debug, info, warn or error, and above to w, as text or json. Times are UTC, so that the
// logs of machines in different places can be laid side by side.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log-level %q is unknown; give debug, info, warn or error", level)
	}
	options := &slog.HandlerOptions{Level: least}
	switch format {
	case "text":
		return slog.New(inUTC{slog.NewTextHandler(w, options)}), nil
	case "json":
		return slog.New(inUTC{slog.NewJSONHandler(w, options)}), nil
	}
	return nil, fmt.Errorf("log-format %q is unknown; give text or json", format)
}

// inUTC puts a record's time right before it is written. To replace the attribute instead would look at all of them.
type inUTC struct{ slog.Handler }

func (h inUTC) Handle(ctx context.Context, r slog.Record) error {
	r.Time = r.Time.UTC()
	return h.Handler.Handle(ctx, r)
}

func (h inUTC) WithAttrs(attrs []slog.Attr) slog.Handler { return inUTC{h.Handler.WithAttrs(attrs)} }

func (h inUTC) WithGroup(name string) slog.Handler { return inUTC{h.Handler.WithGroup(name)} }
