package queue

import (
	"slices"
	"strings"
)

// Op is how a requirement looks at a label.
type Op uint8

// The operators.
const (
	In     Op = iota + 1 // the label is there with one of the values: k=v, k in (a,b)
	NotIn                // it is not there, or with none of the values: k!=v, k notin (a,b)
	Exists               // it is there, whatever its value: k
	Absent               // it is not there: !k
)

// Requirement is what a task asks of one label of an agent. Canonical puts a set of them in
// the form in which equal sets are equal.
type Requirement struct {
	Key    string
	Op     Op
	Values []string // In, NotIn: sorted, each once
}

// Canonical sorts requirements by key, operator and values, and drops repeats. It owns rs and
// its values.
func Canonical(rs []Requirement) []Requirement {
	for i := range rs {
		slices.Sort(rs[i].Values)
		rs[i].Values = slices.Compact(rs[i].Values)
	}
	slices.SortFunc(rs, func(a, b Requirement) int {
		if c := strings.Compare(a.Key, b.Key); c != 0 {
			return c
		}
		if a.Op != b.Op {
			return int(a.Op) - int(b.Op)
		}
		return slices.Compare(a.Values, b.Values)
	})
	return slices.CompactFunc(rs, Requirement.equal)
}

func (r Requirement) equal(x Requirement) bool {
	return r.Key == x.Key && r.Op == x.Op && slices.Equal(r.Values, x.Values)
}

// String is the requirement as a submitter writes it.
func (r *Requirement) String() string {
	one := len(r.Values) == 1
	switch {
	case r.Op == In && one:
		return r.Key + "=" + r.Values[0]
	case r.Op == In:
		return r.Key + " in (" + strings.Join(r.Values, ",") + ")"
	case r.Op == NotIn && one:
		return r.Key + "!=" + r.Values[0]
	case r.Op == NotIn:
		return r.Key + " notin (" + strings.Join(r.Values, ",") + ")"
	case r.Op == Absent:
		return "!" + r.Key
	}
	return r.Key
}

// met tells whether an agent with these labels may run a task that requires r.
func (r *Requirement) met(labels map[string]string) bool {
	v, there := labels[r.Key]
	switch r.Op {
	case In:
		return there && slices.Contains(r.Values, v)
	case NotIn:
		return !there || !slices.Contains(r.Values, v)
	case Exists:
		return there
	default:
		return !there
	}
}

// requirementKey gives equal sets of requirements equal texts.
func requirementKey(rs []Requirement) string {
	if len(rs) == 0 {
		return ""
	}
	var b strings.Builder
	for i := range rs {
		b.WriteString(rs[i].String() + "\n")
	}
	return b.String()
}
