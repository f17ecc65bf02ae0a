package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// coordinator grants one lease for each credit and records every report.
type coordinator struct {
	stintv1.UnimplementedAgentServiceServer
	reports  chan *stintv1.Report
	draining func() // called when the agent says that it drains; nil: nothing is
}

func (c *coordinator) Session(stream grpc.BidiStreamingServer[stintv1.SessionRequest, stintv1.SessionResponse]) error {
	if _, err := stream.Recv(); err != nil {
		return err
	}
	out := &stintv1.SessionResponse{Welcome: &stintv1.Welcome{LedgerId: "l",
		LeaseTtl: durationpb.New(30 * time.Second), HeartbeatInterval: durationpb.New(10 * time.Second)}}
	for granted := int64(0); ; {
		if err := stream.Send(out); err != nil {
			return err
		}
		in, err := stream.Recv()
		if err != nil {
			return nil
		}
		out = &stintv1.SessionResponse{}
		if in.GetDraining() && c.draining != nil {
			c.draining()
		}
		for _, r := range in.GetReports() {
			c.reports <- r
			out.ReportAcks = append(out.ReportAcks, &stintv1.ReportAck{LeaseId: r.GetLeaseId(), Outcome: stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED})
		}
		for ; granted < in.GetCreditTotal(); granted++ {
			out.Grants = append(out.Grants, &stintv1.Lease{LeaseId: fmt.Sprint("lease-", granted), Attempt: 1,
				Task: &stintv1.Task{Id: fmt.Sprint("task-", granted), Instruction: "What is 2+2?"}})
		}
	}
}

func (c *coordinator) serve(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	stintv1.RegisterAgentServiceServer(g, c)
	ended := make(chan error)
	go func() { ended <- g.Serve(ln) }()
	t.Cleanup(func() { g.Stop(); <-ended }) //nolint:errcheck // Stop ends it with an error
	return ln.Addr().String()
}

func serveAPI(t *testing.T, handler http.HandlerFunc) (url string) {
	t.Helper()
	api := httptest.NewServer(handler)
	t.Cleanup(api.Close)
	return api.URL
}

// run MAX_TASKS ends with 0 after that many attempts, failed or not; the key comes from a file and is in no log.
func TestRunEndsAfterMaxTasks(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("  sk-secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	url := serveAPI(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch {
		case r.Header.Get("Authorization") != "Bearer sk-secret":
			w.WriteHeader(http.StatusUnauthorized)
		case strings.Contains(string(body), "task-1"):
			http.Error(w, "broke over "+r.Header.Get("Authorization"), http.StatusInternalServerError)
		default:
			_, _ = io.WriteString(w, `{"result":"4"}`)
		}
	})
	c := &coordinator{reports: make(chan *stintv1.Report, 10)}
	code, _, stderr := runLine("", "run", "3", "--coordinator", c.serve(t), "--api-endpoint", url, "--api-key-file", key,
		"--outbox-dir", filepath.Join(t.TempDir(), "new", "folder"), "--slots", "2")
	if code != exitClean || len(c.reports) != 3 || strings.Contains(stderr, "secret") {
		t.Fatalf("exit %d, %d reports; want 0 and 3\n%s", code, len(c.reports), stderr)
	}
	for range 3 {
		r := <-c.reports
		if failed := r.GetLeaseId() == "lease-1"; failed != (r.GetFailure() != nil) {
			t.Errorf("report = %v", r)
		}
	}
	for _, line := range strings.Split(strings.TrimSpace(stderr), "\n") {
		if !regexp.MustCompile(`^time=\S+Z level=[A-Z]+ .* agent=worker_[0-9a-f]{8}( |$)`).MatchString(line) {
			t.Errorf("line %q lacks UTC time, level or agent", line)
		}
	}
}

// The first signal lets a call finish, the second cuts it; both end with 0. A terminal that goes away is told twice, by the
// shell and by the system, and is one.
func TestSignals(t *testing.T) {
	for name, signals := range map[string][]os.Signal{
		"one": {os.Interrupt}, "two": {os.Interrupt, syscall.SIGTERM}, "hang-up": {syscall.SIGHUP, syscall.SIGHUP},
	} {
		second := name == "two"
		t.Run(name, func(t *testing.T) {
			drained := make(chan struct{})
			url := serveAPI(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				signalSelf(t, signals[0])
				<-drained
				for _, next := range signals[1:] {
					signalSelf(t, next)
				}
				if second {
					<-r.Context().Done()
					return
				}
				_, _ = io.WriteString(w, `{"result":"4"}`)
			})
			c := &coordinator{reports: make(chan *stintv1.Report, 10), draining: func() { close(drained) }}
			code, _, stderr := runLine("", "run", "--coordinator", c.serve(t), "--api-endpoint", url, "--outbox-dir", t.TempDir(), "--slots", "1")
			if stopped := strings.Contains(stderr, "stopped at once"); code != exitClean || stopped != second || (len(c.reports) == 0) != second {
				t.Errorf("exit %d, %d reports\n%s", code, len(c.reports), stderr)
			}
		})
	}
}

func signalSelf(t *testing.T, s os.Signal) {
	t.Helper()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Error(err)
		return
	}
	if err := self.Signal(s); err != nil {
		t.Error(err)
	}
}

func TestRunTellsAllFaultsAtOnce(t *testing.T) {
	t.Setenv("STINT_API_KEY", "sk-secret")
	outbox := filepath.Join(t.TempDir(), "outbox")
	code, _, stderr := runLine("", "run", "--slots", "0", "--coordinator", "nowhere", "--label", "a=b c", "--queue", "-", "--drain=-1s",
		"--api-endpoint", "nowhere", "--api-dialect", "soap", "--api-timeout=-1s", "--api-key-file", "some", "--idle-interval", "0s", "--agent-id", "-",
		"--outbox-dir", outbox)
	for _, want := range []string{"slots 0", `coordinator "nowhere"`, `label "a=b c"`, `queue "-"`, "drain -1s", `api-endpoint "nowhere"`,
		`api-dialect "soap"`, "api-timeout -1s", `api-key-file "some" is given and STINT_API_KEY is set`, "idle-interval 0s", `agent-id "-"`} {
		if !strings.Contains(stderr, want) {
			t.Errorf("errors lack %q", want)
		}
	}
	if _, err := os.Stat(outbox); code != exitError || err == nil || strings.Contains(stderr, "secret") {
		t.Errorf("exit %d, outbox %v; want 1 and nothing done\n%s", code, err, stderr)
	}
}

func TestKeyFileFaults(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	large := filepath.Join(t.TempDir(), "large")
	for file, size := range map[string]int{empty: 0, large: maxKeyFile + 1} {
		if err := os.WriteFile(file, bytes.Repeat([]byte("k"), size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for file, want := range map[string]string{empty: "has 0 bytes and no key", large: "and no key in them", empty + "-": "no such file", t.TempDir(): "api-key-file"} {
		if _, err := (&runCmd{APIKeyFile: file}).apiKey(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v; want %q", file, err, want)
		}
	}
}

func TestLoggerFaultsAndForms(t *testing.T) {
	for _, bad := range [][2]string{{"loud", "text"}, {"info", "xml"}} {
		if _, err := newLogger(io.Discard, bad[0], bad[1]); err == nil || !strings.Contains(err.Error(), "is unknown; give ") {
			t.Errorf("%v: error %v", bad, err)
		}
	}
	var out bytes.Buffer
	logger, err := newLogger(&out, "warn", "json")
	if err != nil {
		t.Fatal(err)
	}
	logger.Info("not this")
	logger.Warn("this", "fact", 1)
	if !regexp.MustCompile(`^\{"time":"[^"]+Z","level":"WARN","msg":"this","fact":1\}\n$`).MatchString(out.String()) {
		t.Errorf("log = %q", out.String())
	}
}

// linesOf is a writer that counts the writes.
type linesOf struct {
	mu     sync.Mutex
	writes int
	text   string
}

func (l *linesOf) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	l.text += string(p)
	return len(p), nil
}

func (l *linesOf) found() (writes int, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.writes, l.text
}

func TestLinesOfAMomentAreWrittenTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out linesOf
		g := &gatherer{to: &out}
		_, _ = g.Write([]byte("a\n"))
		_, _ = g.Write([]byte("b\n"))
		if writes, text := out.found(); writes != 0 {
			t.Errorf("written at once: %q", text)
		}
		time.Sleep(gatherTime)
		synctest.Wait()
		if writes, text := out.found(); writes != 1 || text != "a\nb\n" {
			t.Errorf("%d writes of %q; want one of both lines", writes, text)
		}
		_, _ = g.Write([]byte("c\n"))
		g.flush()
		if writes, text := out.found(); writes != 2 || text != "a\nb\nc\n" {
			t.Errorf("%d writes of %q; want one more at the flush", writes, text)
		}
	})
}

// TestLogThatNobodyReadsStopsNothing: with the loop that writes it would stop the heartbeats.
func TestLogThatNobodyReadsStopsNothing(t *testing.T) {
	read, stuck := io.Pipe()
	g := &gatherer{to: stuck}
	go g.flush()
	line := []byte(strings.Repeat("x", 1<<10))
	for range 20 * gatherMost / len(line) {
		_, _ = g.Write(line)
	}
	g.mu.Lock()
	if len(g.lines) > gatherMost {
		t.Errorf("%d bytes wait; want at most %d", len(g.lines), gatherMost)
	}
	g.mu.Unlock()
	g.end() // as nobody reads, it must not wait for ever
	lost := 0
	g.tell = func(n int) { lost += n }
	_ = read.Close()
	g.flush()
	g.flush()
	if lost == 0 {
		t.Error("nobody was told of the lines that are lost")
	}
}
