package runner

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// benchAnswer is of the size and the kind that an inference API gives to a short task.
const benchAnswer = `{"status":"completed","result":"Three sentences are what this text has. None of them says much.",` +
	`"model":"small-1","budget_used":0.05,"usage":{"input_tokens":64,"output_tokens":16,"total_tokens":80},` +
	`"task_id":"01JZZZZZZZZZZZZZZZZZZZZZZZ","nonce":"4Z6KQXJQW2ZL5Y6Q7GQ3"}`

func benchLease() *stintv1.Lease {
	low, high := 0.05, 0.1
	return &stintv1.Lease{LeaseId: strings.Repeat("l", 43), Attempt: 1, Run: 1, Task: &stintv1.Task{
		Id: "01JZZZZZZZZZZZZZZZZZZZZZZZ", Queue: "default", Instruction: strings.Repeat("x", 256),
		Intensity:      stintv1.Intensity_INTENSITY_MEDIUM,
		Budget:         &stintv1.Budget{MinUsd: &low, MaxUsd: &high},
		AttemptTimeout: durationpb.New(defaultAttemptTimeout),
	}}
}

// BenchmarkRun is a whole call over loopback, the other end's writes and reads included, which are as few as can be.
func BenchmarkRun(b *testing.B) {
	r, err := New(Config{Endpoint: "http://" + canned(b), Dialect: DefaultDialect, Version: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	lease := benchLease()
	b.ReportAllocs()
	for b.Loop() {
		if report := r.Run(b.Context(), lease); report.GetFailure() != nil {
			b.Fatal(report)
		}
	}
}

// canned answers every body of JSON with benchAnswer.
func canned(b *testing.B) (address string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = listener.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " +
		strconv.Itoa(len(benchAnswer)) + "\r\n\r\n" + benchAnswer)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		request, n := make([]byte, 64<<10), 0
		for err == nil {
			if n, err = conn.Read(request); n > 0 && request[n-1] == '}' {
				_, err = conn.Write(answer)
			}
		}
	}()
	return listener.Addr().String()
}

// BenchmarkDialect is what a task costs besides its call.
func BenchmarkDialect(b *testing.B) {
	for name, d := range dialects {
		b.Run(name+"/request", func(b *testing.B) {
			task := benchLease().GetTask()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := d.request(task); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/result", func(b *testing.B) {
			body := []byte(benchAnswer)
			b.ReportAllocs()
			for b.Loop() {
				object, refusal := decode(body)
				if refusal == nil {
					_, refusal = d.result(object)
				}
				if refusal != nil {
					b.Fatal(refusal.text)
				}
			}
		})
	}
}
