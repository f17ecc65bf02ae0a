package outbox

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// opened is a box with its log; it is closed with the test.
type opened struct {
	*Box
	log *bytes.Buffer
	now time.Time
}

func open(t *testing.T, dir, id string) *opened {
	t.Helper()
	o := &opened{log: &bytes.Buffer{}, now: time.Now()}
	box, err := Open(Config{Dir: dir, AgentID: id, Logger: slog.New(slog.NewTextHandler(o.log, nil)), Now: func() time.Time { return o.now }})
	if err != nil {
		t.Fatal(err)
	}
	o.Box = box
	t.Cleanup(func() { _ = box.Close() })
	return o
}

func (o *opened) reopen(t *testing.T) *opened {
	t.Helper()
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, filepath.Dir(o.folder), o.id)
}

func report(leaseID, text string) *stintv1.Report {
	return &stintv1.Report{LeaseId: leaseID, Result: &stintv1.Result{Text: text}}
}

func wantPending(t *testing.T, o *opened, ledgerID string, want ...string) {
	t.Helper()
	var got []string
	for _, r := range o.Pending(ledgerID) {
		got = append(got, r.GetLeaseId())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("pending for %s = %v; want %v\n%s", ledgerID, got, want, o.log)
	}
}

// entries are the names of the files that would be loaded.
func entries(t *testing.T, o *opened) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(o.folder, "0*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestReportOutlivesTheProcess(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	for _, id := range []string{"z", "a", "m"} {
		o.Put("ledger-1", report(id, "result of "+id))
	}
	o.Put("ledger-2", report("other", ""))
	o = o.reopen(t)
	wantPending(t, o, "ledger-1", "z", "a", "m")
	wantPending(t, o, "ledger-2", "other")
	if got, want := o.Pending("ledger-1")[0], report("z", "result of z"); !proto.Equal(got, want) {
		t.Errorf("report = %v; want %v", got, want)
	}
	o.Put("ledger-1", report("b", ""))
	wantPending(t, o.reopen(t), "ledger-1", "z", "a", "m", "b")
}

func TestFirstReportOfALeaseStays(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	o.Put("l", report("x", "first"))
	o.Put("l", report("x", "second"))
	if got := o.reopen(t).Pending("l"); len(got) != 1 || got[0].GetResult().GetText() != "first" {
		t.Errorf("pending = %v; want the first report alone", got)
	}
}

func TestRemovedReportStaysAway(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	o.Put("l", report("x", ""))
	o.Put("l", report("y", ""))
	o.Remove("x")
	o.Remove("never there")
	wantPending(t, o, "l", "y")
	if o.Len() != 1 {
		t.Errorf("len = %d; want 1", o.Len())
	}
	wantPending(t, o.reopen(t), "l", "y")
}

func TestUnreadableEntryIsSetAside(t *testing.T) {
	good, err := encodeEntry("l", report("x", "good"))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	long := bytes.Clone(good)
	copy(long[len(magic)+4:], "\xff\xff\xff\xff")
	binary.BigEndian.PutUint32(long[len(magic):], crc32.Checksum(long[len(magic)+4:], castagnoli))
	for name, data := range map[string][]byte{
		"empty": {}, "torn": good[:len(good)-2], "head alone": good[:len(magic)], "flipped bit": flipped,
		"other version": append([]byte("stintob2"), good[len(magic):]...), "wrong length": long,
	} {
		t.Run(name, func(t *testing.T) {
			o := open(t, t.TempDir(), "a1")
			o.Put("l", report("kept", ""))
			if err := os.WriteFile(filepath.Join(o.folder, "00000000000000000009"), data, 0o600); err != nil {
				t.Fatal(err)
			}
			o = o.reopen(t)
			wantPending(t, o, "l", "kept")
			damaged, err := os.ReadDir(filepath.Join(o.folder, damagedDir))
			if err != nil || len(damaged) != 1 || !strings.Contains(o.log.String(), "unreadable entry set aside") {
				t.Errorf("damaged = %v, %v; log %q; want one file, and a line about it", damaged, err, o.log)
			}
			o.Put("l", report("next", ""))
			wantPending(t, o.reopen(t), "l", "kept", "next")
		})
	}
}

func TestHalfWrittenFileIsNoEntry(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	half := filepath.Join(o.folder, "00000000000000000001"+tmpSuffix)
	if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantPending(t, o.reopen(t), "l")
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat = %v; want it to be gone", err)
	}
}

func TestFullDiskKeepsTheReportInMemoryAndTriesAgain(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	full := true
	o.write = func(path string, data []byte) error {
		if full {
			return errors.New("disk full")
		}
		return writeFile(path, data)
	}
	o.Put("l", report("x", ""))
	o.Put("l", report("acknowledged meanwhile", ""))
	wantPending(t, o, "l", "x", "acknowledged meanwhile")
	if !strings.Contains(o.log.String(), "level=ERROR") || len(entries(t, o)) != 0 {
		t.Errorf("log %q, files %v; want an error and no file", o.log, entries(t, o))
	}
	o.Remove("acknowledged meanwhile")
	full = false
	o.Retry()
	wantPending(t, o.reopen(t), "l", "x")
}

func TestFailureToDeleteIsLoggedAndTriedAgain(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	stuck := true
	o.remove = func(path string) error {
		if stuck {
			return errors.New("file is open elsewhere")
		}
		return removeFile(path)
	}
	o.Put("l", report("x", ""))
	o.Remove("x")
	wantPending(t, o, "l")
	if !strings.Contains(o.log.String(), "entry not deleted, tried again later") {
		t.Errorf("log = %q", o.log)
	}
	o.Retry()
	if len(entries(t, o)) != 1 {
		t.Error("entry gone while it could not be deleted")
	}
	stuck = false
	o.Retry()
	if left := entries(t, o); len(left) != 0 {
		t.Errorf("left = %v; want none", left)
	}
}

func TestRefusedSuccessIsKeptSevenDays(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	o.Put("ledger-1", report("x", "paid for"))
	o.Refuse("x", "LEASE_END_REASON_SUPERSEDED")
	o.Refuse("never there", "")
	wantPending(t, o, "ledger-1")
	files, err := filepath.Glob(filepath.Join(o.folder, refusedDir, "*.json"))
	if err != nil || len(files) != 1 || o.Refused() != 1 {
		t.Fatalf("files = %v, %v, refused = %d; want one", files, err, o.Refused())
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	var kept refusedFile
	if err := json.Unmarshal(data, &kept); err != nil || kept.LedgerID != "ledger-1" ||
		kept.Reason != "LEASE_END_REASON_SUPERSEDED" || !strings.Contains(string(kept.Report), "paid for") {
		t.Errorf("kept = %s, %v", data, err)
	}
	if o = o.reopen(t); o.Len() != 0 {
		t.Error("refused report is pending again")
	}
	o.now = o.now.Add(refusedFor - time.Hour)
	o.Retry()
	if o.Refused() != 1 {
		t.Error("gone before 7 days")
	}
	o.now = o.now.Add(2 * time.Hour)
	o.Retry()
	if o.Refused() != 0 {
		t.Error("still there after 7 days")
	}
}

func TestRefusalThatTheDiskRefusesLosesNothing(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	o.Put("l", report("x", ""))
	o.write = func(string, []byte) error { return errors.New("disk full") }
	o.Refuse("x", "")
	if o.Retry(); len(entries(t, o)) != 1 {
		t.Error("entry deleted though its refusal was not kept")
	}
	o.write = writeFile
	if o.Retry(); len(entries(t, o)) != 0 || o.Refused() != 1 {
		t.Errorf("entries %v, refused %d; want the one moved", entries(t, o), o.Refused())
	}
}

func TestManySlotsAtOnce(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			id := fmt.Sprint(i)
			o.Put("l", report(id, ""))
			if o.Retry(); i%2 == 0 {
				o.Remove(id)
			}
		})
	}
	wg.Wait()
	if o.Len() != 8 || len(o.reopen(t).Pending("l")) != 8 {
		t.Errorf("len = %d; want 8, and after opening again too", o.Len())
	}
}
