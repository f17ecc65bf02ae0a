package blackbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// gated is an API of the grind dialect in the test itself: it sees who calls, and answers a task when the test says so.
type gated struct {
	addr string
	// on, if set, answers a call in place of the usual way.
	on func(w http.ResponseWriter, r *http.Request, arrived arrival)

	mu       sync.Mutex
	grown    chan struct{}
	arrivals []arrival
	nonces   map[string]string        // of answers, by task and attempt
	gates    map[string]chan struct{} // by task, or task and attempt: closed to let calls be answered
}

// arrival is a call that reached the API.
type arrival struct {
	task    string
	attempt int32
	when    time.Time
}

// startGated serves until the end of the test, when calls that are still held are let go.
func startGated(t *testing.T) *gated {
	t.Helper()
	a := &gated{grown: make(chan struct{}), nonces: map[string]string{}, gates: map[string]chan struct{}{}}
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serve(w, r, over) }))
	a.addr = strings.TrimPrefix(server.URL, "http://")
	t.Cleanup(func() {
		close(over)
		server.CloseClientConnections()
		server.Close()
	})
	return a
}

func (a *gated) serve(w http.ResponseWriter, r *http.Request, over <-chan struct{}) {
	var body struct {
		TaskID string `json:"task_id"`
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n, _ := strconv.ParseInt(r.Header.Get("Stint-Attempt"), 10, 32) // 0 if it is none
	call := a.arrived(body.TaskID, int32(n))
	if a.on != nil {
		a.on(w, r, call)
		return
	}
	select {
	case <-a.gate(call.task):
		a.answer(w, call)
	case <-a.gate(key(call.task, call.attempt)):
		a.answer(w, call)
	case <-r.Context().Done():
	case <-over:
	}
}

func (a *gated) arrived(id string, attempt int32) arrival {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := arrival{id, attempt, time.Now()}
	a.arrivals = append(a.arrivals, now)
	close(a.grown)
	a.grown = make(chan struct{})
	return now
}

// answer gives a result with a nonce of its own.
func (a *gated) answer(w http.ResponseWriter, of arrival) {
	a.mu.Lock()
	n := fmt.Sprintf("%s-%d-%d", of.task, of.attempt, len(a.nonces))
	a.nonces[key(of.task, of.attempt)] = n
	a.mu.Unlock()
	_ = json.NewEncoder(w).Encode(map[string]string{"status": "completed", "result": "done", "task_id": of.task, "nonce": n})
}

func key(task string, attempt int32) string { return fmt.Sprintf("%s#%d", task, attempt) }

// nonce is what the call of an attempt was answered with.
func (a *gated) nonce(task string, attempt int32) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.nonces[key(task, attempt)]
}

func (a *gated) gate(task string) chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gates[task] == nil {
		a.gates[task] = make(chan struct{})
	}
	return a.gates[task]
}

// release has all calls for a task answered, those to come included.
func (a *gated) release(task string) { close(a.gate(task)) }

// await waits for the first call for a task.
func (a *gated) await(t *testing.T, task string) arrival {
	t.Helper()
	return a.find(t, "a call for "+task, func(x arrival) bool { return x.task == task })
}

// find waits for a call.
func (a *gated) find(t *testing.T, what string, match func(arrival) bool) arrival {
	t.Helper()
	ctx := bounded(t)
	for {
		a.mu.Lock()
		grown, all := a.grown, a.arrivals
		a.mu.Unlock()
		for _, x := range all {
			if match(x) {
				return x
			}
		}
		select {
		case <-grown:
		case <-ctx.Done():
			t.Fatalf("never came: %s; calls were %v", what, all)
		}
	}
}
