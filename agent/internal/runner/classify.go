package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	// maxBody is the largest answer read, in bytes after decompression: a result of 1 MiB with every character escaped.
	maxBody = 8 << 20

	// maxHint is the most memory, in bytes, that is taken for an answer before any of it has come.
	maxHint = 64 << 10

	// maxErrorBody is how much is read of the body of an error answer; messages quote far less.
	maxErrorBody = 64 << 10

	// maxMessage is where a coordinator cuts a failure's message, in bytes.
	maxMessage = 4 << 10

	// minRetryAfter and maxRetryAfter bound what an API may ask for.
	minRetryAfter = time.Second
	maxRetryAfter = time.Hour
)

// statusClasses are the statuses with a meaning of their own; the others go by their hundred.
var statusClasses = map[int]stintv1.FailureClass{
	http.StatusUnauthorized:       stintv1.FailureClass_FAILURE_CLASS_AUTH,
	http.StatusPaymentRequired:    stintv1.FailureClass_FAILURE_CLASS_OUT_OF_CREDIT,
	http.StatusForbidden:          stintv1.FailureClass_FAILURE_CLASS_AUTH,
	http.StatusTooManyRequests:    stintv1.FailureClass_FAILURE_CLASS_RATE_LIMITED,
	http.StatusServiceUnavailable: stintv1.FailureClass_FAILURE_CLASS_OVERLOADED,
	529:                           stintv1.FailureClass_FAILURE_CLASS_OVERLOADED, // "site is overloaded", unregistered but in use
}

// broken reports a call that got no answer.
func (r *Runner) broken(ctx context.Context, err error, p *progress, limit time.Duration) *stintv1.Report {
	late := errors.Is(ctx.Err(), context.DeadlineExceeded)
	sent := p.sent()
	switch {
	case !sent && late:
		return r.failed(stintv1.FailureClass_FAILURE_CLASS_CONNECT, 0, "no connection within %v", limit)
	case !sent:
		return r.failed(stintv1.FailureClass_FAILURE_CLASS_CONNECT, 0, "%v", err)
	case late:
		return r.failed(stintv1.FailureClass_FAILURE_CLASS_TIMEOUT, 0, "no answer within %v", limit)
	case p.wasAnswered() && !isLost(err):
		return r.failed(stintv1.FailureClass_FAILURE_CLASS_BAD_RESPONSE, 0, "%v", err)
	}
	return r.failed(stintv1.FailureClass_FAILURE_CLASS_TIMEOUT, 0, "connection lost before an answer came: %v", err)
}

// isLost tells a connection that broke from an answer that is no HTTP.
func isLost(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, errSent)
}

// answer reports an answer, of whatever status.
func (r *Runner) answer(ctx context.Context, resp *http.Response, limit time.Duration) *stintv1.Report {
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return r.errorStatus(resp)
	}
	body, err := readBody(resp)
	switch {
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return r.failed(stintv1.FailureClass_FAILURE_CLASS_TIMEOUT, resp.StatusCode, "no whole answer within %v", limit)
	case err != nil && isLost(err):
		return r.failed(stintv1.FailureClass_FAILURE_CLASS_TIMEOUT, resp.StatusCode, "answer broke off after %d bytes: %v", len(body), err)
	case err != nil:
		return r.failed(stintv1.FailureClass_FAILURE_CLASS_BAD_RESPONSE, resp.StatusCode, "answer could not be read: %v", err)
	case len(body) > maxBody:
		return r.failed(stintv1.FailureClass_FAILURE_CLASS_RESULT_TOO_LARGE, resp.StatusCode, "answer is over %d bytes", maxBody)
	}
	object, refusal := decode(body)
	if refusal != nil {
		return r.refused(resp.StatusCode, refusal)
	}
	result, refusal := r.dialect.result(object)
	if refusal != nil {
		return r.refused(resp.StatusCode, refusal)
	}
	return r.succeeded(resp.StatusCode, result, len(body))
}

// readBody reads up to a byte more than an answer may have. What the header says of the length is only a hint for the first
// piece of memory, which it can't make large.
func readBody(resp *http.Response) ([]byte, error) {
	var body bytes.Buffer
	if n := resp.ContentLength; n > 0 {
		body.Grow(int(min(n, maxHint)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(io.LimitReader(resp.Body, maxBody+1))
	return body.Bytes(), err
}

// errorStatus reports an answer outside 2xx. A body that can't be read changes nothing: the status has said it.
func (r *Runner) errorStatus(resp *http.Response) *stintv1.Report {
	status := resp.StatusCode
	if status >= 300 && status <= 399 {
		return r.failed(stintv1.FailureClass_FAILURE_CLASS_INVALID_REQUEST, status,
			"redirects are not followed; this one leads to %s: give the API's own address as api-endpoint", locationHost(resp))
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	class, known := statusClasses[status]
	switch {
	case status == http.StatusTooManyRequests && bytes.Contains(body, []byte("insufficient_quota")):
		class = stintv1.FailureClass_FAILURE_CLASS_OUT_OF_CREDIT
	case known:
	case status >= 500:
		class = stintv1.FailureClass_FAILURE_CLASS_SERVER_ERROR
	default:
		class = stintv1.FailureClass_FAILURE_CLASS_INVALID_REQUEST
	}
	report := r.failed(class, status, "%s", errorText(body))
	switch class {
	case stintv1.FailureClass_FAILURE_CLASS_RATE_LIMITED, stintv1.FailureClass_FAILURE_CLASS_OVERLOADED:
		report.Failure.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), r.cfg.Now())
	}
	return report
}

func locationHost(resp *http.Response) string {
	location, err := resp.Location()
	if err != nil || location.Host == "" {
		return "no host"
	}
	return location.Host
}

// retryAfter reads seconds or an HTTP date; nil if it is neither.
func retryAfter(header string, now time.Time) *durationpb.Duration {
	if header == "" {
		return nil
	}
	var wait time.Duration
	if seconds, err := strconv.ParseFloat(header, 64); err == nil && !math.IsNaN(seconds) {
		wait = time.Duration(math.Ceil(max(0, min(seconds, maxRetryAfter.Seconds())))) * time.Second
	} else if date, err := http.ParseTime(header); err == nil {
		wait = date.Sub(now)
	} else {
		return nil
	}
	return durationpb.New(max(minRetryAfter, min(wait, maxRetryAfter)))
}

// errorText is what an API says of an error: the usual JSON keys if it has them, otherwise the body.
func errorText(body []byte) string {
	if object, err := parseObject(body); err == nil {
		if text := statedError(object); text != "" {
			return text
		}
	}
	return string(body)
}

// message puts where, what kind and what text together, fit for a log and a coordinator.
func (r *Runner) message(class stintv1.FailureClass, status int, text string) string {
	where := r.shown
	if status != 0 {
		where = strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
	}
	kind := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(class.String(), "FAILURE_CLASS_"), "_", " "))
	if r.cfg.APIKey != "" {
		text = strings.ReplaceAll(text, r.cfg.APIKey, "[API key]")
	}
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "\uFFFD"), func(c rune) bool {
		return unicode.IsSpace(c) || unicode.IsControl(c)
	}), " ")
	if text == "" {
		text = "no text"
	}
	return cut(where+": "+kind+": "+text, maxMessage)
}

// cut shortens s to at most limit bytes without splitting a character.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}
