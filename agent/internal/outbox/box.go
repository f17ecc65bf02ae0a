package outbox

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	damagedDir = "damaged"
	refusedDir = "refused"

	// refusedFor is how long a refused success is kept for people to fetch.
	refusedFor = 7 * 24 * time.Hour

	// purgeInterval is how often refused successes are looked through for old ones.
	purgeInterval = time.Hour
)

// Config says where reports are kept. All times are the wall clock's.
type Config struct {
	// Dir holds the folders of all agents of this machine; it is made if need be.
	Dir string
	// AgentID names the folder; "": the first that is free, or a new one.
	AgentID string
	// Logger takes the log; nil discards it.
	Logger *slog.Logger
	// Now dates refused successes; nil: time.Now.
	Now func() time.Time
}

// Box is the open outbox of one agent.
type Box struct {
	id     string
	folder string
	lock   *os.File
	log    *slog.Logger
	now    func() time.Time
	write  func(path string, data []byte) error // replaced by tests
	remove func(path string) error              // replaced by tests

	mu       sync.Mutex
	next     uint64            // the name of the next entry
	pending  map[string]*entry // by lease id
	refusing []refusedEntry    // refused, and the disk did not take that yet
	leftover []string          // entries that are done with and could not be deleted yet
	purged   time.Time
}

// entry is one report. Its number and report never change; mu guards its file.
type entry struct {
	number   uint64
	ledgerID string
	report   *stintv1.Report

	mu      sync.Mutex
	written bool
	done    bool // no longer wanted: a late write would bring it back
}

// Open claims the folder, sets aside what it cannot read there, and returns the reports that were pending as pending. The
// error tells what to do; no file is changed by a refused call.
func Open(cfg Config) (*Box, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Dir == "" {
		return nil, errors.New("outbox: outbox-dir is empty; give a folder")
	}
	id, lock, err := claim(cfg.Dir, cfg.AgentID)
	if err != nil {
		return nil, err
	}
	b := &Box{
		id: id, folder: filepath.Join(cfg.Dir, id), lock: lock, log: cfg.Logger.With("agent", id), now: cfg.Now,
		write: writeFile, remove: removeFile, pending: map[string]*entry{}, next: 1,
	}
	if err := b.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return b, nil
}

// AgentID is the id under which the folder was claimed.
func (b *Box) AgentID() string { return b.id }

// Close gives the folder up. What is pending stays on disk.
func (b *Box) Close() error {
	if err := b.lock.Close(); err != nil {
		return fmt.Errorf("outbox: close lock: %w", err)
	}
	return nil
}

// Put makes a report pending and returns once it is on disk, or once the disk has refused it. A lease that has a report
// already keeps that one.
func (b *Box) Put(ledgerID string, report *stintv1.Report) {
	b.mu.Lock()
	if b.pending[report.GetLeaseId()] != nil {
		b.mu.Unlock()
		return
	}
	e := &entry{number: b.next, ledgerID: ledgerID, report: report}
	b.next++
	b.pending[report.GetLeaseId()] = e
	b.mu.Unlock()
	b.save(e)
}

// save writes e unless it is written or done with.
func (b *Box) save(e *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.written || e.done {
		return
	}
	data, err := encodeEntry(e.ledgerID, e.report)
	if err == nil {
		err = b.write(b.path(e), data)
	}
	if err != nil {
		b.log.Error("report not on disk, kept in memory", "lease", e.report.GetLeaseId(), "error", err)
		return
	}
	e.written = true
}

func (b *Box) path(e *entry) string { return filepath.Join(b.folder, fmt.Sprintf("%020d", e.number)) }

// Remove forgets the report of a lease, if there is one.
func (b *Box) Remove(leaseID string) {
	if e := b.take(leaseID); e != nil {
		b.drop(e)
	}
}

// take ends that a lease's report is pending; nil if it isn't.
func (b *Box) take(leaseID string) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.pending[leaseID]
	delete(b.pending, leaseID)
	return e
}

// drop deletes e's file, now or at a later Retry.
func (b *Box) drop(e *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done = true
	if e.written {
		b.deleteFile(b.path(e))
	}
}

func (b *Box) deleteFile(path string) {
	if err := b.remove(path); err != nil {
		b.log.Error("entry not deleted, tried again later", "file", path, "error", err)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.leftover = append(b.leftover, path)
	}
}

// Pending are the reports that belong to a ledger, oldest first.
func (b *Box) Pending(ledgerID string) []*stintv1.Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	var found []*entry
	for _, e := range b.pending {
		if e.ledgerID == ledgerID {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, byNumber)
	reports := make([]*stintv1.Report, len(found))
	for i, e := range found {
		reports[i] = e.report
	}
	return reports
}

func byNumber(a, b *entry) int {
	switch {
	case a.number < b.number:
		return -1
	case a.number > b.number:
		return 1
	}
	return 0
}

// Len counts all pending reports, of whatever ledger.
func (b *Box) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.pending)
}

// Retry does again what the disk refused, and deletes refused successes that are over 7 days old.
func (b *Box) Retry() {
	b.mu.Lock()
	leftover, refusing := b.leftover, b.refusing
	b.leftover, b.refusing = nil, nil
	entries := make([]*entry, 0, len(b.pending))
	for _, e := range b.pending {
		entries = append(entries, e)
	}
	b.mu.Unlock()
	slices.SortFunc(entries, byNumber)
	for _, e := range entries {
		b.save(e)
	}
	for _, path := range leftover {
		b.deleteFile(path)
	}
	for _, r := range refusing {
		b.refuse(r)
	}
	b.purge()
}
