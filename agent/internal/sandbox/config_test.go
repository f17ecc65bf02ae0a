package sandbox

import (
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestNewNamesFieldValueAndRemedy(t *testing.T) {
	folder := t.TempDir()
	ok := Config{Listen: "127.0.0.1:0"}
	for name, row := range map[string]struct {
		change func(*Config)
		want   []string // one a fault; none: accepted
	}{
		"least":                   {func(*Config) {}, nil},
		"default":                 {func(c *Config) { c.Listen = DefaultListen }, nil},
		"every port":              {func(c *Config) { c.Listen = ":65535" }, nil},
		"longest latency":         {func(c *Config) { c.Latency = 24 * time.Hour }, nil},
		"all fail":                {func(c *Config) { c.FailRate = 1 }, nil},
		"lowest status":           {func(c *Config) { c.Status = 200 }, nil},
		"highest status":          {func(c *Config) { c.Status = 599 }, nil},
		"late status":             {func(c *Config) { c.Status, c.Latency = 503, time.Second }, nil},
		"new log":                 {func(c *Config) { c.CallLog = filepath.Join(folder, "a", "b.jsonl") }, nil},
		"no address":              {func(c *Config) { c.Listen = "" }, []string{`listen "" is no address; give HOST:PORT`}},
		"no port":                 {func(c *Config) { c.Listen = "localhost" }, []string{`listen "localhost" is no address; give`}},
		"port too high":           {func(c *Config) { c.Listen = ":65536" }, []string{`listen ":65536" is no address; give`}},
		"port by name":            {func(c *Config) { c.Listen = ":http" }, []string{`listen ":http" is no address; give`}},
		"negative latency":        {func(c *Config) { c.Latency = -1 }, []string{"latency -1ns is out of bounds; give 0s to 24h"}},
		"latency too long":        {func(c *Config) { c.Latency = 25 * time.Hour }, []string{"latency 25h0m0s is out of bounds; give"}},
		"negative rate":           {func(c *Config) { c.FailRate = -0.1 }, []string{"fail-rate -0.1 is out of bounds; give a share from 0 to 1"}},
		"rate in percent":         {func(c *Config) { c.FailRate = 20 }, []string{"fail-rate 20 is out of bounds; give"}},
		"rate not a number":       {func(c *Config) { c.FailRate = math.NaN() }, []string{"fail-rate NaN is out of bounds; give"}},
		"status below":            {func(c *Config) { c.Status = 199 }, []string{"status 199 is out of bounds; give 200 to 599"}},
		"status above":            {func(c *Config) { c.Status = 600 }, []string{"status 600 is out of bounds; give"}},
		"status negative":         {func(c *Config) { c.Status = -1 }, []string{"status -1 is out of bounds; give"}},
		"hang with status":        {func(c *Config) { c.Hang, c.Status = true, 503 }, []string{"hang never answers, so status 503"}},
		"hang with rate":          {func(c *Config) { c.Hang, c.FailRate = true, 0.5 }, []string{"hang never answers, so status 0, fail-rate 0.5"}},
		"hang with latency":       {func(c *Config) { c.Hang, c.Latency = true, 1 }, []string{"latency 1ns can't act; leave out hang or them"}},
		"status with rate":        {func(c *Config) { c.Status, c.FailRate = 503, 0.5 }, []string{"status 503 answers every call, so fail-rate 0.5 can't act"}},
		"log is a folder":         {func(c *Config) { c.CallLog = folder }, []string{"is a folder; give the path of a file"}},
		"log is to be a folder":   {func(c *Config) { c.CallLog = filepath.Join(folder, "new") + "/" }, []string{"names a folder; give the path"}},
		"all faults told at once": {func(c *Config) { *c = Config{Latency: -1, FailRate: 2, Status: 1} }, []string{"listen", "latency -1ns", "fail-rate 2", "status 1 is", "status 1 answers"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := ok
			row.change(&cfg)
			_, err := New(cfg)
			if len(row.want) == 0 {
				if err != nil {
					t.Fatalf("refused: %v", err)
				}
				return
			}
			if err == nil {
				t.Fatal("accepted")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(row.want) {
				t.Fatalf("want %d faults, got %q", len(row.want), lines)
			}
			for i, want := range row.want {
				if !strings.HasPrefix(lines[i], "sandbox: ") || !strings.Contains(lines[i], want) {
					t.Errorf("fault %d is %q, want %q", i, lines[i], want)
				}
			}
		})
	}
}
