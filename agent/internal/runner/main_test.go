package runner

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the wall clock of every runner under test.
var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func newRunner(t *testing.T, cfg Config) *Runner {
	t.Helper()
	if cfg.Dialect == "" {
		cfg.Dialect = DefaultDialect
	}
	cfg.Version = "test"
	cfg.Now = func() time.Time { return noon }
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// api starts an API and returns a runner that calls it.
func api(t *testing.T, cfg Config, handler http.HandlerFunc) *Runner {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	cfg.Endpoint = server.URL
	return newRunner(t, cfg)
}

// fixed answers every call with one status and body.
func fixed(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func lease(t *testing.T, parameters map[string]any) *stintv1.Lease {
	t.Helper()
	s, err := structpb.NewStruct(parameters)
	if err != nil {
		t.Fatal(err)
	}
	low, high := 0.05, 0.1
	return &stintv1.Lease{
		LeaseId: "lease-1",
		Attempt: 3,
		Task: &stintv1.Task{
			Id: "a", Instruction: "What is 2 < 3?", Parameters: s,
			Intensity:      stintv1.Intensity_INTENSITY_HIGH,
			Budget:         &stintv1.Budget{MinUsd: &low, MaxUsd: &high},
			AttemptTimeout: durationpb.New(time.Minute),
		},
	}
}

func wantFailure(t *testing.T, report *stintv1.Report, class stintv1.FailureClass) *stintv1.Failure {
	t.Helper()
	if report.GetResult() != nil || report.GetFailure().GetFailureClass() != class {
		t.Fatalf("report = %v; want a failure of class %v", report, class)
	}
	if report.GetLeaseId() != "lease-1" {
		t.Errorf("lease id = %q; want lease-1", report.GetLeaseId())
	}
	return report.GetFailure()
}
