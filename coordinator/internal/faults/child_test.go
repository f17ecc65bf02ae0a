package faults

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// A process of its own submits until its ledger fails, since Pebble ends the process when the
// manifest cannot be written. It says on standard output what it tries and what was acknowledged.
const (
	childDir   = "STINT_FAULTS_CHILD"  // the folder; set in the child only
	childFault = "STINT_FAULTS_BROKEN" // "manifest", or empty
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, "faults: ended with", submitUntilItBreaks(dir, os.Getenv(childFault)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func submitUntilItBreaks(dir, fault string) error {
	x := &trouble{file: "MANIFEST*", kinds: slices.Concat(writes, syncs)}
	failed := make(chan error, 1)
	store := pebbleledger.New(pebbleledger.Options{
		Dir: dir, FS: x.on(vfs.Default), Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		OnFatal: func(err error) { failed <- err },
	})
	e, err := engine.New(config(), store)
	if err != nil {
		return err
	}
	go func() { failed <- e.Run(context.Background()) }()
	<-e.Active()
	if fault == "manifest" {
		x.left.Store(forEver)
	}
	go func() {
		for i := 0; ; i++ {
			id := fmt.Sprint("task-", i)
			fmt.Println("try", id)
			if _, err := e.Submit(context.Background(), []queue.Spec{large(id)}, nil); err == nil {
				fmt.Println("ack", id)
			}
		}
	}()
	return <-failed
}

// broken runs the child in a folder and gives what it said; why is
// part of its last words.
func broken(t *testing.T, dir, fault, why string) (acked, tried []string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0])
	c.Env = append(os.Environ(), childDir+"="+dir, childFault+"="+fault)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Fatalf("D5: ended with %v, want status 1\n%s", err, stderr.String())
	}
	for lines := bufio.NewScanner(&stdout); lines.Scan(); {
		word, id, _ := strings.Cut(lines.Text(), " ")
		if word == "ack" {
			acked = append(acked, id)
		} else {
			tried = append(tried, id)
		}
	}
	if len(acked) == 0 || !strings.Contains(stderr.String(), why) {
		t.Errorf("%d of %d submits were acknowledged, want an end by %q:\n%s", len(acked), len(tried), why, stderr.String())
	}
	return acked, tried
}

// sound wants a ledger on the machine's disk to be whole and to have what was acknowledged.
func sound(t *testing.T, dir string, acked, tried []string) {
	t.Helper()
	if r, err := pebbleledger.Verify(t.Context(), dir, quiet, nil); err != nil {
		t.Errorf("D6: verify: %v; faults %v", err, r.Faults)
	}
	l := startOn(t, pebbleledger.New(pebbleledger.Options{Dir: dir, Logger: quiet}))
	kept(t, l, acked, tried)
	l.submit(spec("afterwards"))
	l.stop()
}

// D5, D1: a manifest that cannot be written ends the process with status 1; nothing is lost.
func TestManifestErrorEndsTheProcess(t *testing.T) {
	dir := t.TempDir()
	acked, tried := broken(t, dir, "manifest", errDisk.Error())
	sound(t, dir, acked, tried)
}
