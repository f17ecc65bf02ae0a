package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newServer(t testing.TB, cfg Config) *Server {
	t.Helper()
	cfg.Listen = "127.0.0.1:0"
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func request(method, path, body string) *http.Request {
	return httptest.NewRequest(method, path, strings.NewReader(body))
}

func ask(t testing.TB, s *Server, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	if got := w.Header().Get("Stint-Sandbox"); got != "stand-in" {
		t.Errorf("header Stint-Sandbox is %q", got)
	}
	return w
}

func parse[T any](t testing.TB, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("content type is %q", got)
	}
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v in %q", err, w.Body)
	}
	return v
}

type errorBody struct{ Error problem }

func TestGrindAnswersEveryDocumentedField(t *testing.T) {
	s := newServer(t, Config{})
	body := `{"prompt":"Rivers carry water. Water feeds towns.","model":"gpt-x","model_tier":"small","intensity":"low",
		"min_budget":0.05,"max_budget":0.10,"task_id":"t1","other":{"deep":[1]}}`
	w := ask(t, s, request("POST", "/grind", body))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	fields := parse[map[string]any](t, w)
	want := []string{"budget_used", "model", "nonce", "result", "status", "task_id", "usage"}
	if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, want) {
		t.Errorf("fields %v, want %v", got, want)
	}
	got := parse[grindAnswer](t, w)
	if got.Status != "completed" || got.Model != "stint-sandbox" || got.TaskID != "t1" || got.BudgetUsed != 0.05 || got.Nonce == "" {
		t.Errorf("answer %+v", got)
	}
	if u := got.Usage; u.PromptTokens != 10 || u.CompletionTokens == 0 || u.TotalTokens != u.PromptTokens+u.CompletionTokens {
		t.Errorf("usage %+v", u)
	}
	if !strings.HasPrefix(got.Result, "[stint sandbox] Made by a stand-in") {
		t.Errorf("result %q", got.Result)
	}
}

func TestSamePromptGivesSameResultUnderANewNonce(t *testing.T) {
	s := newServer(t, Config{})
	a := parse[grindAnswer](t, ask(t, s, request("POST", "/grind", `{"prompt":"One river. Two rivers."}`)))
	b := parse[grindAnswer](t, ask(t, s, request("POST", "/grind", `{"prompt":"One river. Two rivers."}`)))
	if a.Nonce == b.Nonce {
		t.Error("one nonce for two calls")
	}
	a.Nonce, b.Nonce = "", ""
	if a != b {
		t.Errorf("%+v is not %+v", a, b)
	}
}

func TestChatAnswersInTheUsualShape(t *testing.T) {
	s := newServer(t, Config{})
	w := ask(t, s, request("POST", "/v1/chat/completions", `{"model":"gpt-x","temperature":0.2,"messages":[
		{"role":"system","content":"Be short."},{"role":"user","content":"What is 1+1?"},
		{"role":"assistant","content":"2"},{"role":"user","content":"What is 2+2?"}]}`))
	got := parse[chatAnswer](t, w)
	if w.Code != 200 || got.Object != "chat.completion" || got.Model != "stint-sandbox" || got.Created == 0 || !strings.HasPrefix(got.ID, "chatcmpl-") {
		t.Fatalf("status %d, answer %+v", w.Code, got)
	}
	if len(got.Choices) != 1 || got.Choices[0].FinishReason != "stop" {
		t.Fatalf("choices %+v", got.Choices)
	}
	if m := got.Choices[0].Message; m.Role != "assistant" || m.Content != preface+"\n2 + 2 = 4" {
		t.Errorf("message %+v", m)
	}
	if got.Usage.PromptTokens != 3+3+1+3 {
		t.Errorf("usage %+v counts not every message", got.Usage)
	}
}

func TestBadInputIsRefusedByName(t *testing.T) {
	s := newServer(t, Config{})
	chat := func(rest string) string {
		return `{"messages":[{"role":"user","content":"hi"}],` + rest + `}`
	}
	for name, row := range map[string]struct {
		method, path, body string
		status             int
		kind, want         string
	}{
		"empty":            {"POST", "/grind", "", 400, "invalid_request", "body is empty; send a JSON object"},
		"not JSON":         {"POST", "/grind", "{nope", 400, "invalid_request", "body is not JSON at byte 2"},
		"cut short":        {"POST", "/grind", `{"prompt":"a`, 400, "invalid_request", "body is not JSON"},
		"a list":           {"POST", "/grind", "[]", 400, "invalid_request", "body is a JSON array; send an object"},
		"two objects":      {"POST", "/grind", `{"prompt":"a"} {}`, 400, "invalid_request", "body goes on after its JSON object"},
		"null":             {"POST", "/grind", "null", 400, "invalid_request", "prompt is missing"},
		"no prompt":        {"POST", "/grind", "{}", 400, "invalid_request", "prompt is missing or blank; give"},
		"blank prompt":     {"POST", "/grind", `{"prompt":" \n"}`, 400, "invalid_request", "prompt is missing or blank"},
		"prompt a number":  {"POST", "/grind", `{"prompt":4}`, 400, "invalid_request", "prompt is a number; give a string"},
		"budget a string":  {"POST", "/grind", `{"prompt":"a","min_budget":"x"}`, 400, "invalid_request", "min_budget is a string; give a number"},
		"budget too big":   {"POST", "/grind", `{"prompt":"a","max_budget":1e999}`, 400, "invalid_request", "max_budget is a number 1e999"},
		"negative min":     {"POST", "/grind", `{"prompt":"a","min_budget":-1}`, 400, "invalid_request", "min_budget -1 is negative; give"},
		"negative max":     {"POST", "/grind", `{"prompt":"a","max_budget":-2}`, 400, "invalid_request", "max_budget -2 is negative; give"},
		"min above max":    {"POST", "/grind", `{"prompt":"a","min_budget":2,"max_budget":1}`, 400, "invalid_request", "min_budget 2 is above max_budget 1; lower"},
		"intensity":        {"POST", "/grind", `{"prompt":"a","intensity":"huge"}`, 400, "invalid_request", `intensity "huge" is unknown; give low, medium or high`},
		"long task_id":     {"POST", "/grind", `{"prompt":"a","task_id":"` + strings.Repeat("x", 129) + `"}`, 400, "invalid_request", "task_id has 129 bytes; give at most 128"},
		"all faults":       {"POST", "/grind", `{"intensity":"huge"}`, 400, "invalid_request", "give the text to work on; intensity"},
		"too large":        {"POST", "/grind", `{"prompt":"` + strings.Repeat("x", 4<<20) + `"}`, 413, "request_too_large", "body is over 4194304 bytes"},
		"no messages":      {"POST", "/v1/chat/completions", "{}", 400, "invalid_request", "messages is missing or empty; give"},
		"messages a text":  {"POST", "/v1/chat/completions", `{"messages":"hi"}`, 400, "invalid_request", "messages is a string; give a list"},
		"content in parts": {"POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":[]}]}`, 400, "invalid_request", "content is a array; give a string"},
		"unknown role":     {"POST", "/v1/chat/completions", `{"messages":[{"role":"user","content":"hi"},{"role":"boss"}]}`, 400, "invalid_request", `messages[1].role "boss" is unknown; give one of system`},
		"no user":          {"POST", "/v1/chat/completions", `{"messages":[{"role":"system","content":"hi"}]}`, 400, "invalid_request", "messages has no text of the user"},
		"too hot":          {"POST", "/v1/chat/completions", chat(`"temperature":2.1`), 400, "invalid_request", "temperature 2.1 is out of bounds; give 0 to 2"},
		"stream":           {"POST", "/v1/chat/completions", chat(`"stream":true`), 400, "invalid_request", "stream true is not served here; leave it out"},
		"stream a word":    {"POST", "/v1/chat/completions", chat(`"stream":"yes"`), 400, "invalid_request", "stream is a string; give a true or false"},
		"unknown path":     {"POST", "/grid", "{}", 404, "not_found", `path "/grid" is not served; use /grind`},
		"get grind":        {"GET", "/grind", "", 405, "method_not_allowed", "method GET is not served at /grind; use POST"},
		"post health":      {"POST", "/healthz", "", 405, "method_not_allowed", "method POST is not served at /healthz; use GET"},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(t, s, request(row.method, row.path, row.body))
			got := parse[errorBody](t, w).Error
			if w.Code != row.status || got.Type != row.kind || !strings.HasPrefix(got.Message, "sandbox: ") || !strings.Contains(got.Message, row.want) {
				t.Errorf("got %d %+v, want %d %s %q", w.Code, got, row.status, row.kind, row.want)
			}
			if allow := w.Header().Get("Allow"); (w.Code == 405) != (allow != "") {
				t.Errorf("status %d with Allow %q", w.Code, allow)
			}
		})
	}
}

func TestLargestBodyIsTaken(t *testing.T) {
	head, tail := `{"prompt":"`, `"}`
	body := head + strings.Repeat("x", 4<<20-len(head)-len(tail)) + tail
	if w := ask(t, newServer(t, Config{}), request("POST", "/grind", body)); w.Code != 200 {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

func TestStatusIsAnsweredToEveryTaskCallOnly(t *testing.T) {
	for _, status := range []int{200, 204, 304, 401, 402, 429, 503, 599} {
		s := newServer(t, Config{Status: status})
		for path, body := range map[string]string{"/grind": `{"prompt":"a"}`, "/v1/chat/completions": "{}"} {
			w := ask(t, s, request("POST", path, body))
			if w.Code != status {
				t.Errorf("%s: status %d, want %d", path, w.Code, status)
			}
			if bodyless := status == 204 || status == 304; bodyless != (w.Body.Len() == 0) {
				t.Errorf("%s: status %d with body %q", path, status, w.Body)
			}
		}
		if w := ask(t, s, request("GET", "/healthz", "")); w.Code != 200 {
			t.Errorf("health answers %d under status %d", w.Code, status)
		}
	}
}

func TestTextOfATaskNeverChoosesBehaviour(t *testing.T) {
	s := newServer(t, Config{})
	for _, prompt := range []string{"sandbox: status=503", "--hang", "sandbox: fail-rate=1 latency=1h", "Stint-Sandbox: hang"} {
		if w := ask(t, s, request("POST", "/grind", fmt.Sprintf(`{"prompt":%q,"status":503,"hang":true}`, prompt))); w.Code != 200 {
			t.Errorf("%q answered %d", prompt, w.Code)
		}
	}
}

// failures is the statuses of n calls to a new server.
func failures(t *testing.T, n int, rate float64, seed uint64) (statuses []int, failed int) {
	s := newServer(t, Config{FailRate: rate, Seed: seed})
	for range n {
		w := ask(t, s, request("POST", "/grind", `{"prompt":"a"}`))
		statuses = append(statuses, w.Code)
		if w.Code == 500 {
			failed++
		}
	}
	return statuses, failed
}

func TestFailRateIsDecidedBySeedAndNumber(t *testing.T) {
	const n = 1000
	for _, row := range []struct {
		rate        float64
		least, most int
	}{{0, 0, 0}, {0.1, 60, 140}, {0.5, 420, 580}, {1, n, n}} {
		first, failed := failures(t, n, row.rate, 7)
		if failed < row.least || failed > row.most {
			t.Errorf("rate %v: %d of %d failed", row.rate, failed, n)
		}
		again, _ := failures(t, n, row.rate, 7)
		if !slices.Equal(first, again) {
			t.Errorf("rate %v: the same seed failed other calls", row.rate)
		}
		other, _ := failures(t, n, row.rate, 8)
		if chance := row.rate > 0 && row.rate < 1; chance == slices.Equal(first, other) {
			t.Errorf("rate %v: another seed failed the same calls: %v", row.rate, !chance)
		}
	}
}

func TestLatencyPassesBeforeTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(t, Config{Latency: time.Hour})
		start := time.Now()
		if w := ask(t, s, request("GET", "/healthz", "")); w.Code != 200 || time.Since(start) != 0 {
			t.Errorf("health %d after %v", w.Code, time.Since(start))
		}
		if w := ask(t, s, request("POST", "/grind", `{"prompt":"a"}`)); w.Code != 200 || time.Since(start) != time.Hour {
			t.Errorf("answer %d after %v", w.Code, time.Since(start))
		}
	})
}

func TestWaitingCallsEndWithTheirCallerUnanswered(t *testing.T) {
	for name, cfg := range map[string]Config{"hang": {Hang: true}, "latency": {Latency: 24 * time.Hour}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newServer(t, cfg)
				ctx, gone := context.WithCancel(t.Context())
				ended := make(chan any, 1)
				go func() {
					defer func() { ended <- recover() }()
					s.Handler().ServeHTTP(httptest.NewRecorder(), request("POST", "/grind", `{"prompt":"a"}`).WithContext(ctx))
				}()
				synctest.Wait()
				if len(ended) != 0 {
					t.Fatal("answered at once")
				}
				gone()
				if got := <-ended; got != any(http.ErrAbortHandler) {
					t.Errorf("ended with %v", got)
				}
			})
		})
	}
}

func BenchmarkGrind(b *testing.B) {
	s := newServer(b, Config{})
	srv := httptest.NewServer(s.Handler())
	defer srv.Close()
	client := srv.Client()
	client.Transport.(*http.Transport).MaxIdleConnsPerHost = 64
	defer client.CloseIdleConnections()
	body := fmt.Sprintf(`{"prompt":%q}`, strings.Repeat("A coordinator owns the queue and grants leases. Agents dial in and run each task. ", 12))
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := client.Post(srv.URL+"/grind", "application/json", strings.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			var got grindAnswer
			if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || got.Status != "completed" {
				b.Errorf("%v: %+v", err, got)
			}
			_ = resp.Body.Close()
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}
