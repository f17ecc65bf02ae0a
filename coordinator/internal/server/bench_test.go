package server

import (
	"crypto/rand"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// benchBatch is how many tasks one operation of a benchmark is for.
const benchBatch = 100

// submitBody is a request with tasks as small as tasks usually are, as it comes off the wire.
func submitBody(b *testing.B) []byte {
	b.Helper()
	r := &stintv1.SubmitTasksRequest{}
	for i := range benchBatch {
		r.Tasks = append(r.Tasks, &stintv1.Task{
			Id: fmt.Sprintf("01JZ0000000000000000000%03d", i), Instruction: strings.Repeat("x", 256),
		})
	}
	body, err := proto.Marshal(r)
	if err != nil {
		b.Fatal(err)
	}
	return body
}

func perTask(b *testing.B) {
	b.Helper()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchBatch, "ns/task")
}

// BenchmarkSubmit takes a batch from the wire to the engine's terms, in its three steps.
func BenchmarkSubmit(b *testing.B) {
	body := submitBody(b)
	decode := func(b *testing.B) *stintv1.SubmitTasksRequest {
		r := &stintv1.SubmitTasksRequest{}
		if err := newCodec(nil).Unmarshal(mem.BufferSlice{mem.SliceBuffer(body)}, r); err != nil {
			b.Fatal(err)
		}
		return r
	}
	rules, err := newRules()
	if err != nil {
		b.Fatal(err)
	}
	path := func(i int) string { return fmt.Sprintf("tasks[%d]", i) }
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			decode(b)
		}
		perTask(b)
	})
	b.Run("rules", func(b *testing.B) {
		b.ReportAllocs()
		r := decode(b)
		for b.Loop() {
			if err := rules.Validate(r); err != nil {
				b.Fatal(err)
			}
		}
		perTask(b)
	})
	b.Run("decode+specs", func(b *testing.B) {
		b.ReportAllocs()
		var g ids
		for b.Loop() {
			if _, _, err := g.specs(decode(b).GetTasks(), path); err != nil { // it fills in the request's defaults
				b.Fatal(err)
			}
		}
		perTask(b)
	})
}

// BenchmarkGrants takes what the engine grants to the wire.
func BenchmarkGrants(b *testing.B) {
	payload, err := canonical(nil, &stintv1.Task{Id: "a", Queue: "default", Instruction: strings.Repeat("x", 256)})
	if err != nil {
		b.Fatal(err)
	}
	var out engine.Out
	for range benchBatch {
		out.Grants = append(out.Grants, engine.Lease{
			ID: strings.Repeat("l", 43), Attempt: 1, Run: 1, Left: 30 * time.Second, Payload: payload,
		})
	}
	encode := func(m *stintv1.SessionResponse) error {
		_, err := proto.Marshal(m)
		return err
	}
	p := packer{send: encode}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.say(out); err != nil {
			b.Fatal(err)
		}
	}
	perTask(b)
}

// BenchmarkReports takes reports from the wire to the engine's terms.
func BenchmarkReports(b *testing.B) {
	r := &stintv1.SessionRequest{CreditTotal: 1000}
	for range benchBatch {
		r.Reports = append(r.Reports, &stintv1.Report{
			LeaseId: strings.Repeat("l", 43), Result: &stintv1.Result{Text: strings.Repeat("y", 64)},
		})
	}
	body, err := proto.Marshal(r)
	if err != nil {
		b.Fatal(err)
	}
	rules, err := newRules()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m := &stintv1.SessionRequest{}
		if err := newCodec(nil).Unmarshal(mem.BufferSlice{mem.SliceBuffer(body)}, m); err != nil {
			b.Fatal(err)
		}
		if _, refused, err := message(m, rules); err != nil || refused != nil {
			b.Fatal(refused, err)
		}
	}
	perTask(b)
}

// BenchmarkAcks takes the engine's acknowledgements to the wire.
func BenchmarkAcks(b *testing.B) {
	var out engine.Out
	for range benchBatch {
		out.Acks = append(out.Acks, engine.ReportAck{LeaseID: strings.Repeat("l", 43), Ack: queue.AckRecorded})
	}
	encode := func(m *stintv1.SessionResponse) error {
		_, err := proto.Marshal(m)
		return err
	}
	p := packer{send: encode}
	b.ReportAllocs()
	for b.Loop() {
		if err := p.say(out); err != nil {
			b.Fatal(err)
		}
	}
	perTask(b)
}

// BenchmarkUnary is SubmitTask by 128 callers, from client to client, with an engine that answers
// at once.
func BenchmarkUnary(b *testing.B) {
	f := newFake()
	f.submit = func([]queue.Spec, []bool) ([]bool, error) { return nil, nil }
	f.made = queue.Status{State: queue.Ready, Run: 1, Create: 1, Ready: 1}
	conn, _ := served(b, f, time.Minute)
	tasks := stintv1.NewTaskServiceClient(conn)
	text := strings.Repeat("x", 256)
	b.ReportAllocs()
	b.SetParallelism(128 / runtime.GOMAXPROCS(0))
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := tasks.SubmitTask(b.Context(), &stintv1.SubmitTaskRequest{Task: &stintv1.Task{Id: rand.Text(), Instruction: text}}); err != nil {
				b.Error(err)
			}
		}
	})
}
