package server

import (
	"strings"
	"testing"
	"unsafe"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// What outlives a call is copied: one id that lay in its message would keep all of the message.
func TestWhatIsKeptLiesNotInTheMessage(t *testing.T) {
	text := string(encoded(t, &stintv1.Task{Id: "an-id", Queue: "a-queue", Instruction: "instruct", DependsOn: []string{"one", "two"}}))
	var m stintv1.Task
	if !readTask(text, &m) || m.GetId() != "an-id" || m.GetQueue() != "a-queue" || len(m.GetDependsOn()) != 2 {
		t.Fatalf("read %v", &m)
	}
	for _, s := range append(m.GetDependsOn(), m.GetId(), m.GetQueue()) {
		if lies(s, text) {
			t.Errorf("%q lies in the message", s)
		}
	}
}

// What is cut does not keep what it was cut from.
func TestWhatIsCutIsCopied(t *testing.T) {
	long := strings.Repeat("é", 1<<20)
	got := cut(long, 7)
	if got != "ééé" || unsafe.StringData(got) == unsafe.StringData(long) {
		t.Errorf("%q is a part of %d bytes", got, len(long))
	}
}

// S5: what is kept of lease ids until they are answered is no part of their message, nor long.
func TestLeaseIDsAreCutAndCopied(t *testing.T) {
	long := strings.Repeat("l", 1<<20)
	ids := []string{"short", long, strings.Repeat("x", 38)}
	sent := &stintv1.SessionRequest{Heartbeat: &stintv1.Heartbeat{}}
	for _, id := range ids {
		sent.Reports = append(sent.Reports, &stintv1.Report{LeaseId: id, Result: &stintv1.Result{Text: "4"}})
		sent.Releases = append(sent.Releases, &stintv1.Release{LeaseId: id})
		sent.Heartbeat.Leases = append(sent.Heartbeat.Leases, &stintv1.LeaseProgress{LeaseId: id})
	}
	sent.Reports = append(sent.Reports, &stintv1.Report{LeaseId: long, Failure: &stintv1.Failure{}})
	rules, err := newRules()
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := message(sent, rules)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range append(ids, long) {
		want := id[:min(len(id), maxEcho)]
		if m.Reports[i].LeaseID != want || i < len(ids) && (m.Releases[i].LeaseID != want || m.Held[i].LeaseID != want) {
			t.Errorf("an id of %d bytes is not cut", len(id))
		}
	}

	sent.Releases, sent.Heartbeat, sent.Reports = nil, nil, sent.Reports[:len(ids)]
	text, read := string(encoded(t, sent)), new(stintv1.SessionRequest)
	if !readSession(text, read) || !proto.Equal(sent, read) {
		t.Fatal("not read by hand")
	}
	if m, _, err = message(read, rules); err != nil {
		t.Fatal(err)
	}
	for _, r := range m.Reports {
		if lies(r.LeaseID, text) {
			t.Errorf("an id of %d bytes lies in the message", len(r.LeaseID))
		}
	}
}

// lies tells whether s is a part of text, in memory.
func lies(s, text string) bool {
	at, from := uintptr(unsafe.Pointer(unsafe.StringData(s))), uintptr(unsafe.Pointer(unsafe.StringData(text)))
	return at >= from && at < from+uintptr(len(text))
}
