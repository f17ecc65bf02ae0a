package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"runtime/debug"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	// defaultAttemptTimeout is for a lease whose task has none set; the coordinator fills in the same.
	defaultAttemptTimeout = 120 * time.Second

	// connectTimeout bounds name look-up, dial and TLS, each; a machine that takes longer is as good as away.
	connectTimeout = 10 * time.Second

	// idleConnTimeout is short, so that a connection which the API or a proxy has given up is seldom taken for a call:
	// a call lost on one is of unknown outcome.
	idleConnTimeout = 10 * time.Second

	// idleConns covers the usual number of slots; further connections are closed after their call.
	idleConns = 64

	// maxHeaderBytes bounds the header of an answer.
	maxHeaderBytes = 64 << 10

	// maxResult is the largest encoded Result, in bytes, that a coordinator takes.
	maxResult = 1 << 20

	// maxGrowth is more than how many bytes of a Result a byte of an answer can become: lists of one-digit numbers, told in
	// output and usage, come to eleven.
	maxGrowth = 16
)

// Runner calls one API. Run may be called from any number of goroutines.
type Runner struct {
	cfg     Config
	dialect dialect
	url     string
	shown   string        // the endpoint as messages show it: without query
	request *http.Request // what all requests have in common
	api     *http.Transport
}

// New checks cfg and builds a Runner; it connects to nothing. The error joins all faults found.
func New(cfg Config) (*Runner, error) {
	endpoint, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	d := dialects[cfg.Dialect]
	if d.path() != "" {
		endpoint = endpoint.JoinPath(d.path())
	}
	shown := url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host, Path: endpoint.Path}
	request, err := newTemplate(cfg, endpoint)
	if err != nil {
		return nil, err
	}
	return &Runner{cfg: cfg, dialect: d, url: endpoint.String(), shown: shown.String(), request: request, api: newTransport()}, nil
}

// newTemplate is a request without what differs from task to task.
func newTemplate(cfg Config, endpoint *url.URL) (*http.Request, error) {
	req, err := http.NewRequest(http.MethodPost, endpoint.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("runner: api-endpoint: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "stint-agent/"+cfg.Version)
	if cfg.APIKey != "" {
		req.Header.Set("Authorization", "Bearer "+cfg.APIKey)
	}
	return req, nil
}

// newTransport speaks HTTP/1.1 only: one call a connection, so that a broken connection is the fate of one task. It is
// used without an http.Client, which would follow redirects.
func newTransport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: connectTimeout}).DialContext,
		TLSHandshakeTimeout:    connectTimeout,
		IdleConnTimeout:        idleConnTimeout,
		MaxIdleConns:           idleConns,
		MaxIdleConnsPerHost:    idleConns,
		MaxResponseHeaderBytes: maxHeaderBytes,
		Protocols:              protocols,
	}
}

// Close drops idle connections; calls under way go on.
func (r *Runner) Close() { r.api.CloseIdleConnections() }

// Run runs the lease's task once and returns its report, with lease id. It returns nil if and only if ctx has ended: the
// call is cut, and nobody wants to know any more.
func (r *Runner) Run(ctx context.Context, lease *stintv1.Lease) (report *stintv1.Report) {
	defer func() {
		if p := recover(); p != nil {
			report = r.failed(stintv1.FailureClass_FAILURE_CLASS_INTERNAL, 0, "panic: %v\n%s", p, debug.Stack())
		}
		if ctx.Err() != nil {
			report = nil
			return
		}
		report.LeaseId = lease.GetLeaseId()
	}()
	task, err := withResults(lease)
	if err != nil {
		return r.failed(stintv1.FailureClass_FAILURE_CLASS_INVALID_REQUEST, 0, "%v", err)
	}
	body, err := r.dialect.request(task)
	if err != nil {
		return r.failed(stintv1.FailureClass_FAILURE_CLASS_INVALID_REQUEST, 0, "%v", err)
	}
	return r.call(ctx, lease, body)
}

// timeout is how long the lease's call may take.
func (r *Runner) timeout(task *stintv1.Task) time.Duration {
	limit := defaultAttemptTimeout
	if own := task.GetAttemptTimeout(); own != nil {
		limit = own.AsDuration()
	}
	if r.cfg.Timeout > 0 {
		limit = min(limit, r.cfg.Timeout)
	}
	return limit
}

// errSent refuses the transport a second go at a request that the API may have seen.
var errSent = errors.New("connection lost after the request was sent")

func (r *Runner) call(ctx context.Context, lease *stintv1.Lease, body []byte) *stintv1.Report {
	limit := r.timeout(lease.GetTask())
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var p progress
	ctx = httptrace.WithClientTrace(ctx, p.trace())
	resp, err := r.api.RoundTrip(r.newRequest(ctx, lease, body, &p))
	if err != nil {
		return r.broken(ctx, err, &p, limit)
	}
	defer func() { _ = resp.Body.Close() }() // an answer half read takes its connection with it; nothing to do about it
	return r.answer(ctx, resp, limit)
}

// newRequest shares with others what nobody changes. The transport asks for the body once more when a connection that was
// kept turns out to be dead.
func (r *Runner) newRequest(ctx context.Context, lease *stintv1.Lease, body []byte, p *progress) *http.Request {
	req := r.request.WithContext(ctx)
	req.Header = maps.Clone(r.request.Header)
	req.Header["Idempotency-Key"] = []string{lease.GetTask().GetId()}
	req.Header["Stint-Attempt"] = []string{strconv.Itoa(int(lease.GetAttempt()))}
	req.ContentLength = int64(len(body))
	req.Body = io.NopCloser(bytes.NewReader(body))
	req.GetBody = func() (io.ReadCloser, error) {
		if p.wasWritten() {
			return nil, errSent
		}
		return io.NopCloser(bytes.NewReader(body)), nil
	}
	return req
}

// succeeded is a report of res, made of an answer of some bytes, if a coordinator can take it. To measure a Result takes as
// long as to encode it, so it is not done for a short answer.
func (r *Runner) succeeded(status int, res *stintv1.Result, answer int) *stintv1.Report {
	for _, s := range []struct {
		name  string
		depth int
	}{{"output", structDepth(res.GetOutput())}, {"usage", structDepth(res.GetUsage())}} {
		if s.depth > maxDepth {
			return r.refused(status, &refusal{class: stintv1.FailureClass_FAILURE_CLASS_BAD_RESPONSE, cost: res.BudgetUsedUsd,
				text: fmt.Sprintf("%s is nested %d deep; at most %d can be recorded", s.name, s.depth, maxDepth)})
		}
	}
	if answer*maxGrowth <= maxResult {
		return &stintv1.Report{Result: res}
	}
	if size := proto.Size(res); size > maxResult {
		return r.refused(status, &refusal{class: stintv1.FailureClass_FAILURE_CLASS_RESULT_TOO_LARGE, cost: res.BudgetUsedUsd,
			text: fmt.Sprintf("result has %d bytes; at most %d can be recorded", size, maxResult)})
	}
	return &stintv1.Report{Result: res}
}

// refused is a report of what the dialect found wrong with an answer.
func (r *Runner) refused(status int, f *refusal) *stintv1.Report {
	report := r.failed(f.class, status, "%s", f.text)
	report.Failure.BudgetUsedUsd = f.cost
	return report
}

// failed builds the report of a failure; its message begins with the status, or without one with the endpoint.
func (r *Runner) failed(class stintv1.FailureClass, status int, format string, args ...any) *stintv1.Report {
	return &stintv1.Report{Failure: &stintv1.Failure{
		FailureClass: class,
		HttpStatus:   int32(status),
		Message:      r.message(class, status, fmt.Sprintf(format, args...)),
	}}
}
