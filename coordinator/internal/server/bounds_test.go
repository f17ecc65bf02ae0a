package server

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// taken decodes a message as it comes, and says how many bytes that has taken.
func taken(t *testing.T, sent []byte, m proto.Message) uint64 {
	t.Helper()
	half := len(sent) / 2
	data := mem.BufferSlice{mem.SliceBuffer(sent[:half]), mem.SliceBuffer(sent[half:])}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := newCodec(mem.NopBufferPool{}).Unmarshal(data, m); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// S5: a request of very many empty items is refused as any with too many, and little of it is decoded.
func TestManyItemsAreNotDecoded(t *testing.T) {
	const most = 32 << 20
	rules, err := newRules()
	if err != nil {
		t.Fatal(err)
	}
	c := &chain{rules: rules}
	long := func(tag string, n int) []byte { return bytes.Repeat([]byte(tag+"\x00"), n/2) }
	inside := func(tag string, content []byte) []byte {
		return append(protowire.AppendVarint([]byte(tag), uint64(len(content))), content...)
	}
	for _, x := range []struct {
		name string
		sent []byte
		m    proto.Message
		want string
	}{
		{"too large", long("\x0a", maxReceive), &stintv1.SubmitTasksRequest{}, "REQUEST_TOO_LARGE"},
		{"too large, one task", inside("\x0a", long("\x2a", maxReceive-9)), &stintv1.SubmitTaskRequest{}, "REQUEST_TOO_LARGE"},
		{"tasks", long("\x0a", maxRequest), &stintv1.SubmitTasksRequest{}, "FIELD_INVALID"},
		{"tasks, and another field", append(long("\x0a", maxRequest-2), "\x78\x01"...), &stintv1.SubmitTasksRequest{}, "FIELD_INVALID"},
		{"depends_on", inside("\x0a", long("\x2a", maxRequest-9)), &stintv1.SubmitTaskRequest{}, "FIELD_INVALID"},
		{"requires", inside("\x0a", long("\x82\x01", maxRequest/2-9)), &stintv1.SubmitTaskRequest{}, "FIELD_INVALID"},
		{"depends_on, and another field", append(inside("\x0a", long("\x2a", maxRequest-11)), "\x78\x01"...), &stintv1.SubmitTaskRequest{}, "FIELD_INVALID"},
		{"depends_on of a batch, and another field", append(inside("\x0a", long("\x2a", maxRequest-11)), "\x78\x01"...), &stintv1.SubmitTasksRequest{}, "FIELD_INVALID"},
		{"depends_on, and tasks", append(inside("\x0a", long("\x2a", maxRequest/2)), long("\x0a", maxRequest/2-9)...), &stintv1.SubmitTasksRequest{}, "FIELD_INVALID"},
		{"depends_on, bit by bit", bytes.Repeat(inside("\x0a", long("\x2a", maxParents)), maxRequest/(maxParents+2)), &stintv1.SubmitTaskRequest{}, "FIELD_INVALID"},
		{"depends_on of some tasks", bytes.Repeat(inside("\x0a", long("\x2a", 8<<10)), maxRequest/(8<<10+3)), &stintv1.SubmitTasksRequest{}, "FIELD_INVALID"},
		{"extensions", long("\x0a", maxRequest), &stintv1.ExtendLeasesRequest{}, "FIELD_INVALID"},
		{"reports", long("\x0a", maxRequest), &stintv1.ReportLeasesRequest{}, "FIELD_INVALID"},
		{"releases", long("\x0a", maxRequest), &stintv1.ReleaseLeasesRequest{}, "FIELD_INVALID"},
		{"queues", long("\x32", maxRequest), &stintv1.AcquireLeasesRequest{}, "FIELD_INVALID"},
		{"task_ids", long("\x1a", maxReceive), &stintv1.WatchEventsRequest{}, "FIELD_INVALID"},
	} {
		if n := taken(t, x.sent, x.m); n > most {
			t.Errorf("%s: decoding takes %d MiB", x.name, n>>20)
		}
		var err error
		if sized(x.m) {
			err = fits(x.m)
		}
		if err == nil {
			err = c.obeys(x.m)
		}
		if r, _ := judge(err); r == nil || reasonName(r.reason) != x.want {
			t.Errorf("%s: got %v, want %s", x.name, err, x.want)
		}
	}
}

// S5: so is a session's message, whatever the parts are.
func TestManyPartsAreNotDecoded(t *testing.T) {
	const most = 32 << 20
	for _, tag := range []string{"\x22", "\x2a", "\x0a\x02\x32", "\x1a\x02\x12"} {
		sent := bytes.Repeat([]byte(tag+"\x00"), maxReceive/(len(tag)+1))
		m := &stintv1.SessionRequest{}
		if n := taken(t, sent, m); n > most {
			t.Errorf("%x: decoding takes %d MiB", tag, n>>20)
		}
		_, _, err := message(m, nil)
		var r *refusal
		if !errors.As(err, &r) || r.reason != stintv1.ErrorReason_ERROR_REASON_SESSION_PROTOCOL {
			t.Errorf("%x: %v", tag, err)
		}
	}
}

// S5: no field ends the count of those behind it, whatever its type.
func TestPartsOfAnyTypeAreCounted(t *testing.T) {
	const varint, fixed64, group, fixed32 = "\x78\x01", "\x7912345678", "\x7b\x7c", "\x7d1234"
	hello := "\x0a\x04\x32\x00\x32\x00"
	if n := parts(varint+fixed64+group+fixed32+hello, tagHello); n != 8 {
		t.Errorf("%d are counted, want 8", n)
	}
}

// A field of the number of a list and another type is none of its items, and ends no message.
func TestOnlyItemsAreCounted(t *testing.T) {
	sent := bytes.Repeat([]byte("\x28\x01"), smallItem)
	if got := upTo(sent, taskBounds...); len(got) != len(sent) {
		t.Errorf("%d bytes are left of %d", len(got), len(sent))
	}
}

// As many leases as have room in a message are taken.
func TestALargeHeartbeatIsTaken(t *testing.T) {
	id := string(bytes.Repeat([]byte("x"), 38))
	h := &stintv1.Heartbeat{}
	for range maxReceive/42 - 1 {
		h.Leases = append(h.Leases, &stintv1.LeaseProgress{LeaseId: id})
	}
	sent := wire(t, &stintv1.SessionRequest{Heartbeat: h})
	m := &stintv1.SessionRequest{}
	taken(t, sent, m)
	if got, _, err := message(m, nil); err != nil || len(got.Held) != len(h.Leases) {
		t.Errorf("%d of %d leases: %v", len(got.Held), len(h.Leases), err)
	}
}

// The bounds of lists are those of the contract, and no list of a request is forgotten.
func TestBoundsAreTheContracts(t *testing.T) {
	check := func(d protoreflect.MessageDescriptor, least int, bounds ...bound) {
		t.Helper()
		for i := range d.Fields().Len() {
			f := d.Fields().Get(i)
			rules, err := protovalidate.ResolveFieldRules(f)
			if err != nil {
				t.Fatal(err)
			}
			most := int(rules.GetRepeated().GetMaxItems())
			if most < least {
				continue
			}
			found := false
			for _, b := range bounds {
				found = found || b == bound{f.Number(), most}
			}
			if !found {
				t.Errorf("%s: at most %d, and bounds are %v", f.FullName(), most, bounds)
			}
		}
	}
	for _, file := range []protoreflect.FileDescriptor{stintv1.File_stint_v1_task_service_proto, stintv1.File_stint_v1_agent_service_proto, stintv1.File_stint_v1_queue_service_proto} {
		for i := range file.Messages().Len() {
			m, err := protoregistry.GlobalTypes.FindMessageByName(file.Messages().Get(i).FullName())
			if err != nil {
				t.Fatal(err)
			}
			b, _ := boundOf(m.New().Interface())
			if _, ok := m.New().Interface().(*stintv1.SubmitTasksRequest); ok {
				b = bound{submitTasks, maxBatch} // cutTasks has it
			}
			check(m.Descriptor(), 100, b) // shorter ones are of enums
		}
	}
	check((&stintv1.Task{}).ProtoReflect().Descriptor(), 1, taskBounds...)
}
