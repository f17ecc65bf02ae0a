package bench

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/encoding"
	library "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

var flowCodec = codec{encoding.GetCodecV2(library.Name)}

// receivedAs has the codec read an encoded message.
func receivedAs(m proto.Message, v any) error {
	b, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	return flowCodec.Unmarshal(inParts(b), v)
}

// inParts is a message as it comes in frames.
func inParts(b []byte) mem.BufferSlice {
	middle := len(b) / 2
	return mem.BufferSlice{mem.SliceBuffer(b[:middle]), mem.SliceBuffer(b[middle:])}
}

// sent is what the codec sends.
func sent(t *testing.T, m encoded) []byte {
	t.Helper()
	data, err := flowCodec.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Free()
	return data.Materialize()
}

// What a flow sends is, to the byte, what the library makes of the same messages.
func TestSentAsTheLibrary(t *testing.T) {
	for _, shape := range []func(*stintv1.Task){
		nil,
		func(t *stintv1.Task) { t.Priority, t.Requires = lastPriority, []string{"bench=nobody"} },
	} {
		for _, size := range []int{0, 256, 100_000} {
			f := newFlow(Load{Batch: 3, Queue: "q", Instruction: size, Result: size})
			f.shape = shape
			c := f.caller(nil)
			tasks := &stintv1.SubmitTasksRequest{}
			for i := range c.ids {
				c.ids[i] = newID()
				tasks.Tasks = append(tasks.Tasks, f.task(c.ids[i].String()))
			}
			if want := encode(tasks); string(want) != string(sent(t, submission(c.ids, c.rest))) {
				t.Errorf("instructions of %d bytes: the submission is not that of the library", size)
			}
			if want := encode(&stintv1.SubmitTaskRequest{Task: tasks.Tasks[0]}); string(want) != string(sent(t, submission(c.ids[:1], c.rest))) {
				t.Errorf("instructions of %d bytes: the submission of one is not that of the library", size)
			}
			reports := &stintv1.SessionRequest{CreditTotal: 1 << 40}
			var grants []grant
			for _, lease := range []string{"a", strings.Repeat("b", 200)} {
				grants = append(grants, grant{lease: []byte(lease)})
				reports.Reports = append(reports.Reports, &stintv1.Report{LeaseId: lease, Result: &stintv1.Result{Text: strings.Repeat("y", size)}})
			}
			if want := encode(reports); string(want) != string(sent(t, reporting(1<<40, grants, f.report))) {
				t.Errorf("results of %d bytes: the reports are not those of the library", size)
			}
		}
	}
}

// read are the texts of a delivery.
func read(d *delivery) (texts []string) {
	for _, g := range d.grants {
		texts = append(texts, "grant "+string(g.lease)+" of "+string(g.task))
	}
	for _, a := range d.acks {
		texts = append(texts, a.outcome.String()+" "+string(a.lease))
	}
	return texts
}

// A delivery is read as the library reads it, whatever else stands in it, whole or cut, and the one
// before leaves nothing in it.
func TestDeliveryIsRead(t *testing.T) {
	task := newFlow(small()).task("t1")
	task.Labels, task.Retry = map[string]string{"a": "b"}, &stintv1.RetryPolicy{MaxAttempts: 3}
	flow := &stintv1.SessionResponse{
		Grants: []*stintv1.Lease{
			{LeaseId: "l1", Task: task, Attempt: 2, Run: 1, ExpiresIn: durationpb.New(30e9)},
			{LeaseId: "l2", Task: &stintv1.Task{Id: "t2"}},
		},
		ReportAcks: []*stintv1.ReportAck{
			{LeaseId: "l3", Outcome: stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED},
			{LeaseId: "l4", Outcome: stintv1.ReportOutcome_REPORT_OUTCOME_LEASE_LOST, Reason: 1, Message: "late"},
		},
	}
	more := proto.CloneOf(flow)
	more.Welcome = &stintv1.Welcome{HeartbeatInterval: durationpb.New(5e9)}
	odd := proto.CloneOf(flow)
	odd.Grants[0].LeaseId, odd.ReportAcks[1].LeaseId = "", ""
	// A field of another type than the contract's is none.
	twice := protowire.AppendVarint(protowire.AppendTag(encode(flow.ReportAcks[0]), ackLease, protowire.VarintType), 7)
	mistyped := append(appendHead(encode(flow), responseAcks, len(twice)), twice...)
	var d delivery
	for m, whole := range [][]byte{encode(flow), nil, encode(more), encode(odd), mistyped, encode(flow)} {
		for size := range len(whole) + 1 {
			var library stintv1.SessionResponse
			var want delivery
			failed := proto.Unmarshal(whole[:size], &library)
			if err := flowCodec.Unmarshal(inParts(whole[:size]), &d); (err == nil) != (failed == nil) {
				t.Fatalf("message %d, cut to %d bytes: got %v, the library %v", m, size, err, failed)
			}
			if want.set(&library); failed == nil && !slices.Equal(read(&d), read(&want)) {
				t.Errorf("message %d, cut to %d bytes: got %v, want %v", m, size, read(&d), read(&want))
			}
			if got := d.other.GetWelcome(); failed == nil && !proto.Equal(got, library.GetWelcome()) {
				t.Errorf("message %d, cut to %d bytes: welcome is %v", m, size, got)
			}
		}
	}
}

// A submit that is answered for other tasks than its own has failed.
func TestReceipt(t *testing.T) {
	ids := []id{newID(), newID()}
	result := func(i id) *stintv1.SubmitTasksResult { return &stintv1.SubmitTasksResult{TaskId: i.String()} }
	again := result(ids[1])
	again.AlreadyExisted = true
	for _, c := range []struct {
		results []*stintv1.SubmitTasksResult
		ok      bool
	}{
		{[]*stintv1.SubmitTasksResult{result(ids[0]), result(ids[1])}, true},
		{[]*stintv1.SubmitTasksResult{result(ids[0]), again}, true},
		{[]*stintv1.SubmitTasksResult{result(ids[1]), result(ids[0])}, false},
		{[]*stintv1.SubmitTasksResult{result(ids[0]), {}}, false},
		{[]*stintv1.SubmitTasksResult{result(ids[0])}, false},
		{[]*stintv1.SubmitTasksResult{result(ids[0]), result(ids[1]), again}, false},
		{nil, false},
	} {
		if err := receivedAs(&stintv1.SubmitTasksResponse{Results: c.results}, &receipt{ids}); (err == nil) != c.ok {
			t.Errorf("%v: got %v", c.results, err)
		}
	}
}

// A buffer has the size that was asked for, and one that is given back serves again.
func TestBuffers(t *testing.T) {
	p := &buffers{}
	for _, n := range []int{0, 1, 2, 1023, 1024, 1025, 40_000, 1 << largest, 1<<largest + 1} {
		b := p.Get(n)
		if len(*b) != n {
			t.Errorf("asked for %d bytes, got %d", n, len(*b))
		}
		*b = append(*b, "it has grown"...)
		p.Put(b)
		for _, more := range []int{n, 2 * n} {
			if again := p.Get(more); len(*again) != more {
				t.Errorf("asked for %d bytes after %d, got %d", more, n, len(*again))
			}
		}
	}
}
