package blackbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// api is an API in the test itself: it keeps what agents sent, and answers what the test wants.
type api struct {
	addr string

	mu   sync.Mutex
	seen []map[string]any
}

// serveAPI starts one; handle writes the answer to a call, nil answers each with a result.
func serveAPI(t *testing.T, handle http.HandlerFunc) *api {
	t.Helper()
	a := &api{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.keep(t, r)
		if handle == nil {
			_, _ = io.WriteString(w, `{"status":"completed","result":"done"}`)
			return
		}
		handle(w, r)
	}))
	t.Cleanup(server.Close)
	a.addr = strings.TrimPrefix(server.URL, "http://")
	return a
}

func (a *api) keep(t *testing.T, r *http.Request) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		t.Errorf("%s %s: body: %v", r.Method, r.URL, err)
	}
	body["method and path"] = r.Method + " " + r.URL.Path
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, body)
}

// calls are those so far, with their bodies.
func (a *api) calls() []map[string]any {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]map[string]any(nil), a.seen...)
}

// refusingAddress is one where nobody listens.
func refusingAddress(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	return strings.TrimPrefix(server.URL, "http://")
}

// hanging answers no call until the test ends.
func hanging(t *testing.T) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-t.Context().Done():
		}
	}
}

// held answers no call before the channel is closed.
func held(until <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-until:
			_, _ = io.WriteString(w, `{"result":"done"}`)
		case <-r.Context().Done():
		}
	}
}

// closing answers no call, and tells when one was closed by its caller.
func closing(closed chan<- struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		closed <- struct{}{}
	}
}
