package runner

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	connect     = stintv1.FailureClass_FAILURE_CLASS_CONNECT
	timeout     = stintv1.FailureClass_FAILURE_CLASS_TIMEOUT
	rateLimited = stintv1.FailureClass_FAILURE_CLASS_RATE_LIMITED
	overloaded  = stintv1.FailureClass_FAILURE_CLASS_OVERLOADED
	auth        = stintv1.FailureClass_FAILURE_CLASS_AUTH
	outOfCredit = stintv1.FailureClass_FAILURE_CLASS_OUT_OF_CREDIT
	invalid     = stintv1.FailureClass_FAILURE_CLASS_INVALID_REQUEST
	serverError = stintv1.FailureClass_FAILURE_CLASS_SERVER_ERROR
	bad         = stintv1.FailureClass_FAILURE_CLASS_BAD_RESPONSE
	taskFailed  = stintv1.FailureClass_FAILURE_CLASS_TASK_FAILED
	tooLarge    = stintv1.FailureClass_FAILURE_CLASS_RESULT_TOO_LARGE
	internal    = stintv1.FailureClass_FAILURE_CLASS_INTERNAL
)

func TestStatusDecidesTheClass(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   stintv1.FailureClass
		text   string
	}{
		{301, "", invalid, "301 Moved Permanently: invalid request: redirects are not followed"},
		{400, `{"error":{"message":"no prompt"}}`, invalid, "400 Bad Request: invalid request: no prompt"},
		{401, `{"error":"who are you"}`, auth, "401 Unauthorized: auth: who are you"},
		{402, "", outOfCredit, "402 Payment Required: out of credit: no text"},
		{403, "", auth, "403"},
		{404, "", invalid, "404"},
		{408, "", invalid, "408"},
		{413, "", invalid, "413"},
		{418, "", invalid, "418"},
		{422, "", invalid, "422"},
		{429, "slow down", rateLimited, "429 Too Many Requests: rate limited: slow down"},
		{429, `{"error":{"code":"insufficient_quota","message":"pay"}}`, outOfCredit, "429 Too Many Requests: out of credit: pay"},
		{500, "", serverError, "500"},
		{501, "", serverError, "501"},
		{503, "", overloaded, "503"},
		{529, "busy", overloaded, "529: overloaded: busy"},
		{599, "a\nb\x00\xff", serverError, "599: server error: a b \uFFFD"},
	} {
		r := api(t, Config{}, fixed(c.status, c.body))
		f := wantFailure(t, r.Run(t.Context(), lease(t, nil)), c.want)
		if f.GetHttpStatus() != int32(c.status) || !strings.HasPrefix(f.GetMessage(), c.text) {
			t.Errorf("%d %s: status %d, message %q; want it to begin with %q", c.status, c.body, f.GetHttpStatus(), f.GetMessage(), c.text)
		}
	}
}

func TestAnswerWithoutUsableResult(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 31) + "1" + strings.Repeat("}", 31)
	for name, c := range map[string]struct {
		body string
		want stintv1.FailureClass
		text string
	}{
		"empty":               {"", bad, "200 OK: bad response: answer has no body"},
		"not JSON":            {"<html>", bad, "200 OK: bad response: answer is not JSON"},
		"cut JSON":            {`{"status":"comp`, bad, "answer is not JSON"},
		"two values":          {`{"result":"a"}{}`, bad, "answer is not JSON"},
		"list":                {`["a"]`, bad, "answer is no JSON object"},
		"number out of range": {`{"result":"a","x":1e999}`, bad, "answer is not JSON"},
		"no result":           {`{"status":"completed"}`, bad, `answer has no result (its status is "completed")`},
		"null result":         {`{"status":"completed","result":null}`, bad, "answer has no result"},
		"failed":              {`{"status":"failed","error":"too hard"}`, taskFailed, "200 OK: task failed: too hard"},
		"error":               {`{"status":"error","result":"gave up"}`, taskFailed, "gave up"},
		"failed, no text":     {`{"status":"failed"}`, taskFailed, "status is failed"},
		"error and no result": {`{"error":{"message":"too hard"}}`, taskFailed, "too hard"},
		"too large":           {`{"result":"` + strings.Repeat("a", maxResult) + `"}`, tooLarge, "result has 1048580 bytes"},
		"body too large":      {`{"result":"` + strings.Repeat("a", maxBody) + `"}`, tooLarge, "answer is over 8388608 bytes"},
		"too deep":            {`{"result":` + deep + `}`, bad, "output is nested 32 deep"},
		"nesting bomb":        {strings.Repeat("[", 1<<20), bad, "answer is nested over 64 deep"},
		"many values":         {`{"result":[` + strings.Repeat("{},", 1<<20) + `{}]}`, tooLarge, "answer has too many values"},
	} {
		t.Run(name, func(t *testing.T) {
			r := api(t, Config{}, fixed(200, c.body))
			f := wantFailure(t, r.Run(t.Context(), lease(t, nil)), c.want)
			if f.GetHttpStatus() != 200 || !strings.Contains(f.GetMessage(), c.text) {
				t.Errorf("status %d, message %q; want %q in it", f.GetHttpStatus(), f.GetMessage(), c.text)
			}
		})
	}
}

func TestCompressedAnswerIsBoundedAfterDecompression(t *testing.T) {
	r := api(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(gzipped(t, strings.Repeat(" ", maxBody+1)))
	})
	wantFailure(t, r.Run(t.Context(), lease(t, nil)), tooLarge)
}

func TestFailedTaskStatesItsCost(t *testing.T) {
	r := api(t, Config{}, fixed(200, `{"status":"failed","budget_used":0.07}`))
	f := wantFailure(t, r.Run(t.Context(), lease(t, nil)), taskFailed)
	if f.BudgetUsedUsd == nil || f.GetBudgetUsedUsd() != 0.07 {
		t.Errorf("cost = %v; want 0.07", f.BudgetUsedUsd)
	}
}

// TestRefusedResultStatesItsCost: what was paid is settled, whatever is wrong with the answer (B1).
func TestRefusedResultStatesItsCost(t *testing.T) {
	deep := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	large := `"` + strings.Repeat("x", maxResult) + `"`
	for name, result := range map[string]string{"too deep": deep, "too large": large} {
		r := api(t, Config{}, fixed(200, `{"result":`+result+`,"budget_used":0.07}`))
		if f := r.Run(t.Context(), lease(t, nil)).GetFailure(); f == nil || f.BudgetUsedUsd == nil || f.GetBudgetUsedUsd() != 0.07 {
			t.Errorf("%s: failure = %v; want one that cost 0.07", name, f)
		}
	}
}

// TestWholeAnswerCountsThoughTimeIsUp: it was paid for.
func TestWholeAnswerCountsThoughTimeIsUp(t *testing.T) {
	r := newRunner(t, Config{Endpoint: "http://127.0.0.1:1"})
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	resp := &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"result":"4"}`))}
	if report := r.answer(late, resp, time.Second); report.GetResult().GetText() != "4" {
		t.Errorf("report = %v; want the result", report)
	}
}

func TestNoConnectionIsConnect(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, Config{Endpoint: "http://" + addr + "?token=hidden"})
	f := wantFailure(t, r.Run(t.Context(), lease(t, nil)), connect)
	if !strings.HasPrefix(f.GetMessage(), "http://"+addr+"/grind: connect: ") || strings.Contains(f.GetMessage(), "hidden") {
		t.Errorf("message = %q; want the endpoint first, without its query", f.GetMessage())
	}
}

func TestBrokenTLSIsConnect(t *testing.T) {
	server := httptest.NewUnstartedServer(fixed(200, "{}"))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	r := newRunner(t, Config{Endpoint: server.URL})
	wantFailure(t, r.Run(t.Context(), lease(t, nil)), connect)
}

// raw accepts connections, reads one request from each, and leaves the rest to then.
func raw(t *testing.T, then func(net.Conn)) *Runner {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() { _ = ln.Close(); <-ended })
	go func() {
		defer close(ended)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 64<<10)
			_, _ = conn.Read(buf)
			then(conn)
			_ = conn.Close()
		}
	}()
	return newRunner(t, Config{Endpoint: "http://" + ln.Addr().String()})
}

func TestConnectionLostAfterSendingIsTimeoutAndNotRepeated(t *testing.T) {
	var calls atomic.Int32
	r := raw(t, func(net.Conn) { calls.Add(1) })
	f := wantFailure(t, r.Run(t.Context(), lease(t, nil)), timeout)
	if calls.Load() != 1 || !strings.Contains(f.GetMessage(), "connection lost before an answer came") {
		t.Errorf("%d calls, message %q; want one call", calls.Load(), f.GetMessage())
	}
}

// TestKeptConnectionLostIsNotRepeated shows that the transport's own repetition, which an Idempotency-Key invites, is off.
func TestKeptConnectionLostIsNotRepeated(t *testing.T) {
	var calls atomic.Int32
	r := raw(t, func(conn net.Conn) {
		calls.Add(1)
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{\"result\":\"a\"}")
		_, _ = conn.Read(make([]byte, 64<<10))
		calls.Add(1)
	})
	if report := r.Run(t.Context(), lease(t, nil)); report.GetResult() == nil {
		t.Fatalf("report = %v; want a result", report)
	}
	wantFailure(t, r.Run(t.Context(), lease(t, nil)), timeout)
	if calls.Load() != 2 {
		t.Errorf("%d calls for two tasks; want 2", calls.Load())
	}
}

func TestAnswerThatIsNoHTTPIsBadResponse(t *testing.T) {
	r := raw(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "220 mail.example ESMTP\r\n") })
	wantFailure(t, r.Run(t.Context(), lease(t, nil)), bad)
}

func TestAnswerBrokenOffIsTimeout(t *testing.T) {
	r := raw(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"result\"")
	})
	f := wantFailure(t, r.Run(t.Context(), lease(t, nil)), timeout)
	if !strings.Contains(f.GetMessage(), "200 OK: timeout: answer broke off after 9 bytes") {
		t.Errorf("message = %q", f.GetMessage())
	}
}

// hanging answers nothing, or a status and nothing more, until its caller has gone.
func hanging(header bool) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		if header {
			w.WriteHeader(200)
			_ = http.NewResponseController(w).Flush()
		}
		<-req.Context().Done()
	}
}

func TestSilentAPIIsTimeout(t *testing.T) {
	for name, c := range map[string]struct {
		own, agent time.Duration
		header     bool
	}{
		"the task's limit":       {20 * time.Millisecond, 0, false},
		"the agent's is shorter": {time.Hour, 20 * time.Millisecond, false},
		"the agent's is longer":  {20 * time.Millisecond, time.Hour, false},
		"within the body":        {20 * time.Millisecond, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := api(t, Config{Timeout: c.agent}, hanging(c.header))
			l := lease(t, nil)
			l.Task.AttemptTimeout = durationpb.New(c.own)
			f := wantFailure(t, r.Run(t.Context(), l), timeout)
			if !strings.Contains(f.GetMessage(), "answer within 20ms") {
				t.Errorf("message = %q", f.GetMessage())
			}
		})
	}
}

func TestCallerGoneGetsNothingAndTheCallIsCut(t *testing.T) {
	arrived, cut := make(chan struct{}), make(chan struct{})
	r := api(t, Config{}, func(_ http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		close(arrived)
		<-req.Context().Done()
		close(cut)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	if report := r.Run(ctx, lease(t, nil)); report != nil {
		t.Errorf("report = %v; want none", report)
	}
	<-cut
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"":                              0,
		"soon":                          0,
		"NaN":                           0,
		"7":                             7 * time.Second,
		"1.2":                           2 * time.Second,
		"0":                             time.Second,
		"-5":                            time.Second,
		"99999999999999999999":          time.Hour,
		"Wed, 02 Jan 2030 12:00:30 GMT": 30 * time.Second,
		"Wed, 02 Jan 2030 11:00:00 GMT": time.Second,
		"Wed, 02 Jan 2031 12:00:00 GMT": time.Hour,
	} {
		for _, status := range []int{429, 503, 500} {
			r := api(t, Config{}, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", header)
				w.WriteHeader(status)
			})
			got := r.Run(t.Context(), lease(t, nil)).GetFailure().GetRetryAfter()
			if status == 500 {
				if got != nil {
					t.Errorf("500 with Retry-After %q gives %v; want none", header, got)
				}
				continue
			}
			if got.AsDuration() != want || (got == nil) != (want == 0) {
				t.Errorf("%d with Retry-After %q gives %v; want %v", status, header, got, want)
			}
		}
	}
}

func TestMessageIsCutBetweenCharacters(t *testing.T) {
	r := api(t, Config{}, fixed(500, strings.Repeat("é", maxMessage)))
	f := wantFailure(t, r.Run(t.Context(), lease(t, nil)), serverError)
	if n := len(f.GetMessage()); n > maxMessage || n < maxMessage-1 || !strings.HasSuffix(f.GetMessage(), "é") {
		t.Errorf("message of %d bytes ends with %q", n, f.GetMessage()[n-2:])
	}
}
