package transfer

import (
	"encoding/hex"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// definition is what a task is.
type definition struct {
	at       Place
	path     string // of its object; empty for a line
	size     int    // bytes of JSON
	task     *stintv1.Task
	own      *record       // where it says that it stands; nil: nowhere
	exported bool          // written by Export
	order    string        // created_at of an export, to restore the order of submits
	digest   *queue.Digest // of an export, where it is not that of the content; nil: it is
}

// textKeys may hold a task's text; the first that does is taken.
var textKeys = []string{"prompt", "instruction", "description", "atomic_instruction", "task"}

// definition reads an object that says what a task is; nil if it is faulty. Keys without a
// meaning become parameters.
func (f *fields) definition(n *node) *definition {
	d := &definition{at: f.place(n.at), path: f.path, size: n.end - n.at, task: &stintv1.Task{}}
	var unknown []*member
	var stint *node
	known := f.export(n, &stint)
	if d.exported = stint != nil; d.exported {
		f.contract(stint, d.task)
	} else {
		d.task.OnDependencyFailure = stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_WAIT
	}
	chosen := f.instruction(n, d)
	for i := range n.members {
		m := &n.members[i]
		switch {
		case m.key == chosen || known[m.key] || recordKeys[m.key] || m.key == "task_id":
		case slices.Contains(textKeys, m.key) && m.value.blank():
		case !f.known(d.task, m):
			unknown = append(unknown, m)
		}
	}
	f.unknown(d.task, unknown)
	if d.task.Id == "" && !f.bad {
		f.fault(n.at, "id", "is missing: give each task an id")
	}
	f.own(n, d)
	if f.bad {
		f.r.faulty[d.task.Id] = true
		return nil
	}
	return d
}

// exportKeys have a meaning only in a line that Export wrote.
var exportKeys = map[string]bool{"stint": true, "state": true, "run": true, "attempts": true, "created_at": true, "digest": true}

// export finds the key that Export alone writes, and gives the keys that mean something then.
func (f *fields) export(n *node, stint **node) map[string]bool {
	for i := range n.members {
		if m := &n.members[i]; m.key == "stint" && m.value.kind == isObject {
			*stint = &m.value
			return exportKeys
		}
	}
	return nil
}

// contract reads what Export spelled like the contract.
func (f *fields) contract(stint *node, t *stintv1.Task) {
	if err := protojson.Unmarshal(f.t.data[stint.at:stint.end], t); err != nil {
		f.fault(stint.at, "stint", "is not what export writes: %s", strings.ReplaceAll(err.Error(), "\u00a0", " "))
	}
	t.DependsOn, t.Parameters = nil, nil
}

// instruction finds the text of a task and gives its key. Without one the task is faulty.
func (f *fields) instruction(n *node, d *definition) (chosen string) {
	for _, key := range textKeys {
		for i := range n.members {
			m := &n.members[i]
			if m.key != key || m.value.blank() {
				continue
			}
			d.task.Instruction = f.str(key, &m.value)
			return key
		}
	}
	if !d.exported {
		f.fault(n.at, textKeys[0], "is missing: give the task's text as one of %s", strings.Join(textKeys, ", "))
	}
	return ""
}

// known reads a key of queue.json; false: it is none.
func (f *fields) known(t *stintv1.Task, m *member) bool {
	n := &m.value
	switch m.key {
	case "id":
		t.Id = f.id(m.key, n)
	case "depends_on":
		t.DependsOn = f.ids(m.key, n)
	case "min_budget":
		budget(t).MinUsd = f.usd(m.key, n)
	case "max_budget":
		budget(t).MaxUsd = f.usd(m.key, n)
	case "intensity":
		f.intensity(t, n)
	case "priority":
		t.Priority = f.priority(m.key, n)
	case "type", "model", "model_tier":
		if s := f.str(m.key, n); s != "" {
			f.set(t, m.key, n, structpb.NewStringValue(s))
		}
	case "parallel_safe":
		if f.is(m.key, n, isBool) {
			f.set(t, m.key, n, structpb.NewBoolValue(n.truth))
			f.r.serial(n.truth)
		}
	case "parameters":
		f.parameters(t, n)
	case "status":
	default:
		return false
	}
	return true
}

func budget(t *stintv1.Task) *stintv1.Budget {
	if t.Budget == nil {
		t.Budget = &stintv1.Budget{}
	}
	return t.Budget
}

func (f *fields) intensity(t *stintv1.Task, n *node) {
	if !f.is("intensity", n, isString) {
		return
	}
	known := false
	if t.Intensity, known = intensities[lower(n.text)]; !known {
		f.fault(n.at, "intensity", "is %s: give low, medium or high", quoted(n.text))
	}
}

func lower(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// parameters reads the parameters that Export put together; in other files it is a key as any.
func (f *fields) parameters(t *stintv1.Task, n *node) {
	if n.kind != isObject {
		if n.kind != isNull {
			f.fault(n.at, "parameters", "is %s: give an object", shown(n))
		}
		return
	}
	if t.Parameters == nil {
		t.Parameters = &structpb.Struct{}
	}
	for i := range n.members {
		m := &n.members[i]
		f.set(t, m.key, &m.value, f.parameter("parameters."+m.key, &m.value))
	}
}

// set gives a task a parameter, once.
func (f *fields) set(t *stintv1.Task, key string, n *node, v *structpb.Value) {
	if t.Parameters == nil {
		t.Parameters = &structpb.Struct{}
	}
	if t.Parameters.Fields == nil {
		t.Parameters.Fields = map[string]*structpb.Value{}
	}
	if old, ok := t.Parameters.Fields[key]; ok && !proto.Equal(old, v) {
		f.fault(n.at, key, "is given twice, also among the parameters, with another value: drop one")
	}
	t.Parameters.Fields[key] = v
}

// unknown makes parameters of the keys without a meaning.
func (f *fields) unknown(t *stintv1.Task, members []*member) {
	for _, m := range members {
		f.set(t, m.key, &m.value, f.parameter(m.key, &m.value))
		f.r.unknown.add(m.key)
	}
}

// own reads where a definition says that it stands.
func (f *fields) own(n *node, d *definition) {
	rec := f.record(n)
	if rec.id != "" && d.task.Id != "" && rec.id != d.task.Id {
		f.fault(n.at, "task_id", "is %s and id is %s: drop one", quoted(rec.id), quoted(d.task.Id))
	}
	if d.exported {
		f.exportedState(n, rec, d.task.GetStatus())
	}
	d.task.Status = nil
	if rec.state != 0 {
		d.own = rec
	}
	for i := range n.members {
		switch m := &n.members[i]; {
		case !d.exported:
		case m.key == "created_at":
			d.order = f.str(m.key, &m.value)
		case m.key == "digest":
			d.digest = f.digest(m.key, &m.value)
		}
	}
}

// digest reads the digest of a content that is not told; nil: none.
func (f *fields) digest(key string, n *node) *queue.Digest {
	if !f.is(key, n, isString) {
		return nil
	}
	var d queue.Digest
	b, err := hex.DecodeString(n.text)
	if err != nil || len(b) != len(d) {
		f.fault(n.at, key, "is %s: give the %d hexadecimal digits that export wrote, or drop it", quoted(n.text), hex.EncodedLen(len(d)))
		return nil
	}
	copy(d[:], b)
	return &d
}
