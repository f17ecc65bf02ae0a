package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// reading gathers what all files say, before any of it is put together.
type reading struct {
	faults, warnings notes
	broken           bool // a file could not be read to its end: that tasks are missing is no fault

	definitions []*definition
	named       map[string]bool        // every task found, and whether definitions has it
	logs        map[string]*record     // by task, the last
	lists       map[string]*record     // of completed[] and failed[]
	spare       map[string]*definition // of completed[] and failed[], used where tasks[] has none
	faulty      map[string]bool        // tasks whose definition has faults
	unknown     tally                  // keys that became parameters
	unused      tally                  // keys that nothing became of
	endpoints   []string               // api_endpoint of each queue
	alone       int                    // tasks with parallel_safe false
	ended       func() error           // why nobody waits for this any more, or nil
	files       []Read
	content     int // bytes of JSON that definitions and records were made of
}

// Read says what was found in a file.
type Read struct {
	File        string
	Definitions int // tasks
	Records     int // of where tasks stand
}

func newReading() *reading {
	return &reading{
		ended: func() error { return nil },
		named: map[string]bool{}, logs: map[string]*record{}, lists: map[string]*record{},
		spare: map[string]*definition{}, faulty: map[string]bool{},
	}
}

// serial counts the tasks that the worker would not run beside others.
func (r *reading) serial(safe bool) {
	if !safe {
		r.alone++
	}
}

// tally counts keys.
type tally map[string]int

func (t *tally) add(key string) {
	if *t == nil {
		*t = tally{}
	}
	if _, ok := (*t)[key]; !ok && len(*t) >= maxKeys {
		key = "(further keys)"
	}
	(*t)[key]++
}

// file reads one file; what is wrong with it is a fault.
func (r *reading) file(path string) {
	in, err := os.Open(path)
	if err != nil {
		r.lost(Place{File: path}, "%v; give a file that can be read", errors.Unwrap(err))
		return
	}
	defer func() { _ = in.Close() }() // it was only read
	if s, err := in.Stat(); err == nil && s.IsDir() {
		r.lost(Place{File: path}, "is a folder; give the files in it")
		return
	}
	r.source(path, in)
}

// source reads a file by the form that its name tells.
func (r *reading) source(path string, in io.Reader) {
	r.files = append(r.files, Read{File: path})
	switch strings.ToLower(filepath.Ext(path)) {
	case ".json":
		r.document(path, in)
	case ".jsonl", ".ndjson":
		r.lines(path, in)
	default:
		r.lost(Place{File: path}, "has a name that does not tell its form; name it .json for a queue or a log, or .jsonl for a log of lines")
	}
}

func (r *reading) found() *Read { return &r.files[len(r.files)-1] }

// lost notes a fault that leaves the rest of a file unread.
func (r *reading) lost(at Place, format string, args ...any) {
	r.broken = true
	r.faults.add(at, format, args...)
}

// stop ends the reading of a document whose fault has been noted.
var stop = &badJSON{}

func (r *reading) wrong(t *text, bad *badJSON) {
	if bad != stop {
		r.lost(t.place(bad.at), "%s", bad.text)
	}
}

// inParts is what to do with more than one import takes. An export has its newest tasks first, so
// that its last lines are the parents.
const inParts = "import them in several parts, parents first: of an export, its last lines before those above them"

// full tells that reading must end: more was found than one import takes, or nobody waits for it.
func (r *reading) full(at Place) bool {
	switch {
	case r.ended() != nil:
		r.lost(at, "reading ended here: %v", r.ended())
	case max(len(r.definitions), len(r.named)) >= maxTasks: // many definitions may be of one task
		r.lost(at, "more than %d tasks; %s", maxTasks, inParts)
	case r.content > maxContent:
		r.lost(at, "more than %d bytes of tasks and results; %s", maxContent, inParts)
	default:
		return false
	}
	return true
}

var byteOrderMark = []byte("\xef\xbb\xbf")

// lines reads a .jsonl file: an object a line.
func (r *reading) lines(path string, in io.Reader) {
	b := bufio.NewReaderSize(in, 64<<10)
	for number := 1; ; number++ {
		line, err := readLine(b)
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.Is(err, errLongLine):
			r.lost(Place{path, number, 1}, "line of more than %d bytes; shorten it", maxLine)
			return
		case err != nil:
			r.lost(Place{path, number, 1}, "%v", err)
			return
		}
		if number == 1 {
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		t := &text{file: path, data: line, first: number}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if r.full(t.place(0)) {
			return
		}
		r.line(t)
	}
}

var errLongLine = errors.New("transfer: line too long")

// readLine gives the next line without its end. It is valid until the next call or kept by
// nobody: what is read of it is copied.
func readLine(b *bufio.Reader) ([]byte, error) {
	var long []byte
	for {
		part, err := b.ReadSlice('\n')
		if len(long)+len(part) > maxLine {
			return nil, errLongLine
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, part...)
			continue
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(long)+len(part) == 0) {
			return nil, err
		}
		if long != nil {
			part = append(long, part...)
		}
		return bytes.TrimRight(part, "\r\n"), nil
	}
}

// line reads one line: a definition if it has an id, else a record.
func (r *reading) line(t *text) {
	w, bad := walk(t)
	var n node
	if bad == nil {
		n, bad = w.value()
	}
	if bad != nil {
		r.wrong(t, bad)
		return
	}
	f := &fields{r: r, t: t}
	switch {
	case n.kind != isObject:
		r.faults.add(t.place(n.at), "line is %s: give one object a line", n.kind)
	case slices.ContainsFunc(n.members, func(m member) bool { return m.key == "id" }):
		r.define(f.definition(&n))
	default:
		r.log(f.logged(&n, ""))
	}
}

func (r *reading) define(d *definition) {
	if d != nil {
		r.content += d.size
		r.definitions = append(r.definitions, d)
		r.named[d.task.Id] = true
	}
	r.found().Definitions++
}

func (r *reading) log(rec *record) {
	if rec != nil {
		before := r.logs[rec.id]
		if before != nil {
			r.content -= before.size
			rec.after(before)
		}
		r.content += rec.size
		r.logs[rec.id] = rec
		r.stands(rec)
	}
	r.found().Records++
}

// stands notes the task of a record.
func (r *reading) stands(rec *record) {
	if !r.named[rec.id] {
		r.named[rec.id] = false
	}
}

// whole reads a .json file into memory, up to its bound.
func whole(in io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("more than %d bytes; split it, or give it as .jsonl with a task a line", maxDocument)
	}
	return bytes.TrimPrefix(data, byteOrderMark), nil
}
