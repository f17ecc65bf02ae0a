package transfer

import (
	"bytes"
	"io"
	"strconv"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// document reads a .json file: a queue, or a log by task id.
func (r *reading) document(path string, in io.Reader) {
	data, err := whole(in)
	if err != nil {
		r.lost(Place{File: path}, "%v", err)
		return
	}
	if len(bytes.TrimSpace(data)) == 0 {
		r.lost(Place{File: path}, "is empty; a queue without tasks is {\"tasks\": []}")
		return
	}
	t := &text{file: path, data: data, first: 1}
	w, bad := walk(t)
	if bad != nil {
		r.wrong(t, bad)
		return
	}
	if w.peek() != '{' {
		r.lost(t.place(w.start()), "is no object: a queue or log begins with {\"tasks\": …")
		return
	}
	p := &part{r: r, t: t, w: w, seen: map[string]bool{}}
	if bad := w.each(p.top); bad != nil {
		r.wrong(t, bad)
		return
	}
	if !p.seen["tasks"] && !p.seen["completed"] && !p.seen["failed"] {
		r.faults.add(t.place(0), "has no tasks: a queue has a list and a log an object of this name")
	}
}

// part goes through one document.
type part struct {
	r    *reading
	t    *text
	w    *walker
	seen map[string]bool
}

// top reads one member of the outermost object.
func (p *part) top(_ int, key string, at int) *badJSON {
	if p.seen[key] {
		return &badJSON{at, "key " + quoted(key) + " stands twice; drop one"}
	}
	p.seen[key] = true
	switch key {
	case "tasks":
		return p.tasks()
	case "completed":
		return p.list(key, queue.Completed)
	case "failed":
		return p.list(key, queue.Failed)
	}
	n, bad := p.w.value()
	if bad != nil {
		return bad
	}
	f := &fields{r: p.r, t: p.t}
	switch key {
	case "version":
		if n.kind == isList || n.kind == isObject {
			f.fault(n.at, key, "is %s: give a number or a string", n.kind)
		}
	case "api_endpoint":
		if s := f.str(key, &n); s != "" {
			p.r.endpoints = append(p.r.endpoints, s)
		}
	default:
		p.r.unused.add(key)
	}
	return nil
}

// tasks reads the tasks of a queue, or the entries of a log.
func (p *part) tasks() *badJSON {
	switch p.w.peek() {
	case '[':
		return p.items("tasks", func(f *fields, n *node) {
			if n.kind != isObject {
				p.r.faults.add(f.place(n.at), "%s is %s: give an object with id and prompt", f.path, shown(n))
				return
			}
			p.r.define(f.definition(n))
		})
	case '{':
		return p.w.each(p.entry)
	}
	return p.no("tasks", "a list of tasks, or an object by task id")
}

// no notes that a member is neither list nor object, and passes over it.
func (p *part) no(key, want string) *badJSON {
	n, bad := p.w.value()
	if bad == nil && n.kind != isNull {
		p.r.faults.add(p.t.place(n.at), "%s is %s: give %s", key, shown(&n), want)
	}
	return bad
}

// items reads a list one item at a time.
func (p *part) items(key string, take func(f *fields, n *node)) *badJSON {
	return p.w.each(func(i int, _ string, at int) *badJSON {
		if p.r.full(p.t.place(at)) {
			return stop
		}
		n, bad := p.w.value()
		if bad == nil {
			take(&fields{r: p.r, t: p.t, path: key + "[" + strconv.Itoa(i) + "]"}, &n)
		}
		return bad
	})
}

// entry reads one entry of a log; the key is the task's id.
func (p *part) entry(_ int, id string, at int) *badJSON {
	if p.r.full(p.t.place(at)) {
		return stop
	}
	n, bad := p.w.value()
	if bad != nil {
		return bad
	}
	f := &fields{r: p.r, t: p.t, path: "tasks[" + quoted(id) + "]"}
	switch {
	case !queue.IsID(id):
		p.r.faults.add(p.t.place(at), "tasks has the key %s, which is no id: %s", quoted(id), idRemedy)
	case n.kind != isObject:
		p.r.faults.add(p.t.place(n.at), "%s is %s: give an object with status", f.path, shown(&n))
	default:
		p.r.log(f.logged(&n, id))
	}
	return nil
}

// list reads completed[] or failed[]: ids, or objects.
func (p *part) list(key string, state queue.State) *badJSON {
	if p.w.peek() != '[' {
		return p.no(key, "a list of task ids")
	}
	return p.items(key, func(f *fields, n *node) {
		rec := f.listed(n, state)
		p.r.found().Records++
		if rec == nil {
			return
		}
		if old := p.r.lists[rec.id]; old != nil && old.state != state {
			p.r.faults.add(rec.at, "%s is %s, which also stands in %s: drop one", f.path, quoted(rec.id), old.path)
			return
		}
		p.r.lists[rec.id] = rec
		p.r.stands(rec)
	})
}
