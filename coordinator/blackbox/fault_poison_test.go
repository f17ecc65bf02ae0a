package blackbox

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	lostLeaseBound = 5
	resultLimit    = 1 << 20 // bytes of an encoded Result
	bombSize       = 1 << 30 // of an answer, unpacked
	deepLevels     = 100_000

	// poisonMemory bounds an agent's memory, in MiB, whatever its API answers; the race detector takes several times as much.
	poisonMemory, poisonMemoryRaced = 128, 1024

	// honestSlots and honestLatency fix the rate of the agents that do honest work, whatever the machine can.
	honestSlots   = 2
	ratedTasks    = 40 // completions that make a rate
	poisonRounds  = 4  // the machine may have other work: what poison costs, it costs in every round
	honestLatency = 50 * time.Millisecond
)

// TestTaskThatKillsItsAgent: a task whose call ends the agent that makes it is QUARANTINED after 5 lost leases, and takes
// nothing from the rate of other agents (Q3, L5, L8). The agent is started again each time.
func TestTaskThatKillsItsAgent(t *testing.T) {
	kills := injected(t, "an agent killed by its task")
	c := startCoordinator(t, "--lease-ttl", "2s")
	l := c.dial(t)
	calls := make(chan struct{}, lostLeaseBound+1)
	poison := startGated(t)
	poison.on = func(w http.ResponseWriter, r *http.Request, call arrival) {
		if !strings.HasPrefix(call.task, "poison-") { // an agent of another test, whose API had this port before
			http.NotFound(w, r)
			return
		}
		calls <- struct{}{}
		<-r.Context().Done()
	}
	honest := startSandbox(t, "--latency", honestLatency.String())
	startAgent(t, c, honest.addr, "--agent-id", "honest", "--slots", strconv.Itoa(honestSlots), "--queue", "honest", "--log-level", "warn")
	submitHonest(t, l, 6000)
	outbox := t.TempDir()
	kept := false
	for round := 1; round <= poisonRounds && !kept; round++ {
		before := rateOf(t, l, ratedTasks)
		began, since := l.status(t).GetCounts().GetCompleted(), time.Now()
		id := fmt.Sprintf("poison-%d", round)
		l.submit(t, task(id, func(t *stintv1.Task) { t.Queue = "poison" }))
		for range lostLeaseBound {
			agent := startAgent(t, c, poison.addr, "--agent-id", "doomed", "--queue", "poison", "--outbox-dir", outbox)
			select {
			case <-calls:
			case <-bounded(t).Done():
				t.Fatal("the poison was not taken")
			}
			agent.kill()
			kills.fired()
		}
		one := l.endedAs(t, id, stintv1.TaskState_TASK_STATE_QUARANTINED)
		during := float64(l.status(t).GetCounts().GetCompleted()-began) / time.Since(since).Seconds()
		after := rateOf(t, l, ratedTasks)
		if s := one.GetStatus(); s.GetLostLeases() != lostLeaseBound || len(s.GetAttempts()) != lostLeaseBound {
			t.Errorf("Q3: quarantined after %d lost leases, %d attempts", s.GetLostLeases(), len(s.GetAttempts()))
		}
		t.Logf("honest agents: %.1f a second before, %.1f meanwhile, %.1f after", before, during, after)
		kept = during >= 0.8*min(before, after)
	}
	if !kept {
		t.Errorf("honest agents did less than 80 %% of their rate beside the poison, %d times", poisonRounds)
	}
}

// submitHonest submits more tasks than will be done.
func submitHonest(t *testing.T, l *link, n int) {
	t.Helper()
	var tasks []*stintv1.Task
	for i := range n {
		tasks = append(tasks, task(fmt.Sprintf("h%04d", i), func(t *stintv1.Task) { t.Queue = "honest" }))
		if len(tasks) == 1000 {
			l.submit(t, tasks...)
			tasks = nil
		}
	}
}

// rateOf is completions a second over so many of them.
func rateOf(t *testing.T, l *link, completions int64) float64 {
	t.Helper()
	began, since := l.status(t).GetCounts().GetCompleted(), time.Now()
	var n int64
	eventually(t, "completions for a rate", func() bool {
		n = l.status(t).GetCounts().GetCompleted() - began
		return n >= completions
	})
	return float64(n) / time.Since(since).Seconds()
}

// poisonous are answers that an agent must turn into one terminal failure, or a result, in one attempt.
var poisonous = map[string]struct {
	write func(w http.ResponseWriter, r *http.Request)
	class stintv1.FailureClass // UNSPECIFIED: it completes
}{
	"result-at-the-limit":     {sizedAnswer(resultLimit), 0},
	"result-one-byte-over":    {sizedAnswer(resultLimit + 1), stintv1.FailureClass_FAILURE_CLASS_RESULT_TOO_LARGE},
	"json-100000-levels-deep": {deepAnswer, stintv1.FailureClass_FAILURE_CLASS_BAD_RESPONSE},
	"gzip-bomb":               {bomb, stintv1.FailureClass_FAILURE_CLASS_RESULT_TOO_LARGE},
	"hangs":                   {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, stintv1.FailureClass_FAILURE_CLASS_TIMEOUT},
	"hangs-in-mid-answer":     {halfAnswer, stintv1.FailureClass_FAILURE_CLASS_TIMEOUT},
}

func sizedAnswer(size int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		result := &stintv1.Result{Text: strings.Repeat("x", size)}
		result.Text = result.Text[:size-(proto.Size(result)-size)]
		_ = json.NewEncoder(w).Encode(map[string]string{"status": "completed", "result": result.Text})
	}
}

func deepAnswer(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"status":"completed","result":"x","deep":`+strings.Repeat("[", deepLevels)+strings.Repeat("]", deepLevels)+"}")
}

func halfAnswer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.WriteString(w, `{"status":"completed",`)
	_ = http.NewResponseController(w).Flush()
	<-r.Context().Done()
}

// packed is a gigabyte of spaces and a result, as gzip: one packed block again and again.
var packed = sync.OnceValue(func() []byte {
	pack := func(data []byte) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(data) // a buffer takes everything
		_ = z.Close()
		return b.Bytes()
	}
	block := bytes.Repeat([]byte(" "), 1<<20)
	return append(bytes.Repeat(pack(block), bombSize/len(block)), pack([]byte(`{"status":"completed","result":"x"}`))...)
})

func bomb(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Encoding", "gzip")
	_, _ = w.Write(packed())
}

// TestPoisonousAnswers: whatever an API answers ends its task in one attempt, in bounded memory (Q3, S5).
func TestPoisonousAnswers(t *testing.T) {
	t.Parallel()
	served := map[string]*fault{}
	for name := range poisonous {
		served[name] = injected(t, "an answer that is poison: "+name)
	}
	packed()
	c := startCoordinator(t)
	l := c.dial(t)
	api := startGated(t)
	api.on = func(w http.ResponseWriter, r *http.Request, call arrival) {
		_, _ = io.Copy(io.Discard, r.Body)
		served[call.task].fired()
		poisonous[call.task].write(w, r)
	}
	agent := startAgent(t, c, api.addr, "--slots", "1")
	for name := range poisonous {
		l.submit(t, task(name, func(t *stintv1.Task) { timeout(3 * time.Second)(t) }))
	}
	for name, p := range poisonous {
		one := l.ended(t, name)
		class := one.GetStatus().GetFailure().GetFailureClass()
		if class != p.class || len(one.GetStatus().GetAttempts()) != 1 {
			t.Errorf("%s: %v after %d attempts, want %v after 1: %.200s", name, class, len(one.GetStatus().GetAttempts()), p.class,
				one.GetStatus().GetFailure().GetMessage())
		}
	}
	most := poisonMemory
	if raced {
		most = poisonMemoryRaced
	}
	if peak := peakMemory(t, agent); peak > most {
		t.Errorf("S5: the agent took %d MiB, want %d at most", peak, most)
	}
}

// peakMemory is the most memory that a process has had, in MiB; 0 where the system does not tell.
func peakMemory(t *testing.T, p *process) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Logf("peak memory: %v", err)
		return 0
	}
	match := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(data)
	kib, err := strconv.Atoi(string(match[1]))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("peak memory of %s: %d MiB", p.name, kib>>10)
	return kib >> 10
}
