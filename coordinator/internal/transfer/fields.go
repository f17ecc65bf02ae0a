package transfer

import (
	"fmt"
	"math"
	"strconv"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// fields reads the members of one object, and notes what is wrong with them. Null is unset.
type fields struct {
	r    *reading
	t    *text
	path string // of the object, like tasks[3]; empty for a line
	bad  bool   // something was wrong
}

func (f *fields) place(at int) Place { return f.t.place(at) }

// name is the path of a key.
func (f *fields) name(key string) string {
	if f.path == "" {
		return key
	}
	return f.path + "." + key
}

// fault notes a fault of a key whose value stands at an offset.
func (f *fields) fault(at int, key, format string, args ...any) {
	f.bad = true
	f.r.faults.add(f.place(at), "%s %s", f.name(key), fmt.Sprintf(format, args...))
}

func (f *fields) warn(at int, key, format string, args ...any) {
	f.r.warnings.add(f.place(at), "%s %s", f.name(key), fmt.Sprintf(format, args...))
}

// is wants a kind, or null; false: there is nothing to read.
func (f *fields) is(key string, n *node, want kind) bool {
	if n.kind == isNull {
		return false
	}
	if n.kind != want {
		f.fault(n.at, key, "is %s: give %s", shown(n), want)
	}
	return n.kind == want
}

func (f *fields) str(key string, n *node) string {
	if !f.is(key, n, isString) {
		return ""
	}
	return n.text
}

// id reads an id; empty: none, or a bad one.
func (f *fields) id(key string, n *node) string {
	if !f.is(key, n, isString) {
		return ""
	}
	if !queue.IsID(n.text) {
		f.fault(n.at, key, "is %s, which is no id: %s", quoted(n.text), idRemedy)
		return ""
	}
	return n.text
}

// ids reads a list of ids, each once.
func (f *fields) ids(key string, n *node) []string {
	if !f.is(key, n, isList) {
		return nil
	}
	var out []string
	seen := map[string]bool{}
	for i := range n.items {
		item := &n.items[i]
		at := key + "[" + strconv.Itoa(i) + "]"
		if item.kind == isNull {
			f.fault(item.at, at, "is null: give an id or drop it")
			continue
		}
		id := f.id(at, item)
		if id != "" && seen[id] {
			f.warn(item.at, at, "is %s once more: taken once", quoted(id))
			continue
		}
		if seen[id] = true; id != "" {
			out = append(out, id)
		}
	}
	return out
}

// usd reads an amount of money; nil: unset.
func (f *fields) usd(key string, n *node) *float64 {
	if !f.is(key, n, isNumber) {
		return nil
	}
	v, err := strconv.ParseFloat(n.text, 64)
	if err != nil || v < 0 || v > 1_000_000 {
		f.fault(n.at, key, "is %s: give US dollars from 0 to 1000000", shown(n))
		return nil
	}
	return &v
}

// priority reads a word, or a number that is brought into bounds.
func (f *fields) priority(key string, n *node) int32 {
	const remedy = "give high, medium, low or a whole number from -100 to 100"
	var v float64
	switch n.kind {
	case isNull:
		return 0
	case isString:
		known := false
		if v, known = priorities[lower(n.text)]; !known {
			f.fault(n.at, key, "is %s: %s", quoted(n.text), remedy)
		}
	case isNumber:
		var err error
		// An overflow gives an infinity, which is brought into bounds like any other.
		if v, err = strconv.ParseFloat(n.text, 64); v != math.Trunc(v) && err == nil {
			f.fault(n.at, key, "is %s: %s", shown(n), remedy)
			return 0
		}
	default:
		f.fault(n.at, key, "is %s: %s", n.kind, remedy)
	}
	if in := max(-maxPriority, min(maxPriority, v)); in != v {
		f.warn(n.at, key, "is %s: taken as %v", shown(n), in)
		v = in
	}
	return int32(v)
}

func (f *fields) instant(key string, n *node) queue.Instant {
	if n.kind == isNull {
		return 0
	}
	at, err := instantOf(n)
	if err != nil {
		f.fault(n.at, key, "%v", err)
	}
	return at
}

// parameter translates any JSON.
func (f *fields) parameter(key string, n *node) *structpb.Value {
	switch n.kind {
	case isBool:
		return structpb.NewBoolValue(n.truth)
	case isNumber:
		return structpb.NewNumberValue(f.number(key, n))
	case isString:
		return structpb.NewStringValue(n.text)
	case isList:
		l := &structpb.ListValue{}
		for i := range n.items {
			l.Values = append(l.Values, f.parameter(key, &n.items[i]))
		}
		return structpb.NewListValue(l)
	case isObject:
		s := &structpb.Struct{Fields: make(map[string]*structpb.Value, len(n.members))}
		for i := range n.members {
			s.Fields[n.members[i].key] = f.parameter(key, &n.members[i].value)
		}
		return structpb.NewStructValue(s)
	}
	return structpb.NewNullValue()
}

// number reads a number as a double, and tells if a whole one does not fit.
func (f *fields) number(key string, n *node) float64 {
	v, err := strconv.ParseFloat(n.text, 64)
	if err != nil {
		f.fault(n.at, key, "is %s, which is too large for a number: give it as a string", shown(n))
		return 0
	}
	if i, err := strconv.ParseInt(n.text, 10, 64); err == nil && (v >= 1<<63 || int64(v) != i) {
		f.warn(n.at, key, "is %s, which a double does not hold: kept as %v", shown(n), v)
	}
	return v
}
