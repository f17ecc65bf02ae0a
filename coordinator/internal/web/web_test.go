package web

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Health lives as long as the process, readiness follows the coordinator, and nothing else is
// served.
func TestPort(t *testing.T) {
	var ready atomic.Bool
	s := New(ready.Load, slog.New(slog.DiscardHandler))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range []struct {
		method, path string
		ready        bool
		code         int
		text         string
	}{
		{"GET", "/healthz", false, 200, "ok\n"},
		{"GET", "/readyz", false, 503, "not ready\n"},
		{"GET", "/readyz", true, 200, "ready\n"},
		{"HEAD", "/readyz", true, 200, ""},
		{"POST", "/readyz", true, 405, "Method Not Allowed\n"},
		{"GET", "/", true, 404, "404 page not found\n"},
	} {
		ready.Store(c.ready)
		request, err := http.NewRequestWithContext(ctx, c.method, "http://"+l.Addr().String()+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		reply, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(reply.Body)
		_ = reply.Body.Close()
		if err != nil || reply.StatusCode != c.code || string(text) != c.text {
			t.Errorf("%s %s: %d %q (%v), want %d %q", c.method, c.path, reply.StatusCode, text, err, c.code, c.text)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if s.Run(context.Background(), l) == nil {
		t.Error("a closed listener is no error")
	}
}
