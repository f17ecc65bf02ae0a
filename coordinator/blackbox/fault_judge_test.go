package blackbox

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// judge holds all that is known at the end of a run against all else. It is for a coordinator that keeps everything and that
// nobody uses any more. Faults may have been anything: nothing here depends on time.
func judge(t *testing.T, c *coordinator, l *link, b *book, apis ...*sandbox) map[string]*folded {
	t.Helper()
	t.Log(b)
	events := l.history(t)
	b.mu.Lock()
	defer b.mu.Unlock()
	tales, err := fold(events, b.submitted)
	if err != nil {
		t.Fatalf("history: %v", err)
	}
	tasks := map[string]*stintv1.Task{}
	for _, one := range l.all(t) {
		if tasks[one.GetId()] != nil {
			t.Errorf("D1: %s stands twice in the list", one.GetId())
		}
		tasks[one.GetId()] = one
	}
	b.judgeSubmits(t, tasks, tales)
	answered := map[string]call{}
	for _, api := range apis {
		for nonce, c := range api.answered(t) {
			answered[nonce] = c
		}
	}
	further := 0
	for id, one := range tasks {
		if tales[id] == nil {
			t.Errorf("D4: %s is in the list and not in the history", id)
			continue
		}
		further += max(0, len(tales[id].grants)-1)
		agree(t, one, tales[id])
		if tales[id].winner != 0 && len(apis) > 0 {
			cameFrom(t, one, tales[id].winner, answered)
		}
		b.judgeReports(t, one, tales[id])
		if got := l.get(t, id); !proto.Equal(got, one) {
			t.Errorf("W3: %s: GetTask and ListTasks differ:\n%v\n%v", id, got, one)
		}
	}
	judgeMoney(t, l, tasks, events)
	judgeExport(t, c, tasks)
	judgeCounts(t, l.status(t).GetCounts(), len(tasks))
	t.Logf("%d tasks, %d events, %d calls answered, %d further attempts granted", len(tasks), len(events), len(answered), further)
	return tales
}

// judgeMoney: what queues and tasks say of their spend is what their events say, and nothing is reserved that doesn't run (B2, B3).
func judgeMoney(t *testing.T, l *link, tasks map[string]*stintv1.Task, events []*stintv1.Event) {
	t.Helper()
	type attempt struct {
		task   string
		number int32
	}
	cost := map[attempt]int64{}
	for _, e := range events {
		if e.CostUsd != nil {
			cost[attempt{e.GetTaskId(), e.GetAttempt()}] = micro(e.GetCostUsd())
		}
	}
	ofTask, ofQueue := map[string]int64{}, map[string]int64{}
	for a, usd := range cost {
		ofTask[a.task] += usd
		ofQueue[tasks[a.task].GetQueue()] += usd
	}
	queues := map[string]bool{}
	for id, one := range tasks {
		queues[one.GetQueue()] = true
		if got := micro(one.GetStatus().GetSpentUsd()); got != ofTask[id] {
			t.Errorf("B3: %s has spent %d, its events say %d", id, got, ofTask[id])
		}
	}
	for name := range queues {
		s := l.queue(t, name).GetStatus()
		if micro(s.GetSpentUsd()) != ofQueue[name] || s.GetRunning() == 0 && s.GetReservedUsd() != 0 {
			t.Errorf("B3: queue %s says %v, its events %d settled", name, s, ofQueue[name])
		}
	}
}

// judgeSubmits: what was acknowledged is there as it was sent, what was refused is not, and nothing else is.
func (b *book) judgeSubmits(t *testing.T, tasks map[string]*stintv1.Task, tales map[string]*folded) {
	t.Helper()
	for id, v := range b.submits {
		switch one := tasks[id]; {
		case v == done && one == nil:
			t.Errorf("D1: %s was acknowledged and is lost", id)
		case v == refused && one != nil:
			t.Errorf("C4: %s was refused and is there", id)
		case one != nil && (one.GetInstruction() != b.submitted[id].GetInstruction() ||
			!slices.Equal(one.GetDependsOn(), b.submitted[id].GetDependsOn())):
			t.Errorf("D1: %s has other content than was submitted: %v", id, one)
		}
	}
	for id := range tales {
		if _, ours := b.submits[id]; !ours {
			t.Errorf("D4: %s was never submitted", id)
		}
		if tasks[id] == nil {
			t.Errorf("D1: %s is in the history and not in the list", id)
		}
	}
}

// agree holds a task as it is read against its history.
func agree(t *testing.T, one *stintv1.Task, f *folded) {
	t.Helper()
	s := one.GetStatus()
	if isTerminal := s.GetFinishTime() != nil; isTerminal != (f.state != 0) || isTerminal && s.GetState() != f.state {
		t.Errorf("D4: %s is %v, its history ends with %v", one.GetId(), s.GetState(), f.state)
	}
	if s.GetRun() != f.run {
		t.Errorf("C1: %s is in run %d, its history in %d", one.GetId(), s.GetRun(), f.run)
	}
	last := int32(0)
	for _, a := range s.GetAttempts() {
		if a.GetAttempt() <= last || int(a.GetAttempt()) > len(f.grants) {
			t.Errorf("L2: %s: attempt %d follows %d, %d were granted", one.GetId(), a.GetAttempt(), last, len(f.grants))
			return
		}
		last = a.GetAttempt()
		won := a.GetOutcome() == stintv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED
		if won != (last == f.winner) || a.GetAgentId() != f.grants[last-1].agent {
			t.Errorf("C2: %s: attempt %v, the history says %+v, winner %d", one.GetId(), a, *f.grants[last-1], f.winner)
		}
	}
}

// judgeReports: what an agent of the test was told to be recorded is what is recorded.
func (b *book) judgeReports(t *testing.T, one *stintv1.Task, f *folded) {
	t.Helper()
	if s, told := b.recorded[one.GetId()]; told && (s.attempt != f.winner || s.nonce != nonce(one)) {
		t.Errorf("D2: %s: result %+v was acknowledged, recorded is %q of attempt %d", one.GetId(), s, nonce(one), f.winner)
	}
	for attempt := range b.failed[one.GetId()] {
		if int(attempt) > len(f.grants) || !f.grants[attempt-1].failed {
			t.Errorf("D2: %s: the failure of attempt %d was acknowledged and is not in the history", one.GetId(), attempt)
		}
	}
}

// judgeExport: the export tells the same tasks in the same states.
func judgeExport(t *testing.T, c *coordinator, tasks map[string]*stintv1.Task) {
	t.Helper()
	out := command{name: coordinatorName, args: []string{"export", "--coordinator", c.grpc}}.run(t)
	if out.code != 0 {
		t.Errorf("export: exit %d: %s", out.code, out.stderr)
		return
	}
	n := 0
	for line := range strings.Lines(out.stdout) {
		var l struct {
			ID, State string
			Run       int32
			Summary   string `json:"result_summary"`
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("export: %v: %s", err, line)
		}
		n++
		s := tasks[l.ID].GetStatus()
		if "TASK_STATE_"+l.State != s.GetState().String() || l.Run != s.GetRun() || l.Summary != s.GetResult().GetText() {
			t.Errorf("W3: export says %s, the list %v", line, s)
		}
	}
	if n != len(tasks) {
		t.Errorf("D1: the export has %d tasks, the list %d", n, len(tasks))
	}
}

func judgeCounts(t *testing.T, n *stintv1.TaskCounts, tasks int) {
	t.Helper()
	sum := n.GetBlocked() + n.GetScheduled() + n.GetReady() + n.GetRunning() + n.GetCompleted() + n.GetFailed() +
		n.GetCancelled() + n.GetExpired() + n.GetQuarantined() + n.GetPruned()
	if n.GetSubmitted() != sum || int(sum-n.GetPruned()) != tasks {
		t.Errorf("Q1: %d tasks, counted %v", tasks, n)
	}
}

// allEnded: every task of the history has reached a terminal state.
func allEnded(t *testing.T, tales map[string]*folded) {
	t.Helper()
	for id, f := range tales {
		if f.state == 0 {
			t.Errorf("%s has not ended: %+v", id, f)
		}
	}
}
