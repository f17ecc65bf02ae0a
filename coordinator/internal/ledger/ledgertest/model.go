package ledgertest

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Model is all that a ledger holds, in maps. The zero Model is not usable; see NewModel.
type Model struct {
	Head     queue.Head
	Queues   map[string]queue.QueueRecord
	Spends   map[queue.SpendKey]queue.SpendRecord
	Specs    map[queue.Serial]queue.Spec
	Live     map[queue.Serial]queue.Live
	Terminal map[queue.Serial]queue.Terminal
	Attempts map[queue.AttemptKey]queue.Attempt
	Deferred map[queue.Serial]bool
	Events   []queue.Event // from Head.Oldest on
}

// NewModel is the model of a ledger without batches.
func NewModel() *Model {
	return &Model{
		Head:     queue.Head{NextSerial: 1, Oldest: 1},
		Queues:   make(map[string]queue.QueueRecord),
		Spends:   make(map[queue.SpendKey]queue.SpendRecord),
		Specs:    make(map[queue.Serial]queue.Spec),
		Live:     make(map[queue.Serial]queue.Live),
		Terminal: make(map[queue.Serial]queue.Terminal),
		Attempts: make(map[queue.AttemptKey]queue.Attempt),
		Deferred: make(map[queue.Serial]bool),
	}
}

// Clone is a model that later batches of m do not change.
func (m *Model) Clone() *Model {
	return &Model{
		Head: m.Head, Queues: maps.Clone(m.Queues), Spends: maps.Clone(m.Spends), Specs: maps.Clone(m.Specs), Live: maps.Clone(m.Live),
		Terminal: maps.Clone(m.Terminal), Attempts: maps.Clone(m.Attempts), Deferred: maps.Clone(m.Deferred),
		Events: slices.Clone(m.Events),
	}
}

// Apply folds a batch in. It keeps copies.
func (m *Model) Apply(b *queue.Batch) {
	m.Head = b.Head
	for _, v := range b.Specs {
		m.Specs[v.Serial] = cloneSpec(v)
	}
	for _, v := range b.Live {
		m.Live[v.Serial] = cloneLive(v)
	}
	for _, s := range b.DropLive {
		delete(m.Live, s)
	}
	for _, v := range b.Terminal {
		v.Result = bytes.Clone(v.Result)
		m.Terminal[v.Serial] = v
	}
	for _, s := range b.DropTerminal {
		delete(m.Terminal, s)
		delete(m.Deferred, s)
	}
	for _, a := range b.Attempts {
		m.Attempts[queue.AttemptKey{Serial: a.Serial, Number: a.Number}] = a.Attempt
	}
	for _, q := range b.Queues {
		m.Queues[q.Name] = q
	}
	for _, p := range b.Spends {
		m.Spends[p.Key()] = p
	}
	for _, s := range b.Deferred {
		m.Deferred[s] = true
	}
	for _, p := range b.Prune {
		m.prune(p.Serial)
	}
	m.Events = append(m.Events, b.Events...)
	for len(m.Events) > 0 && m.Events[0].Sequence < m.Head.Oldest {
		m.Events = m.Events[1:]
	}
}

func (m *Model) prune(s queue.Serial) {
	delete(m.Specs, s)
	delete(m.Terminal, s)
	delete(m.Deferred, s)
	maps.DeleteFunc(m.Attempts, func(k queue.AttemptKey, _ queue.Attempt) bool { return k.Serial == s })
}

// Diff says where two models differ, "" if nowhere.
func (m *Model) Diff(o *Model) string {
	if m.Head != o.Head {
		return fmt.Sprintf("head: %+v, want %+v", m.Head, o.Head)
	}
	for _, d := range []string{
		diff("queue", m.Queues, o.Queues), diff("spend", m.Spends, o.Spends), diff("spec", m.Specs, o.Specs), diff("live", m.Live, o.Live),
		diff("terminal", m.Terminal, o.Terminal), diff("attempt", m.Attempts, o.Attempts),
		diff("deferred", m.Deferred, o.Deferred),
	} {
		if d != "" {
			return d
		}
	}
	if len(m.Events) != len(o.Events) {
		return fmt.Sprintf("%d events, want %d", len(m.Events), len(o.Events))
	}
	for i := range m.Events {
		if m.Events[i] != o.Events[i] {
			return fmt.Sprintf("event: %+v, want %+v", m.Events[i], o.Events[i])
		}
	}
	return ""
}

func diff[K comparable, V any](what string, got, want map[K]V) string {
	for k, w := range want {
		if g, ok := got[k]; !ok || !reflect.DeepEqual(g, w) {
			return fmt.Sprintf("%s %v: there %v: %+v, want %+v", what, k, ok, g, w)
		}
	}
	for k, g := range got {
		if _, ok := want[k]; !ok {
			return fmt.Sprintf("%s %v: %+v, want none", what, k, g)
		}
	}
	return ""
}

// cloneSpec copies all slices; empty ones become nil.
func cloneSpec(v queue.Spec) queue.Spec {
	v.DependsOn, v.Parents = some(v.DependsOn), some(v.Parents)
	v.Requires, v.Labels, v.Payload = cloneRequires(v.Requires), some(v.Labels), some(v.Payload)
	return v
}

func cloneLive(v queue.Live) queue.Live {
	v.Parents, v.Requires = some(v.Parents), cloneRequires(v.Requires)
	return v
}

func cloneRequires(v []queue.Requirement) []queue.Requirement {
	v = some(v)
	for i := range v {
		v[i].Values = some(v[i].Values)
	}
	return v
}

func some[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return slices.Clone(s)
}
