package transfer

import (
	"fmt"
	"math"
	"strconv"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// statuses gives the state of each status word; what is not terminal is READY here, and the
// machine makes it BLOCKED or SCHEDULED where it must wait.
var statuses = map[string]queue.State{
	"pending": queue.Ready, "queued": queue.Ready, "ready": queue.Ready, "blocked": queue.Ready, "waiting": queue.Ready,
	"in_progress": queue.Ready, "running": queue.Ready,
	"completed": queue.Completed, "failed": queue.Failed,
}

const statusWords = "pending, in_progress, completed or failed"

// inProgress tells whether a status word says that somebody was at it.
func inProgress(word string) bool { return word == "in_progress" || word == "running" }

// statusOf gives the status word of a state, for export.
func statusOf(s stintv1.TaskState) string {
	switch s {
	case stintv1.TaskState_TASK_STATE_RUNNING:
		return "in_progress"
	case stintv1.TaskState_TASK_STATE_COMPLETED:
		return "completed"
	case stintv1.TaskState_TASK_STATE_FAILED, stintv1.TaskState_TASK_STATE_CANCELLED,
		stintv1.TaskState_TASK_STATE_EXPIRED, stintv1.TaskState_TASK_STATE_QUARANTINED:
		return "failed"
	}
	return "pending"
}

// statePrefix begins the names of states in the contract; export leaves it out.
const statePrefix = "TASK_STATE_"

// stateNamed gives the state of a name as export writes it; what is not terminal is READY.
func stateNamed(name string) (queue.State, bool) {
	s := queue.State(stintv1.TaskState_value[statePrefix+name])
	if s == 0 {
		return 0, false
	}
	if !s.Terminal() {
		s = queue.Ready
	}
	return s, true
}

var priorities = map[string]float64{"high": 10, "medium": 0, "normal": 0, "low": -10}

var intensities = map[string]stintv1.Intensity{
	"low":    stintv1.Intensity_INTENSITY_LOW,
	"medium": stintv1.Intensity_INTENSITY_MEDIUM,
	"high":   stintv1.Intensity_INTENSITY_HIGH,
}

// intensityWord is the inverse of intensities.
func intensityWord(i stintv1.Intensity) string {
	for w, x := range intensities {
		if x == i {
			return w
		}
	}
	return ""
}

// timeForms are the ISO 8601 forms that are read; without a zone it is UTC, as the worker wrote.
var timeForms = []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999-0700"}

// Times before 1970-01-01 and after 9999 are none that a worker has seen.
var lastTime = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)

const timeRemedy = `give a time like "2026-01-02T15:04:05Z", or seconds since 1970`

// instantOf reads a time: ISO text, or a number of seconds since 1970.
func instantOf(n *node) (queue.Instant, error) {
	at, ok := time.Time{}, false
	switch n.kind {
	case isString:
		at, ok = parseTime(n.text)
	case isNumber:
		if s, err := strconv.ParseFloat(n.text, 64); err == nil && s > 0 && s < float64(lastTime.Unix()) {
			at, ok = time.UnixMicro(int64(math.Round(s*1e6))), true
		}
	}
	if !ok {
		return 0, fmt.Errorf("is %s: %s", shown(n), timeRemedy)
	}
	return queue.Instant(at.UnixMicro()), nil
}

func parseTime(s string) (time.Time, bool) {
	for _, form := range timeForms {
		if t, err := time.Parse(form, s); err == nil {
			return t, t.UnixMicro() > 0 && t.Before(lastTime)
		}
	}
	return time.Time{}, false
}

// shown puts a value in words for a message.
func shown(n *node) string {
	switch n.kind {
	case isString:
		return quoted(n.text)
	case isNumber:
		return n.text[:min(len(n.text), maxShown)]
	case isBool:
		return strconv.FormatBool(n.truth)
	}
	return n.kind.String()
}

const idRemedy = "give letters, digits and . _ : - beginning with a letter or digit, at most 128"
