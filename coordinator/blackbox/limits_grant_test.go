package blackbox

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// TestRoutingByLabels: a task goes to an agent whose labels meet all its expressions, and to no other; one that nobody meets
// delays nobody, and says which label fails.
func TestRoutingByLabels(t *testing.T) {
	c := startCoordinator(t)
	api := startSandbox(t)
	l := c.dial(t)
	fits := map[string][]string{ // by task: its expressions, then the agents that it may go to
		"gpu":     {"gpu=true", "eu-gpu us-gpu"},
		"no-gpu":  {"gpu!=true", "us-spot"},
		"region":  {"region in (eu,asia)", "eu-gpu"},
		"not-eu":  {"region notin (eu, asia)", "us-gpu us-spot"},
		"steady":  {"!spot", "eu-gpu us-gpu"},
		"spot":    {"spot", "us-spot"},
		"several": {"gpu=true; region in (us); !spot", "us-gpu"},
		"any":     {"", "eu-gpu us-gpu us-spot"},
	}
	nobody := []string{"region=mars", "gpu=true; spot", "arch"}
	var work []*stintv1.Task
	for i, expressions := range nobody {
		work = append(work, task(fmt.Sprintf("nobody-%d", i), requires(strings.Split(expressions, "; ")...)))
	}
	for id, of := range fits {
		for n := range 4 {
			work = append(work, task(fmt.Sprintf("%s-%d", id, n), requires(strings.FieldsFunc(of[0], func(r rune) bool { return r == ';' })...)))
		}
	}
	l.submit(t, work...)
	startAgent(t, c, api.addr, "--agent-id", "eu-gpu", "--label", "gpu=true", "--label", "region=eu")
	startAgent(t, c, api.addr, "--agent-id", "us-gpu", "--label", "gpu=true", "--label", "region=us")
	startAgent(t, c, api.addr, "--agent-id", "us-spot", "--label", "region=us", "--label", "spot=yes")
	for id, of := range fits {
		for n := range 4 {
			one := l.completed(t, fmt.Sprintf("%s-%d", id, n))
			if on := one.GetStatus().GetAttempts()[0].GetAgentId(); !strings.Contains(" "+of[1]+" ", " "+on+" ") {
				t.Errorf("%s with %q ran on %s, want one of %s", one.GetId(), of[0], on, of[1])
			}
		}
	}
	for i := range nobody {
		id := fmt.Sprintf("nobody-%d", i)
		why := l.explain(t, id)[stintv1.ExplanationCode_EXPLANATION_CODE_NO_MATCHING_AGENT]
		if keys := []string{"region", "gpu spot", "arch"}[i]; !slices.ContainsFunc(strings.Fields(keys), func(key string) bool {
			return strings.Contains(why.GetMessage(), key)
		}) {
			t.Errorf("%s with %q: %v, want it to name one of %s", id, nobody[i], why, keys)
		}
		if n := len(l.get(t, id).GetStatus().GetAttempts()); n != 0 {
			t.Errorf("%s was granted %d times", id, n)
		}
	}
}

// crowd is an API that lets the first calls go only when each of several customers has one there, and notes where two of
// one customer are at once. A task's customer is the first word of its id.
type crowd struct {
	mu      sync.Mutex
	now     map[string]int
	twice   []string
	first   map[string]bool
	all     int
	arrived chan struct{} // closed when all have been there
}

func customer(task string) string {
	name, _, _ := strings.Cut(task, "-")
	return name
}

func (c *crowd) enter(task string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	who := customer(task)
	if c.now[who]++; c.now[who] > 1 {
		c.twice = append(c.twice, task)
	}
	if !c.first[who] {
		c.first[who] = true
		if len(c.first) == c.all {
			close(c.arrived)
		}
	}
}

func (c *crowd) leave(task string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[customer(task)]--
}

func (c *crowd) serve(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("Idempotency-Key")
	c.enter(id)
	select {
	case <-c.arrived:
	case <-r.Context().Done():
	}
	c.leave(id) // before the answer: what is reported may be followed by the next at once
	_, _ = io.WriteString(w, `{"status":"completed","result":"done"}`)
}

// TestOneAtATimePerCustomer: with max_running_per_key 1 no two tasks of a concurrency key run at once, tasks of other keys and
// without one go past those that wait, and all complete.
func TestOneAtATimePerCustomer(t *testing.T) {
	const customers, each = 3, 8
	c := startCoordinator(t)
	l := c.dial(t)
	l.set(t, &stintv1.Queue{Name: "default", MaxRunningPerKey: 1}, "max_running_per_key")
	x := &crowd{now: map[string]int{}, first: map[string]bool{}, all: customers, arrived: make(chan struct{})}
	api := serveAPI(t, x.serve)
	var work []*stintv1.Task
	for n := range each * customers { // all of the first customer's, then all of the next's
		who := fmt.Sprintf("c%d", n/each)
		work = append(work, task(fmt.Sprintf("%s-%d", who, n), ofKey("", who)))
	}
	l.submit(t, work...)
	for i := range 3 {
		startAgent(t, c, api.addr, "--agent-id", fmt.Sprintf("agent-%d", i))
	}
	select {
	case <-x.arrived:
	case <-bounded(t).Done():
		t.Fatal("there never was a call of each customer")
	}
	for _, one := range work {
		l.completed(t, one.GetId())
	}
	if len(x.twice) > 0 {
		t.Errorf("two of one customer at once: %q", x.twice)
	}
	for who, most := range measure(l.history(t), customer).most {
		if most != 1 {
			t.Errorf("%s: %d at once by the events", who, most)
		}
	}
}

// TestConcurrencyKeyExplained: a task that waits for another of its key says so; one without a key runs.
func TestConcurrencyKeyExplained(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	l.set(t, &stintv1.Queue{Name: "default", MaxRunningPerKey: 1}, "max_running_per_key")
	finish := make(chan struct{})
	startAgent(t, c, serveAPI(t, held(finish)).addr)
	l.submit(t, task("first", ofKey("", "acme")), task("second", ofKey("", "acme")), task("free"))
	l.granted(t, "first", 1)
	l.granted(t, "free", 1)
	if why := l.explain(t, "second"); why[stintv1.ExplanationCode_EXPLANATION_CODE_CONCURRENCY_KEY] == nil {
		t.Errorf("second: %v", why)
	}
	close(finish)
	l.completed(t, "second")
}

// TestMaxRunningAndRate: a queue never has more running than it may, whoever asks; lowered while more run, it lets them end; at
// its limit and out of rate it says so.
func TestMaxRunningAndRate(t *testing.T) {
	c := startCoordinator(t)
	l := c.dial(t)
	l.set(t, &stintv1.Queue{Name: "few", MaxRunning: 3}, "max_running")
	l.set(t, &stintv1.Queue{Name: "slow", Rate: &stintv1.QueueRate{PerSecond: 1.0 / 3600}}, "rate")
	api := startSandbox(t, "--latency", "10ms")
	for i := range 3 {
		startAgent(t, c, api.addr, "--agent-id", fmt.Sprintf("agent-%d", i), "--queue", "few", "--queue", "slow")
	}
	var work []*stintv1.Task
	for i := range 30 {
		work = append(work, task(fmt.Sprintf("few-%02d", i), in("few")))
	}
	l.submit(t, append(work, task("slow-0", in("slow")))...)
	for _, one := range work {
		l.completed(t, one.GetId())
	}
	if most := measure(l.history(t), customer).most["few"]; most != 3 {
		t.Errorf("%d at once, want 3", most)
	}
	why := l.explain(t, "slow-0")[stintv1.ExplanationCode_EXPLANATION_CODE_RATE_LIMIT]
	if why == nil || why.GetUntil() == nil {
		t.Errorf("slow: %v, want RATE_LIMIT with a time", why)
	}

	finish := make(chan struct{})
	startAgent(t, c, serveAPI(t, held(finish)).addr, "--agent-id", "holding", "--queue", "held")
	l.submit(t, task("held-0", in("held")), task("held-1", in("held")))
	l.granted(t, "held-0", 1)
	l.granted(t, "held-1", 1)
	l.set(t, &stintv1.Queue{Name: "held", MaxRunning: 1}, "max_running")
	l.submit(t, task("held-2", in("held")))
	if why := l.explain(t, "held-2"); why[stintv1.ExplanationCode_EXPLANATION_CODE_QUEUE_LIMIT] == nil {
		t.Errorf("held-2: %v", why)
	}
	if n := l.queue(t, "held").GetStatus().GetRunning(); n != 2 {
		t.Errorf("%d run after the limit was lowered, want the 2 that ran", n)
	}
	close(finish)
	l.completed(t, "held-2")
}

// TestOneTaskBesideAFlood: ten thousand tasks of one fairness key delay another's single one by ten grants at most.
func TestOneTaskBesideAFlood(t *testing.T) {
	const flood, most = 10_000, 10
	c := startCoordinator(t)
	l := c.dial(t)
	submitMany(t, l, flood, func(one *stintv1.Task, i int) { one.Id, one.FairnessKey = fmt.Sprintf("a-%05d", i), "a" })
	api := startSandbox(t, "--latency", "20ms")
	startAgent(t, c, api.addr, "--agent-id", "agent-0")
	l.granted(t, "a-00020", 1)
	l.submit(t, task("b-0", ofKey("b", "")))
	l.completed(t, "b-0")
	between, submitted := 0, false
	l.follow(t, func(e *stintv1.Event) bool {
		submitted = submitted || e.GetTaskId() == "b-0"
		if e.GetKind() == grantedEvent && submitted {
			between++
		}
		return e.GetKind() == grantedEvent && e.GetTaskId() == "b-0"
	})
	if between-1 > most {
		t.Errorf("%d grants came before that of the one task, want %d at most", between-1, most)
	}
}

// TestWeights: two queues of weight 3 and 1 share agents in that proportion, within 5 %, as long as both have work.
func TestWeights(t *testing.T) {
	const each, seen = 1500, 800
	c := startCoordinator(t)
	l := c.dial(t)
	l.set(t, &stintv1.Queue{Name: "heavy", Weight: 3}, "weight")
	l.set(t, &stintv1.Queue{Name: "light", Weight: 1}, "weight")
	for _, queue := range []string{"light", "heavy"} {
		submitMany(t, l, each, func(one *stintv1.Task, i int) { one.Id, one.Queue = fmt.Sprintf("%s-%d", queue, i), queue })
	}
	startAgent(t, c, startSandbox(t).addr, "--slots", "8")
	grants := map[string]int{}
	l.follow(t, func(e *stintv1.Event) bool {
		if e.GetKind() == grantedEvent {
			grants[e.GetQueue()]++
		}
		return grants["heavy"]+grants["light"] == seen
	})
	if share := float64(grants["heavy"]) / seen; share < 0.75*0.95 || share > 0.75*1.05 {
		t.Errorf("grants %v: the heavy queue has a share of %.3f, want 0.75", grants, share)
	}
}
