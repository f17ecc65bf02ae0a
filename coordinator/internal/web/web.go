package web

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// readTimeout bounds a whole request: a probe sends a line.
	readTimeout = 10 * time.Second
	// writeTimeout bounds an answer, which is a word.
	writeTimeout = 10 * time.Second
	// idleTimeout closes a connection that is kept and not used.
	idleTimeout = 60 * time.Second
	// maxHeader bounds the header of a request, in bytes.
	maxHeader = 16 << 10
	// closing is how long answers under way may take at the end.
	closing = time.Second
)

// Server is the HTTP port. It is for one Run.
type Server struct{ http *http.Server }

// New builds the port. ready says whether the coordinator serves; it is called from any number
// of goroutines and must not block.
func New(ready func() bool, logger *slog.Logger) *Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready() {
			say(w, http.StatusServiceUnavailable, "not ready")
			return
		}
		say(w, http.StatusOK, "ready")
	})
	return &Server{http: &http.Server{
		Handler: mux, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}}
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text+"\n") // a prober that is gone needs no answer
}

// Run serves on the listener, which it closes, until ctx ends.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	served := make(chan error, 1)
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { served <- s.http.Serve(l) })
	select {
	case err := <-served:
		return fmt.Errorf("web: serve: %w", err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	if s.http.Shutdown(limit) == nil {
		return nil
	}
	if err := s.http.Close(); err != nil {
		return fmt.Errorf("web: close: %w", err)
	}
	return nil
}
