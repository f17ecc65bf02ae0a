package sandbox

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"time"
)

const (
	// maxBody is well above the largest instruction with its parameters, 512 KiB, even when all of it is escaped.
	maxBody = 4 << 20

	// standInHeader is on every answer, so that nobody takes one for a model's.
	standInHeader = "Stint-Sandbox"
	standInValue  = "stand-in"

	idempotencyHeader = "Idempotency-Key"
	attemptHeader     = "Stint-Attempt"
)

// unanswered is the status, in the call log, of a call that got no answer.
const unanswered = 0

// reply is an answer before it is written: a status and a value to be sent as JSON.
type reply struct {
	status int
	body   any
}

// Handler serves the endpoints as Run does. A call that is to get no answer panics with http.ErrAbortHandler, as
// net/http wants it. Without Run, waiting calls end only with their request's context.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// serve sends health checks and faulty addresses past the flags that misbehave.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set(standInHeader, standInValue)
	var work func(body []byte, c *call) reply
	allowed := http.MethodPost
	switch r.URL.Path {
	case "/grind":
		work = s.grind
	case "/v1/chat/completions":
		work = s.chat
	case "/healthz":
		allowed = http.MethodGet
	default:
		s.finish(w, newCall(r), failure(http.StatusNotFound, "not_found",
			"path %q is not served; use /grind, /v1/chat/completions or /healthz", r.URL.Path))
		return
	}
	switch {
	case r.Method != allowed:
		w.Header().Set("Allow", allowed)
		s.finish(w, newCall(r), failure(http.StatusMethodNotAllowed, "method_not_allowed",
			"method %s is not served at %s; use %s", r.Method, r.URL.Path, allowed))
	case work == nil:
		write(w, reply{http.StatusOK, map[string]string{"status": "ok", "api": "stand-in, no model"}})
	default:
		s.taskCall(w, r, work)
	}
}

// taskCall does the work, then lets the flags delay the answer, put another in its place or withhold it.
func (s *Server) taskCall(w http.ResponseWriter, r *http.Request, work func([]byte, *call) reply) {
	number := s.number.Add(1)
	c := newCall(r)
	rep := s.misbehave(number, answer(w, r, c, work))
	switch {
	case s.cfg.Hang:
		_ = s.record(c, unanswered) // before the wait: whoever reads the log wants to see that the call has come
		s.wait(r.Context(), c, nil)
		panic(http.ErrAbortHandler)
	case s.cfg.Latency > 0 && !s.wait(r.Context(), c, time.After(s.cfg.Latency)):
		_ = s.record(c, unanswered) // a failure is logged there, and there is nobody to answer
		panic(http.ErrAbortHandler)
	}
	s.finish(w, c, rep)
}

// answer reads the body within its bounds and hands it to work.
func answer(w http.ResponseWriter, r *http.Request, c *call, work func([]byte, *call) reply) reply {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return failure(http.StatusRequestEntityTooLarge, "request_too_large",
			"body is over %d bytes; send less text", maxBody)
	case err != nil:
		return failure(http.StatusBadRequest, "invalid_request", "body could not be read to its end: %v; send it again", err)
	}
	return work(body, c)
}

// misbehave gives the answer that the flags want in place of rep, or rep. number is the task call's, from 1.
func (s *Server) misbehave(number uint64, rep reply) reply {
	switch {
	case s.cfg.Status != 0:
		return failure(s.cfg.Status, "sandbox_status", "answered on purpose by the flag status %d", s.cfg.Status)
	case mathrand.New(mathrand.NewPCG(s.cfg.Seed, number)).Float64() < s.cfg.FailRate:
		return failure(http.StatusInternalServerError, "sandbox_failure", "failed on purpose by the flag fail-rate %v", s.cfg.FailRate)
	}
	return rep
}

// wait is true once until has fired, false if the caller has gone or Run is ending. A nil until never fires.
func (s *Server) wait(ctx context.Context, c *call, until <-chan time.Time) bool {
	s.log.Debug("call waits", "task_id", c.TaskID, "nonce", c.Nonce)
	select {
	case <-until:
		return true
	case <-ctx.Done():
	case <-s.stopping:
	}
	return false
}

// finish records the call and only then writes its answer.
func (s *Server) finish(w http.ResponseWriter, c *call, rep reply) {
	if err := s.record(c, rep.status); err != nil {
		rep = failure(http.StatusInternalServerError, "call_log", "%v", err)
	}
	write(w, rep)
}

// record returns once the call's line is on disk; without a call log, at once.
func (s *Server) record(c *call, status int) error {
	c.Status = status
	s.log.Debug("call", "path", c.Path, "task_id", c.TaskID, "nonce", c.Nonce, "status", status)
	if s.calls == nil {
		return nil
	}
	err := s.calls.append(c)
	if err != nil {
		s.log.Error("call log failed", "error", err)
	}
	return err
}

func newCall(r *http.Request) *call {
	return &call{
		Time:           time.Now().UTC(),
		IdempotencyKey: r.Header.Get(idempotencyHeader),
		Attempt:        r.Header.Get(attemptHeader),
		Nonce:          rand.Text(),
		Path:           r.URL.Path,
	}
}

type problem struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// failure is an error answer; its message starts with "sandbox: ".
func failure(status int, kind, format string, args ...any) reply {
	return reply{status, map[string]problem{"error": {Type: kind, Message: "sandbox: " + fmt.Sprintf(format, args...)}}}
}

func write(w http.ResponseWriter, rep reply) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(rep.body); err != nil {
		panic(err) // every body is one of this package's own structs
	}
	if rep.status == http.StatusNoContent || rep.status == http.StatusNotModified {
		w.WriteHeader(rep.status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(rep.status)
	_, _ = w.Write(buf.Bytes()) // the caller has gone: the call is in the log, there is nobody to tell
}
