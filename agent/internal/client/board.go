package client

import (
	"fmt"
	"strings"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	// barWidth is the columns of the bar itself; a narrower terminal gets a shorter one.
	barWidth = 40

	// boardLeases is how many leases stand under the bar: few, so that the board fits a small window.
	boardLeases = 8

	// Terminal control: up goes to the line above, wipe empties the line and all below it.
	up   = "\x1b[%dA"
	wipe = "\r\x1b[J"
)

// lines shows counts where nothing can be redrawn: one line whenever they have changed.
type lines struct {
	out  printer
	now  func() time.Time
	last string
}

func (v *lines) show(s *stintv1.GetStatusResponse, _ []*stintv1.Task) error {
	text := doneText(s.GetCounts()) + countsText(s.GetCounts())
	if text == v.last {
		return nil
	}
	v.last = text
	return v.out.text(v.now().UTC().Format(timeFormat) + " " + text + "\n")
}

func (v *lines) restart() {}

// board redraws a bar, the counts and the live leases in place on a terminal.
type board struct {
	out   printer
	width func() int
	drawn int // lines on the screen that are ours
}

func (v *board) show(s *stintv1.GetStatusResponse, leases []*stintv1.Task) error {
	columns := v.width()
	text := []string{bar(s.GetCounts(), columns) + " " + doneText(s.GetCounts()), countsText(s.GetCounts())}
	for i, t := range leases {
		if i == boardLeases {
			text = append(text, fmt.Sprintf("  and %d more", s.GetCounts().GetRunning()-boardLeases))
			break
		}
		l := t.GetStatus().GetLease()
		text = append(text, oneLine(fmt.Sprintf("%s attempt %d on %s%s", t.GetId(), l.GetAttempt(), l.GetAgentId(), progressText(l))))
	}
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, up, v.drawn)
	}
	b.WriteString(wipe)
	for _, line := range text {
		b.WriteString(cut(strings.TrimSpace(line), columns-1) + "\n") // a full row would wrap, and the count of lines be wrong
	}
	v.drawn = len(text)
	return v.out.text(b.String())
}

// restart leaves what is drawn where it stands; the next goes below.
func (v *board) restart() { v.drawn = 0 }

// done answers how many of how many tasks have ended; those pruned are in neither.
func done(n *stintv1.TaskCounts) (ended, all int64) {
	all = n.GetSubmitted() - n.GetPruned()
	return all - left(n), all
}

func bar(n *stintv1.TaskCounts, columns int) string {
	width := max(min(barWidth, columns/2), 1)
	ended, all := done(n)
	full := width
	if all > 0 {
		full = int(int64(width) * ended / all)
	}
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "]"
}

// doneText is as in "3/12 done (25%)"; 100% only when nothing is left.
func doneText(n *stintv1.TaskCounts) string {
	ended, all := done(n)
	percent := int64(100)
	if all > 0 {
		percent = 100 * ended / all
	}
	return fmt.Sprintf("%d/%d done (%d%%)", ended, all, percent)
}

// countsText is the counts that are not 0, as in " ready 3 running 1".
func countsText(n *stintv1.TaskCounts) string {
	var b strings.Builder
	for _, one := range counted(n) {
		if one.tasks > 0 {
			fmt.Fprintf(&b, " %s %d", one.name, one.tasks)
		}
	}
	return b.String()
}
