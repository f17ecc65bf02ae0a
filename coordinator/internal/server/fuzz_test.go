package server

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// What any input may cost.
const (
	maxAllocated = 64 << 20
	maxTime      = time.Second
)

// bounded runs f, and wants it to end soon and to allocate little, whatever it is given. A try
// that was slow for another reason than its input gets a second one.
func bounded(t *testing.T, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	for try := 1; ; try++ {
		runtime.ReadMemStats(&before)
		start := time.Now()
		f()
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > maxAllocated {
			t.Errorf("S5: %d bytes were allocated", n)
		}
		if took <= maxTime {
			return
		}
		if try == 2 {
			t.Fatalf("it took %v", took)
		}
	}
}

func wire(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FuzzSubmit: whatever a submitter sends is refused, or becomes specs that name their tasks and
// can be decoded again.
func FuzzSubmit(f *testing.F) {
	f.Add(wire(f, &stintv1.SubmitTasksRequest{Tasks: []*stintv1.Task{{Id: "a", Instruction: "x", DependsOn: []string{"b"}}, {}}}))
	f.Add([]byte(strings.Repeat("\x0a\x00", 1000)))
	rules, err := newRules()
	if err != nil {
		f.Fatal(err)
	}
	g := newIDs(func() time.Time { return noon })
	f.Fuzz(func(t *testing.T, sent []byte) {
		bounded(t, func() {
			var r stintv1.SubmitTasksRequest
			if proto.Unmarshal(sent, &r) != nil || rules.Validate(&r) != nil {
				return
			}
			specs, _, err := g.specs(r.GetTasks(), func(int) string { return "tasks[0]" })
			if err != nil {
				return
			}
			for i := range specs {
				var back stintv1.Task
				if err := proto.Unmarshal(specs[i].Payload, &back); err != nil || back.GetId() != specs[i].ID || specs[i].ID == "" {
					t.Errorf("task %q became %q, %v", specs[i].ID, back.GetId(), err)
				}
			}
		})
	})
}

// FuzzFilter: a filter and a page token are refused, or a query within its bounds comes of them,
// and a token that was taken is the one that would be given for its cursor.
func FuzzFilter(f *testing.F) {
	f.Add(wire(f, &stintv1.TaskFilter{Queue: "q", Labels: map[string]string{"a": "b"}}), listTasks.token([]byte("cursor")))
	f.Add([]byte{}, "")
	rules, err := newRules()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sent []byte, token string) {
		bounded(t, func() {
			for _, l := range []listing{listTasks, cancelTasks, retryTasks, listAgents, listQueues} {
				if cursor, err := l.cursor(token); err == nil && len(cursor) >= len(token)+1 {
					t.Errorf("a token of %d bytes became a cursor of %d", len(token), len(cursor))
				}
			}
			var r stintv1.TaskFilter
			if proto.Unmarshal(sent, &r) != nil || rules.Validate(&r) != nil {
				return
			}
			if q, err := query("filter", &r); err == nil && q.Examine != examined {
				t.Errorf("query %+v", q)
			}
		})
	})
}

// FuzzSessionMessage: whatever an agent says in a stream ends the stream or is taken; each report
// is handed on or refused, none forgotten.
func FuzzSessionMessage(f *testing.F) {
	f.Add(wire(f, &stintv1.SessionRequest{
		Hello: &stintv1.Hello{AgentId: "me", InstanceId: "i"}, CreditTotal: 3,
		Heartbeat: &stintv1.Heartbeat{Leases: []*stintv1.LeaseProgress{{LeaseId: "x"}}},
		Reports:   []*stintv1.Report{{LeaseId: "x", Result: &stintv1.Result{Text: "y"}}, {}},
		Releases:  []*stintv1.Release{{LeaseId: "x"}},
	}))
	rules, err := newRules()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		bounded(t, func() {
			var r stintv1.SessionRequest
			if proto.Unmarshal(sent, &r) != nil {
				return
			}
			if h, refused, err := helloOf(proto.CloneOf(&r), rules); err == nil && len(h.First.Reports)+len(refused) != len(r.GetReports()) {
				t.Errorf("of %d reports %d were taken and %d refused", len(r.GetReports()), len(h.First.Reports), len(refused))
			}
			if m, refused, err := message(&r, rules); err == nil && len(m.Reports)+len(refused) != len(r.GetReports()) {
				t.Errorf("of %d reports %d were taken and %d refused", len(r.GetReports()), len(m.Reports), len(refused))
			}
		})
	})
}

// FuzzReport: whatever an agent reports becomes a success with its bytes or a failure with a
// class; never both, never neither.
func FuzzReport(f *testing.F) {
	f.Add(wire(f, &stintv1.Report{LeaseId: "x", Result: &stintv1.Result{Text: "y"}}))
	f.Add(wire(f, &stintv1.Report{LeaseId: "x", Failure: &stintv1.Failure{FailureClass: 99, Message: "m"}}))
	rules, err := newRules()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		bounded(t, func() {
			var r stintv1.Report
			if proto.Unmarshal(sent, &r) != nil || rules.Validate(&r) != nil {
				return
			}
			if got, err := new(encoder).report(&r); err == nil && got.Success == (got.Failure.Class != 0) {
				b, _ := json.Marshal(got)
				t.Errorf("neither or both: %s", b)
			}
		})
	})
}
