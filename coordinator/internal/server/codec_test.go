package server

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// decoded holds what the codec makes of bytes to what the library makes of them, cut anywhere.
func decoded[M proto.Message](t *testing.T, sent []byte, got, want M) {
	t.Helper()
	half := len(sent) / 2
	err := newCodec(mem.NopBufferPool{}).Unmarshal(mem.BufferSlice{mem.SliceBuffer(sent[:half]), mem.SliceBuffer(sent[half:])}, got)
	if wanted := proto.Unmarshal(sent, want); (err == nil) != (wanted == nil) {
		t.Fatalf("%x: error %v, of the library %v", sent, err, wanted)
	}
	if err == nil && !proto.Equal(got, want) {
		t.Errorf("%x:\n got %v\nwant %v", sent, got, want)
	}
}

func FuzzDecode(f *testing.F) {
	add := func(m proto.Message) { f.Add(wire(f, m)) }
	add(&stintv1.SubmitTasksRequest{Tasks: []*stintv1.Task{plainTask(), {}, otherTask()}})
	add(&stintv1.SubmitTaskRequest{Task: plainTask()})
	add(&stintv1.SessionRequest{CreditTotal: -1, Draining: true, Reports: []*stintv1.Report{
		{LeaseId: "a", Result: &stintv1.Result{Text: "x", Model: "m", BudgetUsedUsd: new(0.5)}},
		{LeaseId: "b", Failure: &stintv1.Failure{Message: "no"}}, {Result: &stintv1.Result{}}, {},
	}})
	add(&stintv1.SessionRequest{Heartbeat: &stintv1.Heartbeat{Number: -1, RoundTrip: durationpb.New(-time.Second - 1)}})
	add(&stintv1.SessionRequest{CreditTotal: 1, Heartbeat: &stintv1.Heartbeat{Leases: []*stintv1.LeaseProgress{{LeaseId: "a"}}}})
	add(&stintv1.SessionRequest{Hello: &stintv1.Hello{AgentId: "a"}, Heartbeat: &stintv1.Heartbeat{Number: 1}})
	for _, s := range []string{
		"\x0a\x80\x00", "\x0a\x03\x0a\x01\xff", "\x08\x01", "\x0a\x02\x48\x80", "\x0a\x00\x0a\x00", // an empty, not UTF-8, another field, cut, two
		"\x0a\x0b\x48\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", // numbers of more than 64 bits
		"\x8a\x80\x00\x02\x0a\x00", "\x22\x04\x12\x00\x12\x00", "\x23\x24", "\x22\x00\x21", // a tag spelled long, a result twice, a group
		"\x1a\x02\x08\x01\x1a\x00", "\x1a\x08\x1a\x02\x08\x01\x1a\x02\x10\x01", // a heartbeat twice, its round trip twice
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		decoded(t, sent, &stintv1.SubmitTasksRequest{}, &stintv1.SubmitTasksRequest{})
		decoded(t, sent, &stintv1.SubmitTaskRequest{}, &stintv1.SubmitTaskRequest{})
		decoded(t, sent, &stintv1.SessionRequest{}, &stintv1.SessionRequest{})
	})
}

// Of a large submit that keeps the rules nothing is left out, in however many parts it comes.
func TestLargeSubmitsAreDecodedWhole(t *testing.T) {
	batch := &stintv1.SubmitTasksRequest{}
	for range maxBatch {
		task := otherTask()
		task.Instruction, task.DependsOn = strings.Repeat("x", 2*smallItem), make([]string, maxParents)
		batch.Tasks = append(batch.Tasks, task)
	}
	unknown := "\x7b\x08\x01\x7c\x7d1234\x08\x01"
	decoded(t, append(wire(t, batch), unknown...), &stintv1.SubmitTasksRequest{}, &stintv1.SubmitTasksRequest{})
	parts := wire(t, &stintv1.SubmitTasksRequest{Tasks: []*stintv1.Task{
		{Instruction: strings.Repeat("x", smallMessage), DependsOn: make([]string, maxParents/2)},
		{Requires: make([]string, maxRequires)}, {DependsOn: make([]string, maxParents/2)}, otherTask(),
	}})
	decoded(t, append(parts, unknown...), &stintv1.SubmitTaskRequest{}, &stintv1.SubmitTaskRequest{})
}

func plainTask() *stintv1.Task {
	return &stintv1.Task{
		Id: "a", Queue: "q", Instruction: "Wüte nicht.", DependsOn: []string{"b", "c"}, Priority: -7,
		OnDependencyFailure: stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_WAIT, Intensity: stintv1.Intensity_INTENSITY_HIGH,
	}
}

// otherTask has what is not decoded by hand.
func otherTask() *stintv1.Task {
	return &stintv1.Task{Id: "z", Labels: map[string]string{"k": "v"}, Parameters: &structpb.Struct{
		Fields: map[string]*structpb.Value{"temperature": structpb.NewNumberValue(0.5)},
	}}
}

// Submits and successes of usual agents are decoded by hand, all else is not.
func TestWhatIsDecodedByHand(t *testing.T) {
	encode := func(m proto.Message) string {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if task := new(stintv1.Task); !readTask(encode(plainTask()), task) || !proto.Equal(task, plainTask()) {
		t.Errorf("read %v", task)
	}
	if readTask(encode(otherTask()), new(stintv1.Task)) {
		t.Error("a task with parameters was read by hand")
	}
	m := &stintv1.SessionRequest{CreditTotal: 9, Reports: []*stintv1.Report{{LeaseId: "a", Result: &stintv1.Result{Text: "x"}}}}
	if got := new(stintv1.SessionRequest); !readSession(encode(m), got) || !proto.Equal(got, m) {
		t.Errorf("read %v", got)
	}
	m.Heartbeat = &stintv1.Heartbeat{Number: -1, RoundTrip: &durationpb.Duration{Seconds: -3, Nanos: -7}}
	if got := new(stintv1.SessionRequest); !readSession(encode(m), got) || !proto.Equal(got, m) ||
		!readHeartbeat(encode(m.Heartbeat), new(stintv1.Heartbeat)) {
		t.Errorf("read %v", got)
	}
	m.Heartbeat.Leases = []*stintv1.LeaseProgress{{LeaseId: "a"}}
	if got := new(stintv1.SessionRequest); !readSession(encode(m), got) || !proto.Equal(got, m) {
		t.Errorf("read %v", got)
	}
	m.Hello = &stintv1.Hello{}
	if readSession(encode(m), new(stintv1.SessionRequest)) {
		t.Error("a hello was read by hand")
	}
}

// S5: a message of very many empty tasks or reports makes no array for them.
func TestManyEmptyItemsAreLeftToTheLibrary(t *testing.T) {
	if _, ok := readTasks(strings.Repeat("\x0a\x00", maxBatch+1), maxBatch); ok {
		t.Error("tasks beyond a batch were read")
	}
	if readSession(strings.Repeat("\x22\x00", maxReportsRead+1), new(stintv1.SessionRequest)) {
		t.Error("reports beyond the bound were read")
	}
}

// C3: what is encoded by hand is what the library encodes, so that digests stay what they are.
func TestTasksAreEncodedAsByTheLibrary(t *testing.T) {
	texts := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.SampledFrom([]string{"\xff", strings.Repeat("x", 300)}))
	rapid.Check(t, func(t *rapid.T) {
		task := &stintv1.Task{
			Id: texts.Draw(t, "id"), Queue: texts.Draw(t, "queue"), Instruction: texts.Draw(t, "instruction"),
			DependsOn: rapid.SliceOf(texts).Draw(t, "depends_on"), Requires: rapid.SliceOf(texts).Draw(t, "requires"),
			OnDependencyFailure: stintv1.OnDependencyFailure(rapid.Int32().Draw(t, "policy")),
			Intensity:           stintv1.Intensity(rapid.Int32().Draw(t, "intensity")), Priority: rapid.Int32().Draw(t, "priority"),
		}
		if rapid.Bool().Draw(t, "more") {
			rapid.SampledFrom(oddities).Draw(t, "which")(task)
		}
		fillIn(task)
		got, err := new(encoder).task(task)
		want, wanted := canonical(nil, task)
		if (err == nil) != (wanted == nil) || !bytes.Equal(got, want) || hasPlainCode(task) && len(got) != sizeTask(task) {
			t.Fatalf("%v:\n got %x, %v\nwant %x, %v", task, got, err, want, wanted)
		}
	})
}

// oddities are fields that the library alone encodes.
var oddities = []func(*stintv1.Task){
	func(t *stintv1.Task) { t.Parameters = &structpb.Struct{} },
	func(t *stintv1.Task) { t.NotBefore = &timestamppb.Timestamp{} },
	func(t *stintv1.Task) { t.ExpireTime = &timestamppb.Timestamp{Seconds: 7} },
	func(t *stintv1.Task) { t.Labels = map[string]string{"b": "2", "a": "1"} },
	func(t *stintv1.Task) { t.Budget = &stintv1.Budget{MaxUsd: new(1.0)} },
	func(t *stintv1.Task) { t.Retry = &stintv1.RetryPolicy{} },
	func(t *stintv1.Task) { t.AttemptTimeout = span(time.Second) },
	func(t *stintv1.Task) { t.ProtoReflect().SetUnknown(protoreflect.RawFields("\x98\x06\x01")) },
}

// No field of a task is passed over by hand, those that will be added included.
func TestEveryFieldOfATaskIsEncoded(t *testing.T) {
	fields := (&stintv1.Task{}).ProtoReflect().Descriptor().Fields()
	for i := range fields.Len() {
		task := &stintv1.Task{}
		fillIn(task)
		set(task.ProtoReflect(), fields.Get(i))
		got, err := new(encoder).task(task)
		if want, _ := canonical(nil, task); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, %v, want %x", fields.Get(i).Name(), got, err, want)
		}
	}
}

// set gives a field a value that is not its zero, or in it something unknown.
func set(m protoreflect.Message, f protoreflect.FieldDescriptor) {
	switch {
	case f.IsMap():
		m.Mutable(f).Map().Set(protoreflect.ValueOfString("k").MapKey(), protoreflect.ValueOfString("v"))
	case f.IsList():
		m.Mutable(f).List().Append(protoreflect.ValueOfString("x"))
	case f.Message() != nil:
		other := m.NewField(f) // the present one is shared
		other.Message().SetUnknown(protoreflect.RawFields("\x98\x06\x01"))
		m.Set(f, other)
	case f.Enum() != nil:
		m.Set(f, protoreflect.ValueOfEnum(2))
	case f.Kind() == protoreflect.Int32Kind:
		m.Set(f, protoreflect.ValueOfInt32(7))
	default:
		m.Set(f, protoreflect.ValueOfString("x"))
	}
}

func TestResultsAreEncodedAsByTheLibrary(t *testing.T) {
	texts := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.SampledFrom([]string{"\xff", strings.Repeat("x", 30_000)}))
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 5).Draw(t, "n")
		e := encoder{items: n}
		var got, want [][]byte
		for range n {
			r := &stintv1.Result{Text: texts.Draw(t, "text"), Model: texts.Draw(t, "model")}
			if rapid.Bool().Draw(t, "cost") {
				r.BudgetUsedUsd = new(rapid.OneOf(rapid.Float64(), rapid.Just(0.0), rapid.Just(math.NaN())).Draw(t, "usd"))
			}
			switch rapid.IntRange(0, 9).Draw(t, "more") {
			case 7:
				r.Output = &structpb.Struct{}
			case 8:
				r.Usage = &structpb.Struct{}
			case 9:
				r.ProtoReflect().SetUnknown(protoreflect.RawFields("\x98\x06\x01"))
			}
			b, sum, err := e.result(r)
			marked, wanted := canonical([]byte{resultMark}, r)
			if (err == nil) != (wanted == nil) {
				t.Fatalf("%v: error %v, of the library %v", r, err, wanted)
			}
			if err != nil {
				continue
			}
			if sum != queue.DigestOf(marked) {
				t.Fatalf("%v: another digest", r)
			}
			got, want = append(got, b), append(want, marked[1:])
		}
		for i := range got { // looked at last: those that share an array leave each other alone
			if !bytes.Equal(got[i], want[i]) {
				t.Fatalf("result %d:\n got %x\nwant %x", i, got[i], want[i])
			}
		}
	})
}

// What is said to agents is encoded by hand as the library would, under the contract's numbers.
func TestPackedMessages(t *testing.T) {
	payload := specOf(t, plainTask()).Payload
	leases := []engine.Lease{
		{ID: strings.Repeat("l", 200), Attempt: 1, Run: 1, Left: 90*time.Second + 5, Payload: payload},
		{ID: "r", Attempt: math.MaxInt32, Run: 2, Left: time.Second, Payload: payload, Status: queue.Status{Run: 2}},
		{ID: "z", Left: 0, Payload: nil},
		{ID: "p", Run: 1, Parents: []engine.Parent{{ID: "a", State: queue.Completed, Result: nil}, {ID: "b", State: queue.Failed}}},
	}
	out := engine.Out{
		Grants:  leases,
		Acks:    []engine.ReportAck{{}, {LeaseID: "a", Ack: queue.AckLeaseLost, End: queue.EndSuperseded, Message: "m"}},
		Cancels: []engine.Cancel{{}, {LeaseID: "c", Reason: queue.EndCancelled}},
	}
	want := &stintv1.SessionResponse{
		ReportAcks: []*stintv1.ReportAck{shownAck(out.Acks[0]), shownAck(out.Acks[1])},
		Cancels:    []*stintv1.LeaseCancel{{}, {LeaseId: "c", Reason: stintv1.LeaseEndReason_LEASE_END_REASON_CANCELLED}},
	}
	granted, err := grantedLeases(leases)
	if err != nil {
		t.Fatal(err)
	}
	want.Grants = granted
	p := packer{send: func(m *stintv1.SessionResponse) error {
		if got := received(t, m); !proto.Equal(got, received(t, want)) || len(got.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("got  %v\nwant %v", got, want)
		}
		return nil
	}}
	for range 2 { // the second is put into the array of the first
		if err := p.say(out); err != nil {
			t.Fatal(err)
		}
	}
}

// lending is a pool that remembers what it has lent.
type lending struct {
	mem.BufferPool
	lent []int // capacities
	back int
}

func (p *lending) Get(n int) *[]byte {
	b := p.BufferPool.Get(n)
	p.lent = append(p.lent, cap(*b))
	return b
}

func (p *lending) Put(b *[]byte) {
	p.back++
	p.BufferPool.Put(b)
}

// A message is encoded as the library does, into a buffer that is not much larger and goes back.
func TestEncodedIntoABufferThatSuits(t *testing.T) {
	buffers, err := newBuffers()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 100, 3 << 10, 40 << 10, 1<<20 + 1} {
		pool := &lending{BufferPool: buffers}
		m := &stintv1.SubmitTaskRequest{Task: &stintv1.Task{Instruction: strings.Repeat("x", n)}}
		got, err := newCodec(pool).Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := proto.Marshal(m); err != nil || !bytes.Equal(got.Materialize(), want) {
			t.Errorf("%d bytes: not the library's encoding", n)
		}
		size := got.Len()
		got.Free()
		if len(pool.lent) != pool.back {
			t.Errorf("%d bytes: %d buffers lent, %d came back", n, len(pool.lent), pool.back)
		}
		if pooled := len(pool.lent) > 0; pooled != (size > 1<<10) || pooled && pool.lent[0] >= 2*size {
			t.Errorf("%d bytes: buffers of %v", size, pool.lent)
		}
	}
}
