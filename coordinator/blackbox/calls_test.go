package blackbox

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// call is a line of the stand-in's call log.
type call struct {
	TaskID  string `json:"task_id"`
	Attempt string `json:"attempt"`
	Nonce   string `json:"nonce"`
	Status  int    `json:"status"` // 0: it got no answer
}

// calls are the lines so far.
func (s *sandbox) calls(t *testing.T) []call {
	t.Helper()
	data, err := os.ReadFile(s.callLog)
	if err != nil {
		t.Fatal(err)
	}
	var all []call
	for line := range strings.Lines(string(data)) {
		var c call
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("call log: %v: %s", err, line)
		}
		all = append(all, c)
	}
	return all
}

// answered are the calls that got an answer, by the nonce that the answer carried.
func (s *sandbox) answered(t *testing.T) map[string]call {
	t.Helper()
	all := map[string]call{}
	for _, c := range s.calls(t) {
		if c.Status != 0 {
			all[c.Nonce] = c
		}
	}
	return all
}

// nonce is what the recorded result of a task says of the call that it came from.
func nonce(of *stintv1.Task) string {
	return of.GetStatus().GetResult().GetOutput().GetFields()["nonce"].GetStringValue()
}

// cameFrom checks that the result of a task is the answer to the call of that attempt.
func cameFrom(t *testing.T, one *stintv1.Task, attempt int32, answered map[string]call) {
	t.Helper()
	c, known := answered[nonce(one)]
	if !known {
		t.Errorf("%s: its result carries nonce %q, which no call was answered with", one.GetId(), nonce(one))
		return
	}
	if c.TaskID != one.GetId() || c.Attempt != strconv.Itoa(int(attempt)) {
		t.Errorf("%s: recorded from attempt %d, its result is of task %s attempt %s", one.GetId(), attempt, c.TaskID, c.Attempt)
	}
}
