package blackbox

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// liveness is how long a test waits for anything: far above what a loaded machine with the race detector takes. A test
// that reaches it has found a fault; no test passes by it.
const liveness = 90 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := removePrograms(); err != nil && code == 0 {
			code = 1
		}
		os.Exit(code)
	}))
}

// bounded is a context that ends with the test, or when nothing more is to be expected.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), liveness)
	t.Cleanup(cancel)
	return ctx
}

// required skips a test for lack of a program, or fails it where all must be there.
func required(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("STINT_REQUIRE") == "all" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// eventually asks again and again until answer is true. It is for what can only be asked, like a file; where there is
// something to wait for, tests wait.
func eventually(t *testing.T, what string, answer func() bool) {
	t.Helper()
	ctx := bounded(t)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for !answer() {
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("never came: %s", what)
		}
	}
}
