package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Wrong usage ends with 1, the usage and what is wrong; help with 0.
func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		env  [2]string
		code int
		says []string
	}{
		{args: []string{"--help"}, code: 0, says: []string{"serve"}},
		{args: []string{"serve", "--help"}, code: 0, says: []string{"--lease-ttl", "30s", "STINT_LEASE_TTL", "256MiB"}},
		{args: []string{"fly"}, code: 1, says: []string{"Usage:", "fly"}},
		{args: []string{"--wings"}, code: 1, says: []string{"Usage:", "--wings"}},
		{args: []string{"--ledger", "postgres://x"}, code: 1, says: []string{"--ledger"}},
		{args: []string{"--lease-ttl", "soon"}, code: 1, says: []string{"--lease-ttl", "soon"}},
		{args: []string{"--min-free", "lots"}, code: 1, says: []string{"--min-free", "lots", "256MiB"}},
		{env: [2]string{"STINT_MAX_LIVE_TASKS", "x"}, code: 1, says: []string{"--max-live-tasks", "STINT_MAX_LIVE_TASKS", "x"}},
		{
			args: []string{"--listen", "0.0.0.0:7070", "--lease-ttl", "1ms", "--log-level", "loud", "--retain=-1s"}, code: 1,
			says: []string{`--listen is "0.0.0.0:7070"`, "--insecure", "--lease-ttl is 1ms: give 1s to 1h", `--log-level is "loud"`, "--retain is -1s"},
		},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			if c.env[0] != "" {
				t.Setenv(c.env[0], c.env[1])
			}
			var stdout, stderr bytes.Buffer
			if code := run(c.args, &stdout, &stderr); code != c.code {
				t.Errorf("exit %d, want %d", code, c.code)
			}
			for _, s := range c.says {
				if !strings.Contains(stdout.String()+stderr.String(), s) {
					t.Errorf("no word of %q in\n%s%s", s, &stdout, &stderr)
				}
			}
			if c.code != 0 && stdout.Len() > 0 {
				t.Errorf("an error on standard output: %s", &stdout)
			}
		})
	}
}

func good() serve {
	return serve{
		Listen: "127.0.0.1:7070", HTTP: "127.0.0.1:7071", DataDir: "x", LeaseTTL: time.Second, GrantTimeout: time.Second,
		MaxLiveTasks: 1, LogLevel: "info", LogFormat: "json",
	}
}

func TestCheck(t *testing.T) {
	s := good()
	if err := s.check(); err != nil {
		t.Errorf("good settings: %v", err)
	}
	for flag, spoil := range map[string]func(*serve){
		"--listen":         func(s *serve) { s.Listen = "7070" },
		"--http":           func(s *serve) { s.HTTP = "127.0.0.1:65536" },
		"--data-dir":       func(s *serve) { s.DataDir = "" },
		"--lease-ttl":      func(s *serve) { s.LeaseTTL = 2 * time.Hour },
		"--grant-timeout":  func(s *serve) { s.GrantTimeout = 0 },
		"--retain":         func(s *serve) { s.Retain = -1 },
		"--drain":          func(s *serve) { s.Drain = -1 },
		"--max-live-tasks": func(s *serve) { s.MaxLiveTasks = 0 },
		"--log-level":      func(s *serve) { s.LogLevel = "INFO" },
		"--log-format":     func(s *serve) { s.LogFormat = "xml" },
	} {
		s := good()
		spoil(&s)
		if err := s.check(); err == nil || !strings.HasPrefix(err.Error(), flag+" is ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

// Plain text stays on this machine unless somebody says otherwise.
func TestLoopback(t *testing.T) {
	for address, local := range map[string]bool{
		"127.0.0.1:1": true, "127.8.8.8:1": true, "[::1]:1": true, "localhost:0": true,
		":7070": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "coordinator.example:1": false,
	} {
		if err := checkAddress("listen", address, false); (err == nil) != local {
			t.Errorf("%s: %v", address, err)
		}
		if err := checkAddress("listen", address, true); err != nil {
			t.Errorf("%s with --insecure: %v", address, err)
		}
	}
}

func TestBytesize(t *testing.T) {
	for text, want := range map[string]bytesize{"0": 0, "1024": 1024, "7B": 7, "1KiB": 1 << 10, "256MiB": 256 << 20, "2 GiB": 2 << 30, "1TiB": 1 << 40} {
		var got bytesize
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d (%v)", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "-1", "1MB", "99999999999GiB", "1.5GiB"} {
		var got bytesize
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %d", text, got)
		}
	}
}

// Parts end in their order, each after the one before; one that fails ends all.
func TestInOrder(t *testing.T) {
	for _, fails := range []bool{false, true} {
		ctx, cancel := context.WithCancel(context.Background())
		broken := errors.New("broken")
		var ended []string
		until := func(name string) part {
			return func(ctx context.Context) error {
				<-ctx.Done()
				ended = append(ended, name)
				return nil
			}
		}
		cuts := 0
		middle := until("middle")
		if fails {
			middle = func(context.Context) error { return broken }
		} else {
			cancel()
		}
		err := inOrder(ctx, func() { cuts++ }, until("first"), middle, until("last"))
		cancel()
		want := []string{"first", "middle", "last"}
		if fails {
			want = []string{"first", "last"}
		}
		if errors.Is(err, broken) != fails || (cuts == 1) != fails || !slices.Equal(ended, want) {
			t.Errorf("fails %v: error %v, cut %d times, ended %v", fails, err, cuts, ended)
		}
	}
}

// A part that fails while another is ending cuts that one, which may wait for what will not come.
func TestInOrderCutsAtALateFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	ending, hard := make(chan struct{}), make(chan struct{})
	broken := errors.New("broken")
	err := inOrder(ctx, func() { close(hard) },
		func(ctx context.Context) error {
			<-ctx.Done()
			close(ending)
			<-hard
			return nil
		},
		func(context.Context) error {
			<-ending
			return broken
		})
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// An address that is taken is named, with the flag.
func TestListen(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for flag, addresses := range map[string][2]string{
		"--listen": {l.Addr().String(), "127.0.0.1:0"}, "--http": {"127.0.0.1:0", l.Addr().String()},
	} {
		_, err := listen(t.Context(), addresses[0], addresses[1])
		if err == nil || !strings.Contains(err.Error(), flag) || !strings.Contains(err.Error(), l.Addr().String()) {
			t.Errorf("%s: %v", flag, err)
		}
	}
}

// Times in the log are UTC.
func TestLogTimes(t *testing.T) {
	var out bytes.Buffer
	newLogger(&out, "warn", "text").Warn("x")
	newLogger(&out, "warn", "json").Info("hidden")
	if s := out.String(); !strings.Contains(s, "Z level=WARN msg=x") || strings.Contains(s, "hidden") {
		t.Errorf("got %q", s)
	}
}

func TestFreeBytes(t *testing.T) {
	if n, err := freeBytes(t.TempDir()); err != nil || n == 0 {
		t.Errorf("%d bytes (%v)", n, err)
	}
	if _, err := freeBytes(t.TempDir() + "/nowhere"); err == nil {
		t.Error("a folder that is not there has free bytes")
	}
}
