package transfer

import (
	"slices"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// listed reads an item of completed[] or failed[], an id or an object: the list says the state.
func (f *fields) listed(n *node, state queue.State) *record {
	switch n.kind {
	case isString:
		if !queue.IsID(n.text) {
			f.r.faults.add(f.place(n.at), "%s is %s, which is no id: %s", f.path, quoted(n.text), idRemedy)
			return nil
		}
		rec := &record{at: f.place(n.at), path: f.path, id: n.text, state: state}
		rec.end("", "", 0)
		return rec
	case isObject:
		return f.listedObject(judged(n, state))
	}
	f.r.faults.add(f.place(n.at), "%s is %s: give a task id, or an object with id", f.path, shown(n))
	return nil
}

// judged gives the object with the status of the list that it stands in, and its id under id.
func judged(n *node, state queue.State) *node {
	word := "completed"
	if state != queue.Completed {
		word = "failed"
	}
	named := slices.ContainsFunc(n.members, func(m member) bool { return m.key == "id" })
	out := &node{kind: isObject, at: n.at, end: n.end}
	for _, m := range n.members {
		switch {
		case m.key == "status":
			continue
		case m.key == "task_id" && !named:
			m.key = "id"
		}
		out.members = append(out.members, m)
	}
	status := member{"status", n.at, node{kind: isString, text: word, at: n.at}}
	out.members = append(out.members, status)
	return out
}

// listedObject reads an object of such a list. One with a text says what its task is, too; that
// is used unless tasks[] does.
func (f *fields) listedObject(n *node) *record {
	if slices.ContainsFunc(n.members, isText) {
		d := f.definition(n)
		if d == nil {
			return nil
		}
		f.r.content += d.size
		f.r.spare[d.task.Id] = d
		d.own.id = d.task.Id
		return d.own
	}
	rec := f.record(n)
	for i := range n.members {
		switch m := &n.members[i]; {
		case m.key == "id":
			rec.id = f.id(m.key, &m.value)
		case m.key != "task_id" && !recordKeys[m.key]:
			f.r.unused.add(m.key)
		}
	}
	if rec.id == "" && !f.bad {
		f.fault(n.at, "id", "is missing: give the task's id")
	}
	if f.bad {
		return nil
	}
	f.r.content += rec.size
	return rec
}

// isText tells whether a member is a task's text.
func isText(m member) bool {
	return slices.Contains(textKeys, m.key) && m.value.kind == isString && m.value.text != ""
}
