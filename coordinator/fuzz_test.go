package main

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// FuzzConfig: whatever is given as flags of serve is refused with a message, or passes the checks
// with values within their bounds. No text ends the program by a panic.
func FuzzConfig(f *testing.F) {
	for _, s := range []string{
		"--listen\n127.0.0.1:0\n--lease-ttl\n30s", "--min-free\n256MiB", "--min-free\n99999999999GiB", "--listen\n[::1]:7070",
		"--lease-ttl\n-1s\n--log-level\nloud", "--max-live-tasks\n0", "serve\n--insecure\n--listen\n:7070",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var p program
		parser, err := kong.New(&p, kong.Name("x"), kong.Writers(io.Discard, io.Discard), kong.Exit(func(int) {}),
			kong.Bind(&console{Out: io.Discard, Err: io.Discard}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parser.Parse(strings.Split(text, "\n")); err != nil {
			return
		}
		if err := p.Serve.check(); err == nil && p.Serve.DataDir != "" &&
			(p.Serve.LeaseTTL < leastTTL || p.Serve.LeaseTTL > longest || p.Serve.MaxLiveTasks < 1) {
			t.Errorf("taken: %+v", p.Serve)
		}
	})
}

// FuzzByteSize: a size that is taken is the one that was written, without overflow.
func FuzzByteSize(f *testing.F) {
	for _, s := range []string{"0", "1KiB", "18446744073709551615", "16777216TiB", " 5 GiB", "-1", "1e3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var b, again bytesize
		if b.UnmarshalText([]byte(text)) != nil {
			return
		}
		if err := again.UnmarshalText([]byte(fmt.Sprint(uint64(b)))); err != nil || again != b {
			t.Errorf("%q is %d, and then %d, %v", text, b, again, err)
		}
	})
}
