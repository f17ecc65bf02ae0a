package sandbox

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// start runs s and returns its base address and a stop that waits for Run.
func start(t *testing.T, s *Server) (url string, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	addr := s.Addr()
	if addr == "" {
		cancel()
		t.Fatal(<-done)
	}
	return "http://" + addr, func() error { cancel(); return <-done }
}

// signals is a log that tells when a message comes by.
type signals struct {
	slog.Handler
	message string
	seen    chan struct{}
}

func (h signals) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == h.message {
		h.seen <- struct{}{}
	}
	return h.Handler.Handle(ctx, r)
}

func TestRunServesUntilToldToEnd(t *testing.T) {
	var log bytes.Buffer
	path := filepath.Join(t.TempDir(), "calls.jsonl")
	s := newServer(t, Config{CallLog: path, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	url, stop := start(t, s)
	resp, err := http.Post(url+"/grind", "application/json", strings.NewReader(`{"prompt":"What is 2+2?","task_id":"t"}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := readCalls(t, path); len(got) != 1 || got[0].TaskID != "t" || got[0].Status != 200 {
		t.Errorf("in the log when the answer was there: %+v", got)
	}
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if err := stop(); err != nil {
		t.Error(err)
	}
	if want := "msg=serving http=" + strings.TrimPrefix(url, "http://"); !strings.Contains(log.String(), want) {
		t.Errorf("no %q in %q", want, log.String())
	}
	if err := s.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "run was called twice") {
		t.Errorf("second run: %v", err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		t.Error("still listening")
	}
}

func TestShutdownCutsWaitingCalls(t *testing.T) {
	for name, cfg := range map[string]Config{"hang": {Hang: true}, "latency": {Latency: 24 * time.Hour}} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			came := signals{slog.NewTextHandler(&log, nil), "call waits", make(chan struct{}, 1)}
			path := filepath.Join(t.TempDir(), "calls.jsonl")
			cfg.CallLog, cfg.Logger = path, slog.New(debugging{came})
			url, stop := start(t, newServer(t, cfg))
			answered := make(chan error, 1)
			go func() {
				resp, err := http.Post(url+"/grind", "application/json", strings.NewReader(`{"prompt":"a","task_id":"t"}`))
				if err == nil {
					_ = resp.Body.Close()
				}
				answered <- err
			}()
			<-came.seen
			if err := stop(); err != nil {
				t.Error(err)
			}
			if strings.Contains(log.String(), "slow callers cut") {
				t.Error("cut only after the grace for slow callers")
			}
			if err := <-answered; err == nil {
				t.Error("a waiting call was answered")
			}
			if got := readCalls(t, path); len(got) != 1 || got[0].Status != 0 || got[0].TaskID != "t" {
				t.Errorf("calls %+v", got)
			}
		})
	}
}

// debugging lets every level through.
type debugging struct{ signals }

func (debugging) Enabled(context.Context, slog.Level) bool { return true }

func TestRunSaysWhyItCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		cfg  Config
		want []string
	}{
		"address taken": {Config{Listen: taken.Addr().String()}, []string{"sandbox: listen " + taken.Addr().String(), "port 0 picks one"}},
		"no folder":     {Config{Listen: "127.0.0.1:0", CallLog: filepath.Join(file, "calls.jsonl")}, []string{"sandbox: call-log ", file, "give a path that can be written"}},
	} {
		s, err := New(row.cfg)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Run(t.Context())
		for _, want := range row.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %v", name, want, err)
			}
		}
		if addr := s.Addr(); addr != "" {
			t.Errorf("%s: address %q", name, addr)
		}
	}
}
