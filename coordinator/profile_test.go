package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A profile is whole after the run, whatever the run's end, and none is written unasked.
func TestProfiled(t *testing.T) {
	name := filepath.Join(t.TempDir(), "cpu")
	failed := errors.New("failed")
	if err := profiled(name, func() error { return failed }); !errors.Is(err, failed) {
		t.Errorf("error %v, want the run's", err)
	}
	profile, err := os.ReadFile(name)
	if err != nil || len(profile) < 2 || profile[0] != 0x1f || profile[1] != 0x8b {
		t.Errorf("%d bytes that begin otherwise than gzip's: %v", len(profile), err)
	}
	if err := profiled("", func() error { return nil }); err != nil {
		t.Error(err)
	}
	err = profiled(filepath.Join(name, "x"), func() error { t.Error("it ran"); return nil })
	if err == nil || !strings.Contains(err.Error(), "--cpu-profile") {
		t.Errorf("error %v names no flag", err)
	}
}
