package outbox

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
)

// refusedEntry is a success on its way to refused/.
type refusedEntry struct {
	entry  *entry
	reason string
	time   time.Time
}

// refusedFile is what people find there.
type refusedFile struct {
	Time     time.Time       `json:"time"`
	LedgerID string          `json:"ledger_id"`
	Reason   string          `json:"reason"`
	Report   json.RawMessage `json:"report"`
}

// Refuse ends that the lease's report is pending and keeps it for people, as JSON in refused/, for 7 days. If the disk
// does not take it, that is logged, the entry stays where it is, and Retry tries again.
func (b *Box) Refuse(leaseID, reason string) {
	if e := b.take(leaseID); e != nil {
		b.refuse(refusedEntry{entry: e, reason: reason, time: b.now().UTC()})
		b.flush(false)
	}
}

func (b *Box) refuse(r refusedEntry) {
	data, err := r.encode()
	if err == nil {
		name := fmt.Sprintf("%d-%d.json", r.entry.number, r.time.Unix())
		err = b.write(filepath.Join(b.folder, refusedDir, name), allOf(data))
	}
	if err != nil {
		b.log.Error("refused success not set aside, tried again later", "lease", r.entry.report.GetLeaseId(), "error", err)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.refusing = append(b.refusing, r)
		return
	}
	b.drop(r.entry)
}

func (r refusedEntry) encode() ([]byte, error) {
	report, err := protojson.Marshal(r.entry.report)
	if err != nil {
		return nil, fmt.Errorf("outbox: refused report can't be encoded: %w", err)
	}
	return json.MarshalIndent(refusedFile{Time: r.time, LedgerID: r.entry.ledgerID, Reason: r.reason, Report: report}, "", "  ")
}

// Refused counts the refused successes that are kept.
func (b *Box) Refused() int {
	files, err := os.ReadDir(filepath.Join(b.folder, refusedDir))
	if err != nil {
		b.log.Error("refused successes not counted", "error", err)
	}
	return len(files)
}

// purge deletes refused successes that are old, at most once an hour.
func (b *Box) purge() {
	now := b.now()
	b.mu.Lock()
	due := now.Sub(b.purged) >= purgeInterval
	if due {
		b.purged = now
	}
	b.mu.Unlock()
	if !due {
		return
	}
	files, err := os.ReadDir(filepath.Join(b.folder, refusedDir))
	if err != nil {
		b.log.Error("refused successes not looked through", "error", err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil || now.Sub(info.ModTime()) < refusedFor {
			continue
		}
		if err := b.remove(filepath.Join(b.folder, refusedDir, file.Name())); err != nil {
			b.log.Error("old refused success not deleted, tried again later", "error", err)
		}
	}
}
