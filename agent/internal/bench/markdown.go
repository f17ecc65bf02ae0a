package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ReadLines reads results as WriteLine wrote them.
func ReadLines(in io.Reader) (results []Result, err error) {
	lines := json.NewDecoder(bufio.NewReader(in))
	for {
		var r Result
		if err := lines.Decode(&r); err == io.EOF {
			return results, nil
		} else if err != nil {
			return nil, fmt.Errorf("bench: result %d: %w; give files with one result a line", len(results)+1, err)
		}
		results = append(results, r)
	}
}

// WriteMarkdown writes where and when the results were taken, and the table of rows, with the
// median, least and greatest of the runs.
func WriteMarkdown(w io.Writer, results []Result) error {
	for _, line := range places(results) {
		_, _ = fmt.Fprintln(w, line)
	}
	_, _ = fmt.Fprintln(w)
	_, _ = fmt.Fprintln(w, "| row | what | must reach | aim | median (least … greatest) | runs |")
	_, _ = fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for _, row := range shownRows(results) {
		found := ofRow(results, row.name)
		if len(found) == 0 {
			continue
		}
		for _, g := range row.goals {
			values := valuesOf(found, g.figure)
			if len(values) == 0 {
				continue
			}
			_, err := fmt.Fprintf(w, "| %s | %s | %s | %s | %s | %d |\n", row.name, row.what,
				bound(g.must, g), bound(g.aim, g), spread(values, g.unit), len(values))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// places tell the machines and programs of the results, each once.
func places(results []Result) (lines []string) {
	for _, r := range results {
		m := r.Machine
		line := fmt.Sprintf("%s: %d cores %s, %s GiB, %s, kernel %s, %s; coordinator %s, agent %s; measured %vs after %vs.",
			r.Time.Format("2006-01-02"), m.Cores, m.CPU, short(float64(m.Memory)/(1<<30)), m.System, m.Kernel, m.Go,
			r.Coordinator, r.Agent, r.Settings["duration_seconds"], r.Settings["warmup_seconds"])
		if !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return lines
}

// shownRows are the rows, with the memory row in its sizes.
func shownRows(results []Result) []row {
	var shown []row
	for _, r := range rows() {
		if r.name == "memory" {
			shown = append(shown, memoryRows(results)...)
			continue
		}
		shown = append(shown, r)
	}
	return shown
}

// memoryGoals are must and aim in MiB by the number of tasks waiting.
var memoryGoals = map[string][2]float64{
	"memory-0": {60, 40}, "memory-100000": {150, 100}, "memory-1000000": {400, 300}, "memory-10000000": {3072, 2048},
}

func memoryRows(results []Result) (found []row) {
	for _, r := range results {
		known := slices.ContainsFunc(found, func(x row) bool { return x.name == r.Row })
		if !strings.HasPrefix(r.Row, "memory-") || known {
			continue
		}
		g := memoryGoals[r.Row]
		found = append(found, row{
			name: r.Row, what: "coordinator's memory, " + strings.TrimPrefix(r.Row, "memory-") + " tasks waiting",
			goals: []goal{{"server_rss_mib", "MiB", g[0], g[1], true}},
		})
	}
	return found
}

func ofRow(results []Result, name string) (found []Result) {
	for _, r := range results {
		if r.Row == name {
			found = append(found, r)
		}
	}
	return found
}

// valuesOf gives a figure of all runs, sorted.
func valuesOf(results []Result, figure string) (values []float64) {
	for _, r := range results {
		if v, ok := r.Figures[figure]; ok {
			values = append(values, v)
		}
	}
	slices.Sort(values)
	return values
}

// bound shows a goal; 0 is none.
func bound(v float64, g goal) string {
	switch {
	case v == 0:
		return ""
	case g.less:
		return "≤ " + plain(v)
	}
	return "≥ " + plain(v)
}

// plain shows a goal as people write it: without digits that say nothing.
func plain(v float64) string {
	text := short(v)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

func spread(sorted []float64, unit string) string {
	median := sorted[len(sorted)/2]
	if len(sorted)%2 == 0 {
		median = (median + sorted[len(sorted)/2-1]) / 2
	}
	text := "**" + short(median) + "**"
	if len(sorted) > 1 {
		text += " (" + short(sorted[0]) + " … " + short(sorted[len(sorted)-1]) + ")"
	}
	return strings.TrimSpace(text + " " + unit)
}
