package blackbox

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// grpcurl is the path of the real one: STINT_GRPCURL, or what PATH has.
func grpcurl(t *testing.T) string {
	t.Helper()
	path := os.Getenv("STINT_GRPCURL")
	if path == "" {
		path = "grpcurl"
	}
	found, err := exec.LookPath(path)
	if err != nil {
		required(t, "grpcurl is not there (%v): run make tools and set STINT_GRPCURL to what it prints", err)
	}
	return found
}

// curl calls one method as people do.
func curl(t *testing.T, c *coordinator, body, method string, flags ...string) outcome {
	t.Helper()
	args := append([]string{"-plaintext"}, flags...)
	return command{name: grpcurl(t), args: append(args, "-d", body, c.grpc, method)}.run(t)
}

// answer is curl for a call that must succeed, with its answer read as people read it; of a stream, the first message.
func answer(t *testing.T, c *coordinator, body, method string) map[string]any {
	t.Helper()
	out := curl(t, c, body, method)
	if out.code != 0 {
		t.Fatalf("%s %s: exit %d: %s", method, body, out.code, out.stderr)
	}
	var got map[string]any
	if err := json.NewDecoder(strings.NewReader(out.stdout)).Decode(&got); err != nil {
		t.Fatalf("%s answered %q: %v", method, out.stdout, err)
	}
	return got
}

// at walks into an answer by keys and list indices; nil where there is nothing.
func at(value any, path ...any) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, _ := value.(map[string]any)
			value = object[step]
		case int:
			list, _ := value.([]any)
			if step >= len(list) {
				return nil
			}
			value = list[step]
		}
	}
	return value
}

// shownLine is a call that a comment of the contract shows, in the order of the files that tell the story.
var shownLine = regexp.MustCompile(`^ *// grpcurl -plaintext -d '([^']*)' 127\.0\.0\.1:7070 (stint\.v1\.\w+/\w+)$`)

// leasePlaceholder is what the comments write where a reader puts the lease that the call before answered.
const leasePlaceholder = "LEASE_ID"

// TestGrpcurlLines runs every line that the contract shows, in order, against one fresh coordinator.
func TestGrpcurlLines(t *testing.T) {
	c := startCoordinator(t)
	lease := ""
	ran := 0
	for _, file := range []string{"task_service", "agent_service", "queue_service"} {
		text, err := os.ReadFile(filepath.Join(root, "proto/stint/v1", file+".proto"))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			m := shownLine.FindStringSubmatch(strings.TrimRight(line, "\n"))
			if m == nil {
				continue
			}
			ran++
			body, method := strings.ReplaceAll(m[1], leasePlaceholder, lease), m[2]
			if method == "stint.v1.TaskService/WatchEvents" {
				curlFirst(t, c, body, method)
				continue
			}
			got := answer(t, c, body, method)
			if method == "stint.v1.AgentService/AcquireLeases" {
				lease, _ = at(got, "leases", 0, "leaseId").(string)
				if id := at(got, "leases", 0, "task", "id"); id != "hello" || lease == "" {
					t.Fatalf("first lease is of %v, want hello: %v", id, got)
				}
			}
		}
	}
	const shown = 26 // methods of the contract; each shows one call
	if ran != shown {
		t.Errorf("ran %d lines, want %d", ran, shown)
	}
}

// curlFirst opens a stream that does not end by itself, waits for its first message, and ends the call.
func curlFirst(t *testing.T, c *coordinator, body, method string) {
	t.Helper()
	p := command{name: grpcurl(t), args: []string{"-plaintext", "-d", body, c.grpc, method}}.start(t)
	if p.stdout.find(bounded(t), regexp.MustCompile(`^}$`), 1) == nil {
		t.Fatalf("%s %s: no message: %s", method, body, p.stderr)
	}
	p.kill()
}

// TestReflection lists and describes by both versions of reflection, as grpcurl and older tools ask for it.
func TestReflection(t *testing.T) {
	c := startCoordinator(t)
	list := command{name: grpcurl(t), args: []string{"-plaintext", c.grpc, "list"}}.run(t)
	for _, service := range []string{"stint.v1.TaskService", "stint.v1.AgentService", "stint.v1.QueueService",
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"} {
		if !strings.Contains(list.stdout, service+"\n") {
			t.Errorf("list has no %s: %s%s", service, list.stdout, list.stderr)
		}
	}
	describe := command{name: grpcurl(t), args: []string{"-plaintext", c.grpc, "describe", "stint.v1.Task"}}.run(t)
	if describe.code != 0 || !strings.Contains(describe.stdout, "string instruction = 3;") {
		t.Errorf("describe stint.v1.Task: exit %d: %s%s", describe.code, describe.stdout, describe.stderr)
	}
}

// TestGrpcurlChain is the main job with nothing but grpcurl: a chain of two, each leased and reported, and its history.
func TestGrpcurlChain(t *testing.T) {
	c := startCoordinator(t)
	answer(t, c, `{"tasks":[{"id":"a","instruction":"List three rivers"},{"id":"b","instruction":"Sum up","depends_on":["a"]}]}`,
		"stint.v1.TaskService/SubmitTasks")
	first := acquire(t, c, "r1", "a")
	got := answer(t, c, `{"extensions":[{"lease_id":"`+first+`","progress":0.5,"message":"half"}]}`, "stint.v1.AgentService/ExtendLeases")
	if at(got, "outcomes", 0, "extended") != true || at(got, "outcomes", 0, "expiresIn") != "60s" {
		t.Errorf("extend: %v", got)
	}
	success := `{"reports":[{"lease_id":"` + first + `","result":{"text":"Nile, Rhine, Po","budget_used_usd":0.01}}]}`
	for _, outcome := range []string{"REPORT_OUTCOME_RECORDED", "REPORT_OUTCOME_DUPLICATE"} {
		if got := answer(t, c, success, "stint.v1.AgentService/ReportLeases"); at(got, "acks", 0, "outcome") != outcome {
			t.Errorf("report: %v, want %s", got, outcome)
		}
	}
	second := acquire(t, c, "r2", "b")
	answer(t, c, `{"reports":[{"lease_id":"`+second+`","result":{"text":"Three rivers"}}]}`, "stint.v1.AgentService/ReportLeases")
	if got := answer(t, c, `{"task_id":"b","timeout":"5s"}`, "stint.v1.TaskService/WaitTask"); at(got, "task", "status", "result", "text") != "Three rivers" {
		t.Errorf("b: %v", got)
	}

	stale := answer(t, c, `{"reports":[{"lease_id":"`+first+`","failure":{"failure_class":"FAILURE_CLASS_TIMEOUT","message":"no answer"}}]}`,
		"stint.v1.AgentService/ReportLeases")
	if at(stale, "acks", 0, "outcome") != "REPORT_OUTCOME_LEASE_LOST" || at(stale, "acks", 0, "reason") != "LEASE_END_REASON_REPORTED" {
		t.Errorf("report on a stale lease: %v", stale)
	}
	stale = answer(t, c, `{"extensions":[{"lease_id":"`+first+`"}]}`, "stint.v1.AgentService/ExtendLeases")
	if at(stale, "outcomes", 0, "extended") == true || at(stale, "outcomes", 0, "reason") != "LEASE_END_REASON_REPORTED" {
		t.Errorf("extend of a stale lease: %v", stale)
	}
	wantHistory(t, c, []string{"SUBMITTED a", "SUBMITTED b", "GRANTED a", "COMPLETED a", "GRANTED b", "COMPLETED b"})
}

// acquire leases one task, which must be the wanted one, for 60 s.
func acquire(t *testing.T, c *coordinator, request, want string) (leaseID string) {
	t.Helper()
	got := answer(t, c, `{"agent_id":"me","request_id":"`+request+`","lease_length":"60s","wait":"10s"}`, "stint.v1.AgentService/AcquireLeases")
	leaseID, _ = at(got, "leases", 0, "leaseId").(string)
	if at(got, "leases", 0, "task", "id") != want || leaseID == "" {
		t.Fatalf("acquired %v, want a lease of %s", got, want)
	}
	return leaseID
}

// wantHistory watches from sequence 0 with grpcurl until it has seen the last event that is wanted.
func wantHistory(t *testing.T, c *coordinator, want []string) {
	t.Helper()
	p := command{name: grpcurl(t), args: []string{"-plaintext", "-d", `{"after_sequence":0}`, c.grpc, "stint.v1.TaskService/WatchEvents"}}.start(t)
	last := strings.Fields(want[len(want)-1])
	events := regexp.MustCompile(`"taskId": "` + last[1] + `"`)
	perTask := 3 // SUBMITTED, GRANTED, COMPLETED
	if p.stdout.find(bounded(t), events, perTask) == nil || p.stdout.find(bounded(t), regexp.MustCompile(`^}$`), 1) == nil {
		t.Fatalf("watch: %s%s", p.stdout, p.stderr)
	}
	p.kill()
	var got []string
	stream := json.NewDecoder(strings.NewReader(p.stdout.String()))
	for {
		var message map[string]any
		if stream.Decode(&message) != nil {
			break // the end, or a message that was cut
		}
		list, _ := message["events"].([]any)
		for _, e := range list {
			kind, _ := at(e, "kind").(string)
			id, _ := at(e, "taskId").(string)
			got = append(got, strings.TrimPrefix(kind, "EVENT_KIND_")+" "+id)
		}
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("history:\n got %q\nwant %q", got, want)
	}
}
