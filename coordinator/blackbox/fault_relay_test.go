package blackbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// relay speaks gRPC between clients and a coordinator, and passes whole messages on, or does not.
type relay struct {
	addr string
	conn *grpc.ClientConn
	// down and up are asked about each message, from and to the coordinator; false drops it. nil passes all. number counts
	// the messages of a call in that direction, from 1. A unary call whose answer is dropped ends with UNAVAILABLE.
	down, up func(method string, number int, message []byte) bool
	// snap, if set, is asked at each message from the coordinator whether the call breaks there.
	snap func(method string) bool
}

// raw passes messages as the bytes that they are.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) ([]byte, error) {
	b, ok := v.(*[]byte)
	if !ok {
		return nil, fmt.Errorf("relay: %T is no message", v)
	}
	return *b, nil
}

func (raw) Unmarshal(data []byte, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("relay: %T is no message", v)
	}
	*b = append([]byte(nil), data...)
	return nil
}

const sessionMethod = "/stint.v1.AgentService/Session"

// startRelay puts a relay before a coordinator until the end of the test.
func startRelay(t *testing.T, c *coordinator, down, up func(string, int, []byte) bool) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpc.NewClient(c.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{addr: listener.Addr().String(), conn: conn, down: down, up: up}
	server := grpc.NewServer(grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(r.pass), grpc.WaitForHandlers(true))
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := errors.Join(<-served, conn.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

// through is a coordinator as clients of the relay see it.
func (r *relay) through(c *coordinator) *coordinator {
	seen := *c
	seen.grpc = r.addr
	return &seen
}

// pass carries one call.
func (r *relay) pass(_ any, client grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(client)
	ctx, cancel := context.WithCancel(client.Context())
	md, _ := metadata.FromIncomingContext(ctx)
	ctx = metadata.NewOutgoingContext(ctx, md)
	defer cancel()
	server, err := r.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	// The goroutine is freed by the end of the handler, which ends the client's stream; it is not waited for.
	go func() { r.forward(method, client, server) }()
	for n := 1; ; n++ {
		var m []byte
		if err := server.RecvMsg(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		switch {
		case r.snap != nil && r.snap(method):
			return status.Error(codes.Unavailable, "relay: the call was broken off")
		case r.down == nil || r.down(method, n, m):
			if err := client.SendMsg(&m); err != nil {
				return err
			}
		case method != sessionMethod:
			return status.Error(codes.Unavailable, "relay: the answer was dropped")
		}
	}
}

// forward carries what the client says.
func (r *relay) forward(method string, client grpc.ServerStream, server grpc.ClientStream) {
	for n := 1; ; n++ {
		var m []byte
		if err := client.RecvMsg(&m); err != nil {
			_ = server.CloseSend() // it fails if the call is over
			return
		}
		if r.up != nil && !r.up(method, n, m) {
			continue
		}
		if server.SendMsg(&m) != nil {
			return
		}
	}
}

// sessionResponse reads a message that a relay carries; an empty one if it is not readable.
func sessionResponse(message []byte) *stintv1.SessionResponse {
	m := &stintv1.SessionResponse{}
	_ = proto.Unmarshal(message, m) // what it is not has no parts
	return m
}

// sessionRequest is the like of what an agent says.
func sessionRequest(message []byte) *stintv1.SessionRequest {
	m := &stintv1.SessionRequest{}
	_ = proto.Unmarshal(message, m) // what it is not has no parts
	return m
}
