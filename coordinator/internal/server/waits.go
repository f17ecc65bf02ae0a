package server

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// connection is what is known of a connection: how many of its calls wait.
type connection struct{ waiting atomic.Int32 }

type connectionKey struct{}

// connections tags the context of every call with its connection.
type connections struct{}

func (connections) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return context.WithValue(ctx, connectionKey{}, new(connection))
}

func (connections) HandleConn(context.Context, stats.ConnStats) {}

func (connections) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (connections) HandleRPC(context.Context, stats.RPCStats) {}

// waitsUnary bounds the calls of one connection that wait at the same time.
func (c *chain) waitsUnary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	wait := policies[info.FullMethod].wait
	conn, _ := ctx.Value(connectionKey{}).(*connection)
	if wait == nil || conn == nil || wait(req) <= 0 {
		return next(ctx, req)
	}
	defer conn.waiting.Add(-1)
	if conn.waiting.Add(1) > maxWaits {
		return nil, refuse(stintv1.ErrorReason_ERROR_REASON_TOO_MANY_WAITS,
			"%d calls of this connection wait already; use another connection, or wait for fewer at once", maxWaits)
	}
	return next(ctx, req)
}
