package outbox

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	reportsName = "reports"
	damagedDir  = "damaged"
	refusedDir  = "refused"

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
	append func(data []byte, sync bool) error                    // replaced by tests
	write  func(path string, fill func(w io.Writer) error) error // replaced by tests
	remove func(path string) error                               // replaced by tests

	disk    sync.Mutex // held by whoever writes; taken before mu
	journal journal    // guarded by disk

	mu       sync.Mutex
	next     uint64            // the number of the next entry
	pending  map[string]*entry // by lease id
	kept     map[uint64]*entry // by number: all that belongs on disk, also what is being refused
	fresh    []*entry          // not written yet
	over     []uint64          // done with, and not said so on disk yet
	refusing []refusedEntry    // refused, and the disk did not take that yet
	purged   time.Time
}

// entry is one report. It never changes, but for written.
type entry struct {
	number   uint64
	ledgerID string
	report   *stintv1.Report
	written  bool // guarded by Box.disk
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
	folder := filepath.Join(cfg.Dir, id)
	b := &Box{
		id: id, folder: folder, lock: lock, log: cfg.Logger.With("agent", id), now: cfg.Now,
		write: writeFile, remove: removeFile, journal: journal{path: filepath.Join(folder, reportsName)},
		pending: map[string]*entry{}, kept: map[uint64]*entry{}, next: 1,
	}
	b.append = b.journal.append
	if err := b.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return b, nil
}

// AgentID is the id under which the folder was claimed.
func (b *Box) AgentID() string { return b.id }

// Close gives the folder up. What is pending stays on disk.
func (b *Box) Close() error {
	b.flush(true)
	b.disk.Lock()
	defer b.disk.Unlock()
	if err := errors.Join(b.journal.close(), b.lock.Close()); err != nil {
		return fmt.Errorf("outbox: close: %w", err)
	}
	return nil
}

// Put makes reports pending and returns once they are on disk, or once the disk has refused them. A lease that has a
// report already keeps that one.
func (b *Box) Put(ledgerID string, reports ...*stintv1.Report) {
	b.mu.Lock()
	for _, report := range reports {
		if b.pending[report.GetLeaseId()] != nil {
			continue
		}
		e := &entry{number: b.next, ledgerID: ledgerID, report: report}
		b.next++
		b.pending[report.GetLeaseId()] = e
		b.kept[e.number] = e
		b.fresh = append(b.fresh, e)
	}
	b.mu.Unlock()
	b.flush(false)
}

// Remove forgets the reports of leases, as far as there are any.
func (b *Box) Remove(leaseIDs ...string) {
	for _, id := range leaseIDs {
		if e := b.take(id); e != nil {
			b.drop(e)
		}
	}
	b.flush(false)
}

// take ends that a lease's report is pending; nil if it isn't.
func (b *Box) take(leaseID string) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.pending[leaseID]
	delete(b.pending, leaseID)
	return e
}

// drop has the next flush take e from the disk.
func (b *Box) drop(e *entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.kept, e.number)
	b.over = append(b.over, e.number)
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

func byNumber(a, b *entry) int { return cmp.Compare(a.number, b.number) }

// Len counts all pending reports, of whatever ledger.
func (b *Box) Len() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.pending)
}

// Retry does again what the disk refused, and deletes refused successes that are over 7 days old.
func (b *Box) Retry() {
	b.mu.Lock()
	refusing := b.refusing
	b.refusing = nil
	b.mu.Unlock()
	for _, r := range refusing {
		b.refuse(r)
	}
	b.flush(true)
	b.purge()
}
