package transfer

import (
	"bytes"
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// record is where a task stands.
type record struct {
	at            Place
	path          string
	size          int // bytes of JSON
	id            string
	state         queue.State // READY for what is not terminal
	began         bool        // somebody was at it
	agent         string
	start, finish queue.Instant
	result        *stintv1.Result  // COMPLETED
	failure       *stintv1.Failure // other terminal states
	unsaid        bool             // the failure's text is noError for want of one
}

// recordKeys are what an execution log says of a task, besides task_id and model.
var recordKeys = map[string]bool{
	"worker_id": true, "status": true, "timestamp": true, "started_at": true, "completed_at": true,
	"result_summary": true, "errors": true,
}

// record reads what an object says of where a task stands. State 0: it does not say.
func (f *fields) record(n *node) *record {
	rec := &record{at: f.place(n.at), path: f.path, size: n.end - n.at}
	summary, errs := "", ""
	var written queue.Instant
	for i := range n.members {
		m := &n.members[i]
		v := &m.value
		switch m.key {
		case "task_id":
			rec.id = f.id(m.key, v)
		case "status":
			f.status(rec, v)
		case "worker_id":
			rec.agent = f.agent(v)
		case "timestamp":
			written = f.instant(m.key, v)
		case "started_at":
			rec.start = f.instant(m.key, v)
		case "completed_at":
			rec.finish = f.instant(m.key, v)
		case "result_summary":
			summary = f.str(m.key, v)
		case "errors":
			errs = f.errors(v)
		}
	}
	rec.end(summary, errs, written)
	return rec
}

// end puts together what a terminal record says.
func (rec *record) end(summary, errs string, written queue.Instant) {
	if !rec.state.Terminal() {
		rec.finish = 0
		return
	}
	if rec.finish == 0 {
		rec.finish = written
	}
	if rec.state == queue.Completed {
		rec.result = &stintv1.Result{Text: summary}
		return
	}
	if rec.unsaid = errs == ""; rec.unsaid {
		errs = noError
	}
	rec.failure = &stintv1.Failure{FailureClass: stintv1.FailureClass_FAILURE_CLASS_TASK_FAILED, Message: errs}
}

// noError stands for the text of a failure of which none was written down.
const noError = "failed before it was imported; no error was recorded"

func (f *fields) status(rec *record, n *node) {
	if !f.is("status", n, isString) {
		return
	}
	state, known := statuses[lower(n.text)]
	if !known {
		f.fault(n.at, "status", "is %s: give %s", quoted(n.text), statusWords)
	}
	rec.state, rec.began = state, inProgress(lower(n.text))
}

func (f *fields) agent(n *node) string {
	s := f.str("worker_id", n)
	if s != "" && !queue.IsID(s) {
		f.warn(n.at, "worker_id", "is %s, which is no id: left out", quoted(s))
		return ""
	}
	return s
}

// errors reads one text or a list of them; what is no text in the list is kept as JSON.
func (f *fields) errors(n *node) string {
	if n.kind == isString || n.kind == isNull {
		return n.text
	}
	if !f.is("errors", n, isList) {
		return ""
	}
	var all []string
	for i := range n.items {
		if e := &n.items[i]; e.kind == isString {
			all = append(all, e.text)
		} else {
			var b bytes.Buffer
			_ = json.Compact(&b, f.t.data[e.at:e.end]) // its syntax has been checked
			all = append(all, b.String())
		}
	}
	return strings.Join(all, "; ")
}

// exportedState takes over what Export knew better than a status word.
func (f *fields) exportedState(n *node, rec *record, status *stintv1.TaskStatus) {
	summary, message := rec.result.GetText(), rec.failure.GetMessage()
	if rec.unsaid {
		message = ""
	}
	for i := range n.members {
		m := &n.members[i]
		if m.key != "state" || !f.is(m.key, &m.value, isString) {
			continue
		}
		state, ok := stateNamed(m.value.text)
		if !ok || state == queue.Completed != (rec.state == queue.Completed) || state.Terminal() != rec.state.Terminal() {
			f.fault(m.value.at, m.key, "is %s, which does not go with the status: drop one", shown(&m.value))
			return
		}
		rec.state = state
	}
	if r := status.GetResult(); r != nil && rec.result != nil {
		rec.result = proto.CloneOf(r)
		rec.result.Text = summary
	}
	if x := status.GetFailure(); x != nil && rec.failure != nil {
		rec.failure = proto.CloneOf(x)
		rec.failure.Message = message
	}
}

// logged reads a record of an execution log, in which model is the one that answered. id is the
// task where the key of the object names it; nil: the record is faulty.
func (f *fields) logged(n *node, id string) *record {
	rec := f.record(n)
	for i := range n.members {
		m := &n.members[i]
		switch {
		case m.key == "model":
			if model := f.str(m.key, &m.value); rec.result != nil {
				rec.result.Model = model
			}
		case m.key != "task_id" && !recordKeys[m.key]:
			f.r.unused.add(m.key)
		}
	}
	switch {
	case f.bad:
		return nil
	case rec.id == "" && id == "":
		f.fault(n.at, "task_id", "is missing: a line names its task by task_id, or is a task with id")
	case rec.id != "" && id != "" && rec.id != id:
		f.fault(n.at, "task_id", "is %s under the key %s: make them the same", quoted(rec.id), quoted(id))
	case rec.state == 0:
		f.fault(n.at, "status", "is missing: give %s", statusWords)
	}
	if rec.id == "" {
		rec.id = id
	}
	if f.bad {
		return nil
	}
	return rec
}

// after carries over what a log said of the same attempt when it began.
func (rec *record) after(before *record) {
	if !before.began {
		return
	}
	if rec.start == 0 {
		rec.start = before.start
	}
	if rec.agent == "" {
		rec.agent = before.agent
	}
}
