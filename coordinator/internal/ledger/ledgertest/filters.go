package ledgertest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// selectsNone starts the name of a query that no task matches; all others must select some.
const selectsNone = "none: "

// queries are filters of every sort, alone and together.
func queries(m *Maker) map[string]ledger.Query {
	mid := m.Model.Head.Now - 20_000_000
	b, x := queue.Label{Key: "team", Value: "b"}, queue.Label{Key: "tier", Value: "x"}
	return map[string]ledger.Query{
		"all":                      {},
		"queue":                    {Queue: "queue-1"},
		"ready":                    {States: []queue.State{queue.Ready}},
		"live":                     {States: []queue.State{queue.Running, queue.Blocked, queue.Scheduled}},
		"terminal":                 {States: []queue.State{queue.Completed, queue.Cancelled}},
		"both":                     {States: []queue.State{queue.Ready, queue.Completed}},
		"later":                    {States: []queue.State{queue.Ready, queue.Scheduled}, Now: m.Model.Head.Now + 30_000_000},
		"label":                    {Labels: []queue.Label{b}},
		"labels":                   {Labels: []queue.Label{b, x}},
		"label, queue":             {Labels: []queue.Label{x}, Queue: "default"},
		"label, live":              {Labels: []queue.Label{x}, States: []queue.State{queue.Ready, queue.Scheduled, queue.Running}},
		"finished":                 {FinishedAfter: mid},
		"finished at that instant": {FinishedAfter: m.anEnd()},
		"finished, label":          {FinishedAfter: mid, Labels: []queue.Label{x}},
		"finished, queue":          {FinishedAfter: mid, Queue: "default", States: []queue.State{queue.Completed}},
		"prefix":                   {IDPrefix: "task-b-"},
		"prefix of one":            {IDPrefix: m.leastID()},
		"prefix, queue":            {IDPrefix: "task-", Queue: "default", States: []queue.State{queue.Completed}},
		"prefix, label":            {IDPrefix: "task-c", Labels: []queue.Label{x}},
		"prefix, finished":         {IDPrefix: "t", FinishedAfter: mid},
		"prefix, finished, label":  {IDPrefix: "t", FinishedAfter: mid, Labels: []queue.Label{x}},

		selectsNone + "no such queue":            {Queue: "none"},
		selectsNone + "wrong label":              {Labels: []queue.Label{{Key: "team", Value: "z"}}},
		selectsNone + "one label wrong":          {Labels: []queue.Label{x, {Key: "team", Value: "z"}}},
		selectsNone + "finished, live":           {FinishedAfter: mid, States: []queue.State{queue.Running}},
		selectsNone + "finished later":           {FinishedAfter: m.Model.Head.Now},
		selectsNone + "prefix, finished later":   {IDPrefix: "task-", FinishedAfter: m.Model.Head.Now},
		selectsNone + "prefix, wrong label":      {IDPrefix: "task-", Labels: []queue.Label{{Key: "team", Value: "z"}}},
		selectsNone + "no such prefix":           {IDPrefix: "\xff\xff"},
		selectsNone + "prefix above keys":        {IDPrefix: "zz"},
		selectsNone + "prefix longer than an id": {IDPrefix: "task-a-1-and-more"},
	}
}

// anEnd is when some task ended, in the middle of those that did: others ended before and after.
func (m *Maker) anEnd() queue.Instant {
	var ends []queue.Instant
	for _, t := range m.Model.Terminal {
		ends = append(ends, t.Status.Finish)
	}
	slices.Sort(ends)
	return ends[len(ends)/2]
}

// leastID is the first of all ids.
func (m *Maker) leastID() string {
	var ids []string
	for _, s := range m.Model.Specs {
		ids = append(ids, s.ID)
	}
	return slices.Min(ids)
}

func lists(t *testing.T, h Harness) {
	m := busy(t, h, 11)
	for name, q := range queries(m) {
		q.Limit, q.Examine = 1000, 100_000
		all, want := listAll(t, h.Ledger, q), m.Model.selects(q)
		if got := serials(all); !slices.Equal(got, want) {
			t.Errorf("%s: tasks %v, want %v", name, got, want)
		}
		if none := strings.HasPrefix(name, selectsNone); none != (len(want) == 0) {
			t.Errorf("%s: selects %d tasks: it shows nothing", name, len(want))
		}
	}
	shut(t, h.Ledger)
}

// examines shows that a page ends at the examined bound, whatever it has found until then, and
// that the pages go on from there: what a filter leaves out is never walked in one go.
func examines(t *testing.T, h Harness) {
	m := busy(t, h, 16)
	all, ended, mid := len(m.Model.Specs), len(m.Model.Terminal), m.Model.Head.Now-20_000_000
	wrong := []queue.Label{{Key: "team", Value: "z"}}
	prefixed := 0
	for s := range maps.Values(m.Model.Specs) {
		if strings.HasPrefix(s.ID, "task-b") {
			prefixed++
		}
	}
	for name, c := range map[string]struct {
		q     ledger.Query
		among int // tasks that must be looked at
	}{
		"all":              {ledger.Query{}, all},
		"label":            {ledger.Query{Labels: wrong}, all},
		"finished":         {ledger.Query{FinishedAfter: mid}, ended},
		"finished, label":  {ledger.Query{FinishedAfter: 1, Labels: wrong}, ended},
		"prefix":           {ledger.Query{IDPrefix: "task-b"}, prefixed},
		"prefix, label":    {ledger.Query{IDPrefix: "task-b", Labels: wrong}, prefixed},
		"prefix, finished": {ledger.Query{IDPrefix: "task-b", FinishedAfter: mid}, prefixed},
	} {
		for _, bound := range []int{1, 7, c.among, c.among + 1} {
			q := c.q
			q.Limit, q.Examine = 1000, bound
			tasks, n := listPages(t, h.Ledger, q)
			if want := (c.among + bound - 1) / bound; n != want {
				t.Errorf("%s: %d pages of %d tasks looked at %d a page, want %d", name, n, c.among, bound, want)
			}
			if got, want := serials(tasks), m.Model.selects(q); !slices.Equal(got, want) {
				t.Errorf("%s, %d looked at a page: tasks %v, want %v", name, bound, got, want)
			}
		}
	}
	shut(t, h.Ledger)
}
