package main

import (
	"path/filepath"
	"testing"
)

// TestPatchesFit: whoever changes code that a bug is planted in hears of it at once, and not only when the bugs are tried.
func TestPatchesFit(t *testing.T) {
	t.Chdir("../../../..")
	names, err := filepath.Glob("coordinator/internal/faults/planted/*.patch")
	if err != nil || len(names) != wanted {
		t.Fatalf("%d patches, want %d, error %v", len(names), wanted, err)
	}
	for _, name := range names {
		b, err := readBug(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := b.overlay(t.TempDir()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
