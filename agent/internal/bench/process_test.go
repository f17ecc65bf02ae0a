package bench

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// A program is ready with the line that is looked for, and ends when told to.
func TestLaunch(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Setenv(helperVariable, "stay")
	p, what, err := launch(t.Context(), saying(sitting), os.Args[0])
	if err != nil || what != "5" {
		t.Fatalf("got %q, %v", what, err)
	}
	p.kill()
	if text := p.tail.String(); !strings.Contains(text, "hello") {
		t.Errorf("the tail is %q", text)
	}
	t.Setenv(helperVariable, "echo")
	if p, _, err = launch(t.Context(), saying(echoing), os.Args[0]); err != nil {
		t.Fatal(err)
	}
	_ = p.stdin.Close()
	<-p.over
	if p.err != nil {
		t.Error(p.err)
	}
}

// A program is told to end by the signal alone: its input ends only with the bench.
func TestEnd(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Setenv(helperVariable, "told")
	p, _, err := launch(t.Context(), saying(sitting), os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := p.end(); err != nil {
		t.Error(err)
	}
}

// A program that ends before it is ready is an error with its last words; so is none at all.
func TestLaunchFails(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	t.Setenv(helperVariable, "fail")
	_, _, err := launch(t.Context(), saying(sitting), os.Args[0])
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "the port is taken") {
		t.Errorf("got %v", err)
	}
	if _, _, err := launch(t.Context(), saying(sitting), "./nothing"); err == nil || !strings.Contains(err.Error(), "build both") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	t.Setenv(helperVariable, "stay")
	if _, _, err := launch(ctx, saying("never"), os.Args[0]); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// The log lines of the programs tell their addresses.
func TestServingLines(t *testing.T) {
	if got, ok := serving(`{"msg":"serving","grpc":"127.0.0.1:9","http":"127.0.0.1:8"}`); !ok || got != "127.0.0.1:9" {
		t.Errorf("got %q, %v", got, ok)
	}
	if got, ok := sandboxServing(`{"msg":"serving","http":"127.0.0.1:8"}`); !ok || got != "127.0.0.1:8" {
		t.Errorf("got %q, %v", got, ok)
	}
	for _, line := range []string{"", "serving", `{"msg":"starting"}`} {
		if _, ok := serving(line); ok {
			t.Errorf("%q counts as serving", line)
		}
	}
}
