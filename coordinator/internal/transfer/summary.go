package transfer

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Notes tells what was read, and what people should know of it, a line each.
func (p *Plan) Notes(to io.Writer) error {
	w := bufio.NewWriter(to)
	r := p.reading
	for _, f := range r.files {
		fmt.Fprintf(w, "read %s: %s, %s of where tasks stand\n", f.File, count(f.Definitions, "task"), count(f.Records, "record"))
	}
	for _, n := range r.warnings.list {
		fmt.Fprintf(w, "warning: %s\n", n)
	}
	if r.warnings.more > 0 {
		fmt.Fprintf(w, "warning: and %d more warnings\n", r.warnings.more)
	}
	for _, k := range slices.Sorted(maps.Keys(r.unknown)) {
		fmt.Fprintf(w, "parameter: %s of %s has no meaning here and is passed on to the API\n", quoted(k), count(r.unknown[k], "task"))
	}
	for _, k := range slices.Sorted(maps.Keys(r.unused)) {
		fmt.Fprintf(w, "unused: key %s, found %s\n", quoted(k), times(r.unused[k]))
	}
	if r.alone > 0 {
		fmt.Fprintf(w, "warning: parallel_safe is false for %s: it is passed on to the API, and such tasks run beside others; chain them by depends_on to keep them apart\n", count(r.alone, "task"))
	}
	slices.Sort(r.endpoints)
	for _, e := range slices.Compact(r.endpoints) {
		fmt.Fprintf(w, "api_endpoint: not imported; agents are told theirs: stint-agent run --api-endpoint %s\n", shellWord(e))
	}
	return w.Flush()
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// shellWord quotes a word for a shell where it needs that.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:@%+=,", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// stateNames are in the order in which they are told.
var stateNames = []struct {
	state queue.State
	name  string
}{
	{queue.Ready, "ready"}, {queue.Blocked, "blocked"}, {queue.Scheduled, "scheduled"}, {queue.Completed, "completed"},
	{queue.Failed, "failed"}, {queue.Cancelled, "cancelled"}, {queue.Expired, "expired"}, {queue.Quarantined, "quarantined"},
}

// Outcome says how many tasks are new, by state, and how many were there before.
func (p *Plan) Outcome() string {
	var by [queue.States]int
	fresh := 0
	for i := range p.tasks {
		t := &p.tasks[i]
		if p.existed[t.Spec.ID] {
			continue
		}
		fresh++
		by[p.entering(t)]++
	}
	var states []string
	for _, s := range stateNames {
		if by[s.state] > 0 {
			states = append(states, fmt.Sprintf("%d %s", by[s.state], s.name))
		}
	}
	text := count(fresh, "task")
	if len(states) > 0 {
		text += " (" + strings.Join(states, ", ") + ")"
	}
	return fmt.Sprintf("%s, %d already there", text, len(p.existed))
}

// entering is the state in which a task begins.
func (p *Plan) entering(t *planned) queue.State {
	switch {
	case p.blocked(t):
		return queue.Blocked
	case t.State == queue.Ready && t.Spec.NotBefore > p.now:
		return queue.Scheduled
	}
	return t.State
}
