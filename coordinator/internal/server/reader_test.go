package server

import (
	"strings"
	"testing"
	"unsafe"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// What outlives a call is copied: one id that lay in its message would keep all of the message.
func TestWhatIsKeptLiesNotInTheMessage(t *testing.T) {
	text := string(encoded(t, &stintv1.Task{Id: "an-id", Queue: "a-queue", Instruction: "instruct", DependsOn: []string{"one", "two"}}))
	var m stintv1.Task
	if !readTask(text, &m) || m.GetId() != "an-id" || m.GetQueue() != "a-queue" || len(m.GetDependsOn()) != 2 {
		t.Fatalf("read %v", &m)
	}
	from := uintptr(unsafe.Pointer(unsafe.StringData(text)))
	for _, s := range append(m.GetDependsOn(), m.GetId(), m.GetQueue()) {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(s))); at >= from && at < from+uintptr(len(text)) {
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
