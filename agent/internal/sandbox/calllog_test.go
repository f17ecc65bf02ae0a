package sandbox

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// trace notes, in order, what happens to the log file and to the answer.
type trace struct {
	mu        sync.Mutex
	steps     []string
	failWrite error
	failSync  error
}

func (tr *trace) add(step string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.steps = append(tr.steps, step)
}

func (tr *trace) Write(p []byte) (int, error) { tr.add("write"); return len(p), tr.failWrite }
func (tr *trace) Sync() error                 { tr.add("sync"); return tr.failSync }
func (tr *trace) Close() error                { tr.add("close"); return nil }

// tracedAnswer is a ResponseWriter that notes when the answer begins to leave.
type tracedAnswer struct {
	*httptest.ResponseRecorder
	*trace
}

func (a tracedAnswer) Write(p []byte) (int, error) { return a.ResponseRecorder.Write(p) }
func (a tracedAnswer) WriteHeader(status int) {
	a.add("answer")
	a.ResponseRecorder.WriteHeader(status)
}

func traced(t *testing.T, cfg Config, tr *trace) *Server {
	cfg.CallLog = filepath.Join(t.TempDir(), "calls.jsonl")
	s := newServer(t, cfg)
	s.calls.openFile = func(string) (logFile, error) { return tr, nil }
	return s
}

func TestCallIsSyncedBeforeItsAnswerLeaves(t *testing.T) {
	for _, r := range []*http.Request{
		request("POST", "/grind", `{"prompt":"a"}`),
		request("POST", "/grind", `{}`),
		request("GET", "/grind", ""),
		request("POST", "/nowhere", ""),
	} {
		tr := &trace{}
		s := traced(t, Config{}, tr)
		s.Handler().ServeHTTP(tracedAnswer{httptest.NewRecorder(), tr}, r)
		if want := []string{"write", "sync", "answer"}; !slices.Equal(tr.steps, want) {
			t.Errorf("%s %s: %v, want %v", r.Method, r.URL.Path, tr.steps, want)
		}
	}
}

func TestHealthChecksAreNotLogged(t *testing.T) {
	tr := &trace{}
	ask(t, traced(t, Config{}, tr), request("GET", "/healthz", ""))
	if len(tr.steps) != 0 {
		t.Errorf("logged: %v", tr.steps)
	}
}

func TestNoCallIsAnsweredNormallyAfterTheLogFailed(t *testing.T) {
	full := errors.New("disk full")
	for name, row := range map[string]struct {
		trace *trace
		want  []string // steps of two calls: the second does not touch the file
	}{
		"write": {&trace{failWrite: full}, []string{"write"}},
		"sync":  {&trace{failSync: full}, []string{"write", "sync"}},
	} {
		s := traced(t, Config{}, row.trace)
		for range 2 {
			w := ask(t, s, request("POST", "/grind", `{"prompt":"a"}`))
			if got := parse[errorBody](t, w).Error; w.Code != 500 || got.Type != "call_log" || !strings.Contains(got.Message, "disk full; make room") {
				t.Errorf("%s: %d %+v", name, w.Code, got)
			}
		}
		if !slices.Equal(row.trace.steps, row.want) {
			t.Errorf("%s: steps %v, want %v", name, row.trace.steps, row.want)
		}
	}
}

// gatedFile tells of each write and each sync as it begins, and holds the sync until it is let go.
type gatedFile struct {
	*trace
	wrote, syncing, gate chan struct{}
}

func (f gatedFile) Write(p []byte) (int, error) {
	f.wrote <- struct{}{}
	return f.trace.Write(p)
}

func (f gatedFile) Sync() error {
	f.syncing <- struct{}{}
	<-f.gate
	return f.trace.Sync()
}

func TestLinesThatComeDuringASyncShareTheNext(t *testing.T) {
	const lines = 10
	file := gatedFile{&trace{}, make(chan struct{}, lines), make(chan struct{}, lines), make(chan struct{})}
	l := newCallLog("calls.jsonl")
	l.openFile = func(string) (logFile, error) { return file, nil }
	var appends sync.WaitGroup
	add := func() {
		if err := l.append(&call{}); err != nil {
			t.Error(err)
		}
	}
	appends.Go(add)
	<-file.syncing
	for range lines - 1 {
		appends.Go(add)
	}
	for range lines {
		<-file.wrote
	}
	close(file.gate)
	appends.Wait()
	if got := len(file.steps) - lines; got != 2 {
		t.Errorf("%d syncs for %d lines, want 2", got, lines)
	}
}

func readCalls(t *testing.T, path string) (calls []call) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var c call
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatalf("%v in line %q", err, line)
		}
		calls = append(calls, c)
	}
	return calls
}

func TestLogTellsTaskKeyAttemptNoncePathAndStatus(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folders", "calls.jsonl")
	s := newServer(t, Config{CallLog: path})
	r := request("POST", "/grind", `{"prompt":"a","task_id":"t1"}`)
	r.Header.Set("Idempotency-Key", "t1")
	r.Header.Set("Stint-Attempt", "2")
	answered := parse[grindAnswer](t, ask(t, s, r))
	ask(t, s, request("POST", "/v1/chat/completions", `{"task_id":"t2"}`))
	if err := s.calls.close(); err != nil {
		t.Fatal(err)
	}
	got := readCalls(t, path)
	if len(got) != 2 {
		t.Fatalf("calls %+v", got)
	}
	for i, c := range got {
		if c.Time.IsZero() || c.Time.Location() != time.UTC || c.Nonce == "" {
			t.Errorf("call %d: %+v", i, c)
		}
		got[i].Time = time.Time{}
	}
	if want := (call{TaskID: "t1", IdempotencyKey: "t1", Attempt: "2", Nonce: answered.Nonce, Path: "/grind", Status: 200}); got[0] != want {
		t.Errorf("%+v, want %+v", got[0], want)
	}
	if got[1].Status != 400 || got[1].TaskID != "t2" || got[1].Path != "/v1/chat/completions" {
		t.Errorf("%+v", got[1])
	}
}

func TestLogIsContinuedAfterATornLine(t *testing.T) {
	for name, row := range map[string]struct{ before, want string }{
		"new":   {"", ""},
		"whole": {"{}\n", "{}\n"},
		"torn":  {"{}\n{\"time\":\"20", "{}\n{\"time\":\"20\n"},
	} {
		path := filepath.Join(t.TempDir(), "calls.jsonl")
		if err := os.WriteFile(path, []byte(row.before), 0o600); err != nil {
			t.Fatal(err)
		}
		l := newCallLog(path)
		if err := errors.Join(l.append(&call{TaskID: "next"}), l.close()); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		rest, ok := strings.CutPrefix(string(data), row.want)
		if !ok || strings.Count(rest, "\n") != 1 || !strings.Contains(rest, `"next"`) {
			t.Errorf("%s: %q", name, data)
		}
		if err := l.append(&call{}); err == nil {
			t.Errorf("%s: appended after close", name)
		}
	}
}
