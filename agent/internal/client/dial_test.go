package client

import (
	"bytes"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// An address that can't be one is refused before anything is dialled.
func TestAddresses(t *testing.T) {
	for _, good := range []string{"127.0.0.1:7070", "host:1", "[::1]:7070", "a:1, b:2"} {
		if conn, err := Dial(good); err != nil {
			t.Errorf("%q: %v", good, err)
		} else {
			_ = conn.Close()
		}
	}
	for _, bad := range []string{"", "host", ":7070", "host:", "host:http", "host:70000", "host:0", "http://host:7070", "a:1,,b:2", "::1:7070"} {
		conn, err := Dial(bad)
		if err == nil {
			_ = conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "give HOST:PORT such as 127.0.0.1:7070") {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

// Of several addresses the first that answers is asked.
func TestFirstAddressThatAnswers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{script: map[string][]reply{"ListQueues": {ok(&stintv1.ListQueuesResponse{Queues: []*stintv1.Queue{line(false)}})}}}
	server := grpc.NewServer(grpc.UnaryInterceptor(f.intercept))
	stintv1.RegisterQueueServiceServer(server, f)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	defer func() { server.Stop(); <-served }()

	conn, err := Dial(silentAddress(t) + "," + ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var out bytes.Buffer
	if err := New(conn, Options{Out: &out, Notes: &out}).Queues(t.Context()); err != nil || !strings.Contains(out.String(), "default") {
		t.Errorf("got %v, %q", err, out.String())
	}
}
