package server

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// requirement reads one expression of `requires`, in one of its six forms:
//
//	k=v   k!=v   k in (a,b)   k notin (a,b)   k   !k
//
// Spaces around the parts do not matter. why tells people what cannot be read; empty: nothing.
// The values are sorted, each once.
func requirement(expression string) (r queue.Requirement, why string) {
	text := strings.Trim(expression, blanks)
	if key, absent := strings.CutPrefix(text, "!"); absent {
		r = queue.Requirement{Key: strings.TrimLeft(key, blanks), Op: queue.Absent}
		return r, badKey(r.Key)
	}
	end := strings.IndexAny(text, "=!("+blanks)
	if end < 0 {
		end = len(text)
	}
	r.Key = text[:end]
	if why := badKey(r.Key); why != "" {
		return r, why
	}
	rest := strings.TrimLeft(text[end:], blanks)
	if rest == "" {
		r.Op = queue.Exists
		return r, ""
	}
	for _, o := range operators {
		if behind, is := strings.CutPrefix(rest, o.sign); is && (!o.set || behind == "" || strings.ContainsRune("("+blanks, rune(behind[0]))) {
			r.Op = o.op
			r.Values, why = valuesOf(strings.TrimLeft(behind, blanks), o.set)
			return r, why
		}
	}
	return r, fmt.Sprintf("%q cannot follow the key; write %s=value, %s!=value, %s in (a,b), %s notin (a,b), %s or !%s",
		cut(rest, maxKeyText), r.Key, r.Key, r.Key, r.Key, r.Key, r.Key)
}

// blanks may stand around the parts of an expression.
const blanks = " \t"

// operators are what may follow a key.
var operators = []struct {
	sign string
	op   queue.Op
	set  bool // values in parentheses follow; the sign is a word
}{
	{"=", queue.In, false}, {"!=", queue.NotIn, false}, {"in", queue.In, true}, {"notin", queue.NotIn, true},
}

func badKey(key string) string {
	if isLabelKey(key) {
		return ""
	}
	return fmt.Sprintf("%q is not a label key; it must begin with a letter or digit and have 1 to 63 of letters, digits and ._/-",
		cut(key, maxKeyText))
}

// valuesOf reads what follows an operator: one value, or some in parentheses.
func valuesOf(text string, set bool) (values []string, why string) {
	values = []string{text}
	if set {
		inner, opened := strings.CutPrefix(text, "(")
		inner, closed := strings.CutSuffix(inner, ")")
		if !opened || !closed {
			return nil, "in and notin need values in parentheses; write e.g. region in (eu,us)"
		}
		values = strings.Split(inner, ",")
	}
	if len(values) > maxRequireValues {
		return nil, fmt.Sprintf("has %d values, %d are allowed; require a label that fewer values tell", len(values), maxRequireValues)
	}
	for i := range values {
		values[i] = strings.Trim(values[i], blanks)
		if !isLabelValue(values[i]) || set && values[i] == "" {
			return nil, fmt.Sprintf("%q is not a label value; it must have at most 128 of letters, digits and ._:/@+-, in parentheses at least 1",
				cut(values[i], maxKeyText))
		}
	}
	slices.Sort(values)
	return slices.Compact(values), ""
}

// checkRequires refuses what cannot be read, and what no agent can have.
func checkRequires(requires []string) (faults []fault) {
	read := make([]queue.Requirement, 0, len(requires))
	for i, text := range requires {
		path := fmt.Sprintf("requires[%d]", i)
		r, why := requirement(text)
		if why != "" {
			faults = append(faults, fault{path, why})
			continue
		}
		for _, other := range read {
			if why := clash(r, other); why != "" {
				faults = append(faults, fault{path, why})
				break
			}
		}
		read = append(read, r)
	}
	return faults
}

// clash says why no agent can meet both; empty: one may.
func clash(a, b queue.Requirement) string {
	there := func(r queue.Requirement) bool { return r.Op == queue.In || r.Op == queue.Exists }
	switch {
	case a.Key != b.Key:
	case a.Op == queue.In && b.Op == queue.In && !slices.ContainsFunc(a.Values, func(v string) bool { return slices.Contains(b.Values, v) }):
		return fmt.Sprintf("asks %s for two values, which no agent can have; drop one", a.Key)
	case there(a) && b.Op == queue.Absent, a.Op == queue.Absent && there(b):
		return fmt.Sprintf("asks %s to be there and not to be there, which no agent can have; drop one", a.Key)
	}
	return ""
}

// requirements translates expressions that checkRequires has passed: in the core's order, each
// once.
func requirements(requires []string) []queue.Requirement {
	var out []queue.Requirement
	for _, text := range requires {
		r, _ := requirement(text)
		out = append(out, r)
	}
	return queue.Canonical(out)
}

// spelled is the one spelling of an expression that checkRequires has passed, so that spaces and the
// order of values are no content.
func spelled(expression string) string {
	if !strings.ContainsAny(expression, "("+blanks) {
		return expression
	}
	r, _ := requirement(expression)
	return r.String()
}
