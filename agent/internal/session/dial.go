package session

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

const (
	// connectTimeout bounds dial and handshake; the coordinator cuts off handshakes at the same time.
	connectTimeout = 10 * time.Second

	// pingInterval and pingTimeout find a dead path that TCP does not report. The coordinator allows pings every 10 s.
	// Proxies answer pings themselves, so the heartbeats are what counts.
	pingInterval = 30 * time.Second
	pingTimeout  = 10 * time.Second

	// streamWindow and connWindow are what the coordinator may send before it is read, above the 2 MiB of its messages. Being
	// fixed they need no measuring: otherwise every message that comes alone is answered with a ping.
	streamWindow = 4 << 20
	connWindow   = 4 << 20
)

// grpcStream is a stream on a connection of its own.
type grpcStream struct {
	grpc.BidiStreamingClient[stintv1.SessionRequest, stintv1.SessionResponse]
	conn *grpc.ClientConn
}

func (s grpcStream) Close() error { return s.conn.Close() }

// dialGRPC opens a stream over a connection of its own, in plain text.
func dialGRPC(ctx context.Context, address string) (Stream, error) {
	conn, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingInterval, Timeout: pingTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: connectTimeout}),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithDisableServiceConfig(),
	)
	if err != nil {
		return nil, fmt.Errorf("session: coordinator %s: %w", address, err)
	}
	stream, err := stintv1.NewAgentServiceClient(conn).Session(ctx)
	if err != nil {
		_ = conn.Close() // the stream's error says more
		return nil, err
	}
	return grpcStream{stream, conn}, nil
}
