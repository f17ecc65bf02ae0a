package runner

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// capture answers every call with success and keeps its request.
func capture(got *http.Request, body *string) http.HandlerFunc {
	return func(w http.ResponseWriter, req *http.Request) {
		data, _ := io.ReadAll(req.Body)
		*got, *body = *req.Clone(req.Context()), string(data)
		_, _ = io.WriteString(w, `{"result":"4"}`)
	}
}

func TestRequestOfEachDialect(t *testing.T) {
	parameters := map[string]any{
		"model": "m", "model_tier": "small", "temperature": 0.5, "seed": 7,
		"prompt": "forged", "task_id": "forged", "max_budget": 99, "intensity": "low",
	}
	for dialect, c := range map[string]struct{ path, body string }{
		"grind": {"/base/grind", `{"prompt":"What is 2 < 3?","task_id":"a","intensity":"high","min_budget":0.05,"max_budget":0.1,` +
			`"model":"m","model_tier":"small","seed":7,"temperature":0.5}`},
		"http": {"/base", `{"instruction":"What is 2 < 3?","parameters":{"intensity":"low","max_budget":99,"model":"m",` +
			`"model_tier":"small","prompt":"forged","seed":7,"task_id":"forged","temperature":0.5},"task_id":"a"}`},
	} {
		t.Run(dialect, func(t *testing.T) {
			var got http.Request
			var body string
			r := api(t, Config{}, capture(&got, &body))
			r = newRunner(t, Config{Endpoint: strings.TrimSuffix(r.url, "/grind") + "/base?v=1", Dialect: dialect, APIKey: "secret"})
			if report := r.Run(t.Context(), lease(t, parameters)); report.GetResult().GetText() != "4" || report.GetLeaseId() != "lease-1" {
				t.Fatalf("report = %v", report)
			}
			if got.Method != "POST" || got.URL.Path != c.path || got.URL.RawQuery != "v=1" || body != c.body {
				t.Errorf("%s %s\n%s\nwant POST %s?v=1\n%s", got.Method, got.URL, body, c.path, c.body)
			}
			for key, want := range map[string]string{
				"Authorization": "Bearer secret", "Idempotency-Key": "a", "User-Agent": "stint-agent/test",
				"Content-Type": "application/json", "Stint-Attempt": "3",
			} {
				if got.Header.Get(key) != want {
					t.Errorf("%s: %q; want %q", key, got.Header.Get(key), want)
				}
			}
		})
	}
}

func TestGrindTakesFromParametersWhatTheTaskDoesNotSay(t *testing.T) {
	low := 0.05
	for _, c := range []struct {
		name       string
		parameters map[string]any
		budget     *stintv1.Budget
		body       string
	}{
		{"no parameters, no budget", nil, nil, `{"prompt":"p","task_id":"a","intensity":"medium"}`},
		{"nothing new", map[string]any{"prompt": "forged", "min_budget": 9}, &stintv1.Budget{MinUsd: &low},
			`{"prompt":"p","task_id":"a","intensity":"medium","min_budget":0.05}`},
		{"half a budget", map[string]any{"min_budget": 9, "max_budget": 10}, &stintv1.Budget{MinUsd: &low},
			`{"prompt":"p","task_id":"a","intensity":"medium","min_budget":0.05,"max_budget":10}`},
	} {
		task := lease(t, c.parameters).GetTask()
		task.Instruction, task.Intensity, task.Budget = "p", stintv1.Intensity_INTENSITY_UNSPECIFIED, c.budget
		if body, err := (grind{}).request(task); err != nil || string(body) != c.body {
			t.Errorf("%s: %s, %v\nwant %s", c.name, body, err, c.body)
		}
	}
}

func TestWithoutKeyThereIsNoAuthorization(t *testing.T) {
	var got http.Request
	var body string
	api(t, Config{}, capture(&got, &body)).Run(t.Context(), lease(t, nil))
	if _, has := got.Header["Authorization"]; has {
		t.Error("Authorization header sent without a key")
	}
}

func TestResultOfEachDialect(t *testing.T) {
	usd := 0.06
	for _, c := range []struct {
		name, dialect, answer, output, usage string
		want                                 *stintv1.Result
	}{
		{"all fields", "grind", `{"status":"completed","result":"4","model":"m","budget_used":0.06,"usage":{"tokens":9},"task_id":"a","nonce":"n1"}`,
			`{"nonce":"n1"}`, `{"tokens":9}`, &stintv1.Result{Text: "4", Model: "m", BudgetUsedUsd: &usd}},
		{"text alone", "grind", `{"result":""}`, "", "", &stintv1.Result{}},
		{"object", "grind", `{"result":{"sum":4,"text":"<b>"}}`, `{"result":{"sum":4,"text":"<b>"}}`, "",
			&stintv1.Result{Text: `{"sum":4,"text":"<b>"}`}},
		{"number", "grind", `{"result":4}`, `{"result":4}`, "", &stintv1.Result{Text: "4"}},
		{"false", "grind", `{"result":false}`, `{"result":false}`, "", &stintv1.Result{Text: "false"}},
		{"facts of other shapes", "grind", `{"result":"4","model":1,"budget_used":-1,"usage":"much"}`,
			`{"model":1,"budget_used":-1,"usage":"much"}`, "", &stintv1.Result{Text: "4"}},
		{"text", "http", `{"text":"4","result":"no","usage":{"tokens":9}}`, `{"text":"4","result":"no","usage":{"tokens":9}}`, `{"tokens":9}`,
			&stintv1.Result{Text: "4"}},
		{"result", "http", `{"text":1,"result":"4"}`, `{"text":1,"result":"4"}`, "", &stintv1.Result{Text: "4"}},
		{"empty object", "http", `{}`, "", "", &stintv1.Result{}},
	} {
		t.Run(c.dialect+" "+c.name, func(t *testing.T) {
			c.want.Output, c.want.Usage = parse(t, c.output), parse(t, c.usage)
			r := api(t, Config{Dialect: c.dialect}, fixed(201, c.answer))
			if got := r.Run(t.Context(), lease(t, nil)).GetResult(); !proto.Equal(got, c.want) {
				t.Errorf("result = %v\nwant %v", got, c.want)
			}
		})
	}
}

func parse(t *testing.T, text string) *structpb.Struct {
	t.Helper()
	if text == "" {
		return nil
	}
	var object map[string]any
	if err := json.Unmarshal([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	s, err := structpb.NewStruct(object)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDeepestResultThatCanBeRecorded(t *testing.T) {
	deep := strings.Repeat(`[`, maxDepth-1) + strings.Repeat("]", maxDepth-1)
	r := api(t, Config{}, fixed(200, `{"result":`+deep+`}`))
	if report := r.Run(t.Context(), lease(t, nil)); report.GetResult() == nil {
		t.Errorf("report = %v; want a result", report)
	}
}

// TestResultGrowsNoMoreThanBounded holds the bound on which the size of short answers is taken for granted against what grows
// most.
func TestResultGrowsNoMoreThanBounded(t *testing.T) {
	for _, piece := range []string{"1,", "[],", "{},", "[[]],", `"",`, "1e20,", "-1,", "\"\xff\",", `"\u0001",`, "null,", `{"":0},`, "\"\u2028\","} {
		list := "[" + strings.TrimSuffix(strings.Repeat(piece, 1000), ",") + "]"
		for name, d := range dialects {
			for _, answer := range []string{`{"result":` + list + `}`, `{"usage":{"":` + list + `},"text":""}`} {
				object, refusal := decode([]byte(answer))
				if refusal != nil {
					t.Fatal(refusal.text)
				}
				result, refusal := d.result(object)
				if refusal != nil {
					continue
				}
				if size := proto.Size(result); size > maxGrowth*len(answer) {
					t.Errorf("%s: %s… of %d bytes becomes %d", name, answer[:40], len(answer), size)
				}
			}
		}
	}
}

// TestKeyIsInNoMessage shows S4 for an API that repeats what it was sent.
func TestKeyIsInNoMessage(t *testing.T) {
	r := api(t, Config{APIKey: "sk-secret"}, func(w http.ResponseWriter, req *http.Request) {
		w.WriteHeader(401)
		_, _ = io.WriteString(w, `{"error":"bad key `+req.Header.Get("Authorization")+`"}`)
	})
	f := wantFailure(t, r.Run(t.Context(), lease(t, nil)), auth)
	if strings.Contains(f.GetMessage(), "secret") || !strings.Contains(f.GetMessage(), "bad key Bearer [API key]") {
		t.Errorf("message = %q", f.GetMessage())
	}
}

// TestRedirectIsNotFollowed shows that neither task nor key goes to an address that is not configuration.
func TestRedirectIsNotFollowed(t *testing.T) {
	called := false
	other := api(t, Config{}, func(http.ResponseWriter, *http.Request) { called = true })
	r := api(t, Config{APIKey: "secret"}, func(w http.ResponseWriter, req *http.Request) {
		http.Redirect(w, req, other.url, http.StatusTemporaryRedirect)
	})
	f := wantFailure(t, r.Run(t.Context(), lease(t, nil)), invalid)
	host := strings.TrimSuffix(strings.TrimPrefix(other.url, "http://"), "/grind")
	if called || !strings.Contains(f.GetMessage(), "leads to "+host) {
		t.Errorf("called = %v, message = %q", called, f.GetMessage())
	}
}

type broken struct{ plain }

func (broken) request(*stintv1.Task) ([]byte, error) { return nil, errors.New("no such shape") }

func TestTaskThatCannotBeWrittenIsInvalidRequest(t *testing.T) {
	r := api(t, Config{}, fixed(200, `{}`))
	r.dialect = broken{}
	wantFailure(t, r.Run(t.Context(), lease(t, nil)), invalid)
}

type panicking struct{ plain }

func (panicking) result(*structpb.Struct) (*stintv1.Result, *refusal) { panic("no such thing") }

func TestPanicInADialectIsInternal(t *testing.T) {
	r := api(t, Config{}, fixed(200, `{}`))
	r.dialect = panicking{}
	f := wantFailure(t, r.Run(t.Context(), lease(t, nil)), internal)
	if !strings.Contains(f.GetMessage(), "internal: panic: no such thing") {
		t.Errorf("message = %q", f.GetMessage())
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	_, err := New(Config{Endpoint: "localhost:8420", Dialect: "soap", Timeout: -1, APIKey: "a\nb"})
	for _, want := range []string{
		`api-endpoint "localhost:8420"`, `api-dialect "soap" is unknown; give one of grind, http`, "api-timeout -1ns is negative", "the API key has characters",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
	for _, endpoint := range []string{"", "ftp://a", "http://", "http://u:secret@a/", "http://u:secret@a:b/", "http://a/#b"} {
		_, err := New(Config{Endpoint: endpoint, Dialect: "grind"})
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("endpoint %q: error %v; want one that holds no password", endpoint, err)
		}
	}
}
