package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
)

// journal is a log that can be waited on.
type journal struct {
	mu    sync.Mutex
	text  bytes.Buffer
	wrote chan struct{}
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	select {
	case j.wrote <- struct{}{}:
	default:
	}
	return j.text.Write(p)
}

// find waits for a line and gives what the pattern's groups match.
func (j *journal) find(ctx context.Context, t *testing.T, pattern string) []string {
	t.Helper()
	for {
		j.mu.Lock()
		found := regexp.MustCompile(pattern).FindStringSubmatch(j.text.String())
		j.mu.Unlock()
		if found != nil {
			return found
		}
		select {
		case <-j.wrote:
		case <-ctx.Done():
			t.Fatalf("no %q in %s", pattern, &j.text)
		}
	}
}

// started is a coordinator on free ports; stop ends it as a signal does.
func started(t *testing.T, dir string) (grpcAddress, httpAddress string, stop func() error) {
	t.Helper()
	s := good()
	s.Listen, s.HTTP, s.DataDir, s.Drain = "127.0.0.1:0", "127.0.0.1:0", dir, time.Minute
	ctx, cancel := context.WithCancel(context.Background())
	log := &journal{wrote: make(chan struct{}, 1)}
	done := make(chan error, 1)
	ended, end := context.WithCancel(context.Background())
	go func() {
		done <- s.serve(ctx, context.Background(), slog.New(slog.NewTextHandler(log, nil)))
		end()
	}()
	serving := log.find(ended, t, `msg=serving grpc=(\S+) http=(\S+)`)
	return serving[1], serving[2], func() error {
		cancel()
		return <-done
	}
}

// The coordinator says where it serves, keeps what was submitted over a restart, and refuses a
// folder that another one holds.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	for _, existed := range []bool{false, true} {
		address, side, stop := started(t, dir)
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		reply, err := stintv1.NewTaskServiceClient(conn).SubmitTask(t.Context(),
			&stintv1.SubmitTaskRequest{Task: &stintv1.Task{Id: "hello", Instruction: "What is 2+2?"}})
		if err != nil || reply.GetAlreadyExisted() != existed {
			t.Errorf("submit: %v (%v)", reply, err)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		ready, err := client.Get("http://" + side + "/readyz")
		if err != nil || ready.StatusCode != http.StatusOK {
			t.Errorf("readyz: %v (%v)", ready, err)
		} else {
			_ = ready.Body.Close()
		}
		second := good()
		second.Listen, second.HTTP, second.DataDir = "127.0.0.1:0", "127.0.0.1:0", dir
		err = second.serve(t.Context(), context.Background(), slog.New(slog.DiscardHandler))
		if !errors.Is(err, ledger.ErrLocked) || !strings.Contains(err.Error(), "--data-dir") {
			t.Errorf("a second coordinator: %v", err)
		}
		_ = conn.Close()
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	}
}
