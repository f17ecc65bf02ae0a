package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// Figures are numbers by name; the name ends with the unit.
type Figures map[string]float64

// Result is what one run of a mode found.
type Result struct {
	Row         string         `json:"row,omitempty"` // of the table that the run was made for
	Mode        string         `json:"mode"`
	Time        time.Time      `json:"time"`
	Settings    map[string]any `json:"settings"`
	Machine     Machine        `json:"machine"`
	Coordinator string         `json:"coordinator_version"`
	Agent       string         `json:"agent_version"`
	Figures     Figures        `json:"figures"`
}

// result begins a Result; settings is anything that encodes to a JSON object, or nil.
func (b *Bench) result(mode string, t *target, settings any) Result {
	r := Result{
		Mode: mode, Time: time.Now().UTC(), Settings: map[string]any{}, Machine: b.machine,
		Coordinator: t.version, Agent: b.Version, Figures: Figures{},
	}
	if settings != nil {
		text, _ := json.Marshal(settings) // our own plain structs
		_ = json.Unmarshal(text, &r.Settings)
	}
	r.Settings["warmup_seconds"], r.Settings["duration_seconds"] = b.Warmup.Seconds(), b.Duration.Seconds()
	return r
}

// percentiles adds those of a histogram, in milliseconds.
func (f Figures) percentiles(name string, h *histogram) {
	for _, p := range []struct {
		name string
		at   float64
	}{{"p50", 50}, {"p99", 99}, {"p999", 99.9}} {
		f[name+"_"+p.name+"_ms"] = float64(h.at(p.at)) / float64(time.Millisecond)
	}
}

// WriteTable writes results for people: settings that matter, then one figure a line.
func WriteTable(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for i, r := range results {
		if i > 0 {
			_, _ = fmt.Fprintln(table)
		}
		title := r.Mode
		if r.Row != "" {
			title = r.Row
		}
		_, _ = fmt.Fprintf(table, "%s\tcoordinator %s, agent %s\n", title, r.Coordinator, r.Agent)
		for _, name := range slices.Sorted(maps.Keys(r.Figures)) {
			_, _ = fmt.Fprintf(table, "  %s\t%s\n", name, short(r.Figures[name]))
		}
	}
	return table.Flush()
}

// WriteLine writes a result as one line of JSON.
func WriteLine(w io.Writer, r Result) error {
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("bench: encode result: %w", err)
	}
	_, err = fmt.Fprintf(w, "%s\n", text)
	return err
}

// short shows a number with three digits, or all of its integral ones.
func short(v float64) string {
	digits := 0
	for limit := 100.0; digits < 4 && v < limit && v > -limit; limit /= 10 {
		digits++
	}
	text := strconv.FormatFloat(v, 'f', digits, 64)
	if digits > 0 {
		return text
	}
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// note shows how far a run is: on a terminal one line that changes, else a line each call.
func (b *Bench) note(what string, perSecond float64, since time.Duration) {
	text := fmt.Sprintf("%s  %ds", what, int(since.Seconds()))
	if perSecond > 0 {
		text += "  " + short(perSecond) + "/s"
	}
	if b.Redraw {
		_, _ = fmt.Fprintf(b.Notes, "\r\x1b[K%s", text)
		return
	}
	_, _ = fmt.Fprintln(b.Notes, text)
}

// watch shows the progress of what count counts each second, until ctx or d ends or stop closes.
// It answers an error that arrives.
func (b *Bench) watch(ctx context.Context, what string, d time.Duration, stop <-chan struct{}, failed <-chan error, count func() int64) error {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	over := time.NewTimer(d)
	defer over.Stop()
	began, last, at := time.Now(), count(), time.Now()
	for {
		select {
		case <-second.C:
			n, now := count(), time.Now()
			b.note(what, float64(n-last)/now.Sub(at).Seconds(), now.Sub(began))
			last, at = n, now
		case <-over.C:
			return nil
		case <-stop:
			return nil
		case err := <-failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
