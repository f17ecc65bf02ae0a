package outbox

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

// onDisk are the lease ids that would be loaded.
func onDisk(t *testing.T, o *opened) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(o.folder, reportsName))
	if err != nil {
		t.Fatal(err)
	}
	found := map[uint64]string{}
	scan{
		report:  func(e *entry) { found[e.number] = e.report.GetLeaseId() },
		done:    func(number uint64) { delete(found, number) },
		damaged: func(stretch []byte, cause error) { t.Errorf("%d bytes: %v", len(stretch), cause) },
	}.run(data)
	return slices.Sorted(maps.Values(found))
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

func TestPutOfManyIsOneSyncedWrite(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	var synced []bool
	o.append = func(data []byte, sync bool) error {
		synced = append(synced, sync)
		return o.journal.append(data, sync)
	}
	o.Put("l", report("x", ""), report("y", ""), report("x", "second"))
	o.Remove("x", "never there", "y")
	o.Put("l")
	o.Remove("never there")
	if fmt.Sprint(synced) != "[true false]" {
		t.Errorf("appended, synced: %v; want a synced write for the reports and one without for their removal", synced)
	}
	if left := onDisk(t, o); len(left) != 0 {
		t.Errorf("left on disk: %v", left)
	}
}

func TestUnreadableEntryIsSetAside(t *testing.T) {
	record := func(number uint64, leaseID, text string) []byte {
		data, err := appendReport(nil, &entry{number: number, ledgerID: "l", report: report(leaseID, text)})
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	torn := func(data []byte) []byte { return data[:len(data)-2] }
	good := record(9, "x", "good")
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	long := bytes.Clone(good)
	copy(long[headSize+9:], "\xff\xff\xff\xff")
	seal(long)
	beyond := bytes.Clone(good)
	binary.BigEndian.PutUint32(beyond[lengthAt:], 1<<31)
	strange := bytes.Clone(good)
	strange[headSize] = '?'
	seal(strange)
	for name, data := range map[string][]byte{
		"torn": torn(good), "head alone": good[:len(magic)], "flipped bit": flipped, "no kind": strange,
		"other version": append([]byte("stintob1"), good[len(magic):]...), "wrong length": long, "length beyond the end": beyond,
		"magic inside": torn(record(9, "x", magic+magic)),
	} {
		for place, more := range map[string][]byte{"at the end": nil, "in the middle": record(10, "behind", "")} {
			t.Run(name+" "+place, func(t *testing.T) {
				o := open(t, t.TempDir(), "a1")
				o.Put("l", report("kept", ""))
				if err := o.journal.append(append(bytes.Clone(data), more...), true); err != nil {
					t.Fatal(err)
				}
				o = o.reopen(t)
				want := []string{"kept"}
				if more != nil {
					want = append(want, "behind")
				}
				wantPending(t, o, "l", want...)
				damaged, err := filepath.Glob(filepath.Join(o.folder, damagedDir, "*"))
				if err != nil || len(damaged) != 1 || !strings.Contains(o.log.String(), "unreadable entry set aside") {
					t.Fatalf("damaged = %v, %v; log %q; want one file, and a line about it", damaged, err, o.log)
				}
				if found, err := os.ReadFile(damaged[0]); err != nil || !bytes.Equal(found, data) {
					t.Errorf("set aside: %q, %v; want it as it was found: %q", found, err, data)
				}
				o.Put("l", report("next", ""))
				o = o.reopen(t)
				wantPending(t, o, "l", append(want, "next")...)
				if strings.Contains(o.log.String(), "unreadable") {
					t.Errorf("set aside twice: %s", o.log)
				}
			})
		}
	}
}

func TestWhatIsNoPartOfAnOutboxIsSetAside(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	o.Put("l", report("kept", ""))
	if err := os.WriteFile(filepath.Join(o.folder, "00000000000000000007"), []byte("of another version"), 0o600); err != nil {
		t.Fatal(err)
	}
	o = o.reopen(t)
	wantPending(t, o, "l", "kept")
	damaged, err := filepath.Glob(filepath.Join(o.folder, damagedDir, "00000000000000000007-*"))
	if err != nil || len(damaged) != 1 {
		t.Errorf("damaged = %v, %v; want the file", damaged, err)
	}
}

func TestHalfWrittenFileCountsForNothing(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	o.Put("l", report("kept", ""))
	half := filepath.Join(o.folder, reportsName+tmpSuffix)
	if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantPending(t, o.reopen(t), "l", "kept")
	if _, err := os.Stat(half); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("stat = %v; want it to be gone", err)
	}
}

// fillDisk makes every write to reports fail until the returned function is called.
func fillDisk(o *opened) (mend func()) {
	full := errors.New("disk full")
	o.append = func([]byte, bool) error { return errors.Join(full, o.journal.close()) }
	o.write = func(string, func(io.Writer) error) error { return full }
	return func() { o.append, o.write = o.journal.append, writeFile }
}

func TestFullDiskKeepsTheReportInMemoryAndTriesAgain(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	o.Put("l", report("before", ""))
	mend := fillDisk(o)
	o.Put("l", report("x", ""))
	o.Put("l", report("acknowledged meanwhile", ""))
	wantPending(t, o, "l", "before", "x", "acknowledged meanwhile")
	if got := strings.Count(o.log.String(), `level=ERROR msg="report not on disk, kept in memory" agent=a1 lease=x`); got != 2 {
		t.Errorf("log %q; want an error for x each time", o.log)
	}
	o.Remove("acknowledged meanwhile")
	mend()
	o.Retry()
	if got := onDisk(t, o); fmt.Sprint(got) != "[before x]" {
		t.Errorf("on disk are %v", got)
	}
	wantPending(t, o.reopen(t), "l", "before", "x")
}

func TestFailureToDeleteIsLoggedAndTriedAgain(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	o.Put("l", report("x", ""), report("y", ""))
	mend := fillDisk(o)
	o.Remove("x")
	wantPending(t, o, "l", "y")
	if !strings.Contains(o.log.String(), "entries not deleted, tried again later") {
		t.Errorf("log = %q", o.log)
	}
	o.Retry()
	if len(onDisk(t, o)) != 2 {
		t.Error("entry gone while it could not be deleted")
	}
	mend()
	o.Retry()
	if left := onDisk(t, o); fmt.Sprint(left) != "[y]" {
		t.Errorf("left = %v; want y alone", left)
	}
}

func TestFileStaysSmallAndIsEmptiedInTheEnd(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	size := func() int64 {
		t.Helper()
		info, err := os.Stat(filepath.Join(o.folder, reportsName))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	text := strings.Repeat("x", rewriteSize/16)
	o.Put("l", report("stays", text))
	for i := range 64 {
		id := fmt.Sprint(i)
		o.Put("l", report(id, text))
		o.Remove(id)
		if size() > rewriteSize+int64(2*len(text)) {
			t.Fatalf("%d bytes after %d reports", size(), i)
		}
	}
	wantPending(t, o, "l", "stays")
	o.Remove("stays")
	if size() == 0 {
		t.Error("a single removal has rewritten the file")
	}
	if o.Retry(); size() != 0 {
		t.Errorf("%d bytes are left of nothing", size())
	}
	o.Put("l", report("y", ""))
	o.Remove("y")
	if o = o.reopen(t); size() != 0 {
		t.Errorf("%d bytes are left of nothing after it was closed", size())
	}
}

func TestRefusedSuccessIsKeptSevenDays(t *testing.T) {
	o := open(t, t.TempDir(), "a1")
	o.Put("ledger-1", report("x", "paid for"))
	o.Refuse("x", "LEASE_END_REASON_SUPERSEDED")
	o.Refuse("never there", "")
	wantPending(t, o, "ledger-1")
	if left := onDisk(t, o); len(left) != 0 {
		t.Errorf("left on disk: %v", left)
	}
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
	mend := fillDisk(o)
	o.Refuse("x", "")
	mend()
	o.write = func(path string, fill func(io.Writer) error) error {
		if filepath.Base(filepath.Dir(path)) == refusedDir {
			return errors.New("disk full")
		}
		return writeFile(path, fill)
	}
	o.Retry()
	if err := o.journal.close(); err != nil {
		t.Fatal(err)
	}
	if o.Retry(); len(onDisk(t, o)) != 1 {
		t.Error("entry deleted though its refusal was not kept")
	}
	o.write = writeFile
	if o.Retry(); len(onDisk(t, o)) != 0 || o.Refused() != 1 {
		t.Errorf("entries %v, refused %d; want the one moved", onDisk(t, o), o.Refused())
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
