package server

import (
	"math"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// reader reads fields off an encoded message. Once something is wrong it is at its end.
type reader struct {
	rest string
	bad  bool
}

// next reads a tag; false at the end.
func (w *reader) next() (tag uint64, more bool) {
	if w.rest == "" || w.bad {
		return 0, false
	}
	return w.varint(), true
}

func (w *reader) fail() { w.rest, w.bad = "", true }

func (w *reader) varint() uint64 {
	var v uint64
	for i := range len(w.rest) {
		c := w.rest[i]
		if i == 9 && c > 1 { // more than 64 bits
			break
		}
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			w.rest = w.rest[i+1:]
			return v
		}
	}
	w.fail()
	return 0
}

func (w *reader) bytes() string {
	n := w.varint()
	if n > uint64(len(w.rest)) {
		w.fail()
		return ""
	}
	b := w.rest[:n]
	w.rest = w.rest[n:]
	return b
}

func (w *reader) text() string {
	s := w.bytes()
	if !utf8.ValidString(s) {
		w.fail()
	}
	return s
}

func (w *reader) double() float64 {
	if len(w.rest) < 8 {
		w.fail()
		return 0
	}
	var v uint64
	for i := range 8 {
		v |= uint64(w.rest[i]) << (8 * i)
	}
	w.rest = w.rest[8:]
	return math.Float64frombits(v)
}

// The tags of the fields that are read by hand.
const (
	tagVarint = uint64(protowire.VarintType)
	tagDouble = uint64(protowire.Fixed64Type)
	tagBytes  = uint64(protowire.BytesType)

	tagTaskID                  = uint64(taskID)<<3 | tagBytes
	tagTaskQueue               = uint64(taskQueue)<<3 | tagBytes
	tagTaskInstruction         = uint64(taskInstruction)<<3 | tagBytes
	tagTaskDependsOn           = uint64(taskDependsOn)<<3 | tagBytes
	tagTaskOnDependencyFailure = uint64(taskOnDependencyFailure)<<3 | tagVarint
	tagTaskIntensity           = uint64(taskIntensity)<<3 | tagVarint
	tagTaskPriority            = uint64(taskPriority)<<3 | tagVarint

	tagResultText       = uint64(resultText)<<3 | tagBytes
	tagResultModel      = uint64(resultModel)<<3 | tagBytes
	tagResultBudgetUsed = uint64(resultBudgetUsed)<<3 | tagDouble

	tagTasks = uint64(submitTasks)<<3 | tagBytes // SubmitTaskRequest.task has the same

	tagHello     = uint64(requestHello)<<3 | tagBytes
	tagCredit    = uint64(requestCredit)<<3 | tagVarint
	tagHeartbeat = uint64(requestHeartbeat)<<3 | tagBytes
	tagReports   = uint64(requestReports)<<3 | tagBytes
	tagDraining  = uint64(requestDraining)<<3 | tagVarint

	tagHeartbeatNumber    = uint64(heartbeatNumber)<<3 | tagVarint
	tagHeartbeatRoundTrip = uint64(heartbeatRoundTrip)<<3 | tagBytes
	tagDurationSeconds    = uint64(durationSeconds)<<3 | tagVarint
	tagDurationNanos      = uint64(durationNanos)<<3 | tagVarint

	tagReportLease  = uint64(reportLease)<<3 | tagBytes
	tagReportResult = uint64(reportResult)<<3 | tagBytes
)

// skip goes past the value of a field. The ends of a group are taken as fields without one.
func (w *reader) skip(tag uint64) {
	switch tag & 7 {
	case tagVarint:
		w.varint()
	case tagDouble:
		w.over(8)
	case tagBytes:
		w.bytes()
	case uint64(protowire.StartGroupType), uint64(protowire.EndGroupType):
	case uint64(protowire.Fixed32Type):
		w.over(4)
	default:
		w.fail()
	}
}

func (w *reader) over(n int) {
	if len(w.rest) < n {
		w.fail()
		return
	}
	w.rest = w.rest[n:]
}

// count gives the number of fields of one tag; the message has been seen to be well formed when
// they are read.
func (w reader) count(of uint64) int {
	n := 0
	for tag, more := w.next(); more; tag, more = w.next() {
		if w.skip(tag); tag == of {
			n++
		}
	}
	return n
}

// byLibrary decodes a message that stands in another, and takes the place of what was read of it.
func byLibrary(text string, m proto.Message, bounds ...bound) bool {
	message := []byte(text)
	if len(bounds) > 0 && len(message) > smallItem {
		message = upTo(message, bounds...)
	}
	return proto.UnmarshalOptions{RecursionLimit: protowire.DefaultRecursionLimit - 1}.Unmarshal(message, m) == nil
}

// readTasks reads a submit of at most so many tasks. They share an array, as they share the text.
func readTasks(text string, most int) ([]*stintv1.Task, bool) {
	w := reader{rest: text}
	n := w.count(tagTasks)
	if n > most {
		return nil, false
	}
	array, tasks := make([]stintv1.Task, n), make([]*stintv1.Task, n)
	for i := 0; ; i++ {
		tag, more := w.next()
		if !more {
			return tasks, !w.bad && i == n
		}
		if i == n || tag != tagTasks {
			return nil, false
		}
		tasks[i] = &array[i]
		if text := w.bytes(); !readTask(text, tasks[i]) && !byLibrary(text, tasks[i], taskBounds...) {
			return nil, false
		}
	}
}

func readTask(text string, t *stintv1.Task) bool {
	w := reader{rest: text}
	for tag, more := w.next(); more; tag, more = w.next() {
		switch tag {
		case tagTaskID:
			t.Id = strings.Clone(w.text()) // indexes and events keep it, and must not keep the message
		case tagTaskQueue:
			t.Queue = strings.Clone(w.text()) // a queue outlives the message that made it
		case tagTaskInstruction:
			t.Instruction = w.text()
		case tagTaskDependsOn:
			if len(t.DependsOn) > maxParents {
				return false
			}
			t.DependsOn = append(t.DependsOn, strings.Clone(w.text())) // kept until the first grant
		case tagTaskOnDependencyFailure:
			t.OnDependencyFailure = stintv1.OnDependencyFailure(w.varint())
		case tagTaskIntensity:
			t.Intensity = stintv1.Intensity(w.varint())
		case tagTaskPriority:
			t.Priority = int32(w.varint())
		default:
			return false
		}
	}
	return !w.bad
}

// readSession reads a message of an agent that has nothing but credit, successes and a heartbeat.
func readSession(text string, m *stintv1.SessionRequest) bool {
	w := reader{rest: text}
	n := w.count(tagReports)
	if n > maxReportsRead {
		return false
	}
	array := make([]struct {
		report stintv1.Report
		result stintv1.Result
	}, n)
	var reports []*stintv1.Report
	var ids strings.Builder
	if n > 0 {
		reports = make([]*stintv1.Report, 0, n)
		ids.Grow(n * usualLeaseID)
	}
	var credit int64
	var draining bool
	var heartbeat *stintv1.Heartbeat
	for tag, more := w.next(); more; tag, more = w.next() {
		switch tag {
		case tagCredit:
			credit = int64(w.varint())
		case tagDraining:
			draining = w.varint() != 0
		case tagHeartbeat:
			if heartbeat != nil {
				return false // they are to be merged
			}
			heartbeat = new(stintv1.Heartbeat)
			if text := w.bytes(); !readHeartbeat(text, heartbeat) && !byLibrary(text, heartbeat) {
				return false
			}
		case tagReports:
			x := &array[len(reports)]
			if text := w.bytes(); !readReport(text, &x.report, &x.result) && !byLibrary(text, &x.report) {
				return false
			}
			x.report.LeaseId = beside(&ids, x.report.LeaseId)
			reports = append(reports, &x.report)
		default:
			return false
		}
	}
	if w.bad {
		return false
	}
	m.CreditTotal, m.Draining, m.Reports, m.Heartbeat = credit, draining, reports, heartbeat
	return true
}

// beside copies a lease id next to others of its message: the answer keeps it, and must not keep the
// message. One that will be cut is copied then.
func beside(ids *strings.Builder, id string) string {
	if len(id) > maxEcho {
		return id
	}
	from := ids.Len()
	ids.WriteString(id)
	return ids.String()[from:]
}

// readHeartbeat reads that of an idle agent.
func readHeartbeat(text string, h *stintv1.Heartbeat) bool {
	w := reader{rest: text}
	for tag, more := w.next(); more; tag, more = w.next() {
		switch {
		case tag == tagHeartbeatNumber:
			h.Number = int64(w.varint())
		case tag == tagHeartbeatRoundTrip && h.RoundTrip == nil:
			h.RoundTrip = new(durationpb.Duration)
			if !readDuration(w.bytes(), h.RoundTrip) {
				return false
			}
		default:
			return false
		}
	}
	return !w.bad
}

func readDuration(text string, d *durationpb.Duration) bool {
	w := reader{rest: text}
	for tag, more := w.next(); more; tag, more = w.next() {
		switch tag {
		case tagDurationSeconds:
			d.Seconds = int64(w.varint())
		case tagDurationNanos:
			d.Nanos = int32(w.varint())
		default:
			return false
		}
	}
	return !w.bad
}

func readReport(text string, r *stintv1.Report, result *stintv1.Result) bool {
	w := reader{rest: text}
	for tag, more := w.next(); more; tag, more = w.next() {
		switch {
		case tag == tagReportLease:
			r.LeaseId = w.text()
		case tag == tagReportResult && r.Result == nil:
			r.Result = result
			if !readResult(w.bytes(), result) {
				return false
			}
		default:
			return false
		}
	}
	return !w.bad
}

func readResult(text string, r *stintv1.Result) bool {
	w := reader{rest: text}
	for tag, more := w.next(); more; tag, more = w.next() {
		switch tag {
		case tagResultText:
			r.Text = w.text()
		case tagResultModel:
			r.Model = w.text()
		case tagResultBudgetUsed:
			r.BudgetUsedUsd = new(w.double())
		default:
			return false
		}
	}
	return !w.bad
}
