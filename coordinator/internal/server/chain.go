package server

import (
	"context"
	"log/slog"

	validation "github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/protovalidate"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/recovery"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"buf.build/go/protovalidate"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// chain is what stands around every call. This is the order, outermost first, and its reasons:
//
//  1. door: sees every error of all that follows, maps it, logs the call once.
//  2. recovery: a panic of anything that follows costs one call, not the process; the door
//     tells it as INTERNAL.
//  3. policy: nothing else is done for a method that nobody has judged.
//  4. ending (streams): closes the streams of libraries' handlers when the server leaves.
//  5. prompt (streams): ends those whose first message does not come, or not before the server leaves.
//  6. size: before validation, whose work grows with the request.
//  7. validation: before the wait, so that a bad request never takes a place among them.
//  8. waits: last, right around the handler that parks.
//
// A unary call passes them as one interceptor, in one function: each of its own would cost every call two
// closures. Of the library's, streams have theirs.
type chain struct {
	logger   *slog.Logger
	rules    protovalidate.Validator
	stopping <-chan struct{} // closed when the server leaves
	waits    waits
}

func (c *chain) options() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.UnaryInterceptor(c.unary),
		grpc.ChainStreamInterceptor(
			c.doorStream,
			recovery.StreamServerInterceptor(),
			c.policyStream,
			c.endingStream,
			c.promptStream,
			explainStream,
			validation.StreamServerInterceptor(c.rules, validation.WithIgnoreMessages(
				(&stintv1.SessionRequest{}).ProtoReflect().Type(),
			)),
		),
	}
}

// unary is the door of a unary call.
func (c *chain) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	var reply any
	err := contained(func() (err error) {
		reply, err = c.inside(ctx, req, info.FullMethod, next)
		return err
	})
	if err == nil {
		c.logDone(ctx, info.FullMethod)
		return reply, nil
	}
	return nil, c.leave(ctx, info.FullMethod, err)
}

// inside is all behind the door.
func (c *chain) inside(ctx context.Context, req any, method string, next grpc.UnaryHandler) (any, error) {
	row, ok := policies[method]
	if !ok {
		return nil, errNoPolicy(method)
	}
	if m, ok := req.(proto.Message); ok {
		if err := fits(m); err != nil {
			return nil, err
		}
		if err := c.obeys(m); err != nil {
			return nil, err
		}
	}
	if row.wait == nil || row.wait(req) <= 0 {
		return next(ctx, req)
	}
	leave, err := c.waits.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return next(ctx, req)
}

func (c *chain) doorStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	err := next(srv, stream)
	if err == nil {
		c.logDone(stream.Context(), info.FullMethod)
		return nil
	}
	if r, ours := judge(err); ours {
		stream.SetTrailer(r.trailer())
	}
	return c.leave(stream.Context(), info.FullMethod, err)
}

func (c *chain) logDone(ctx context.Context, method string) {
	c.logger.LogAttrs(ctx, slog.LevelDebug, "call done", slog.String("method", method))
}

// leave maps an error and logs it: a fault of the coordinator with all that is known of it,
// anything else only for those who look for it.
func (c *chain) leave(ctx context.Context, method string, err error) error {
	r, out := answer(err)
	switch {
	case r == nil:
		c.logger.LogAttrs(ctx, slog.LevelDebug, "call ended", slog.String("method", method), slog.Any("error", err))
	case r.faulty():
		c.logger.LogAttrs(ctx, slog.LevelError, "call failed", slog.String("method", method), slog.Any("error", err))
	case r.slow():
		c.logger.LogAttrs(ctx, slog.LevelWarn, "stream cut", slog.String("method", method), slog.String("reason", reasonName(r.reason)))
	default:
		c.logger.LogAttrs(ctx, slog.LevelDebug, "call refused", slog.String("method", method), slog.String("reason", reasonName(r.reason)), slog.Any("error", err))
	}
	return out
}

// errNoPolicy is told as INTERNAL: forgetting the row is our fault.
type errNoPolicy string

func (e errNoPolicy) Error() string { return "server: no policy for method " + string(e) }

func (c *chain) policyStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if _, ok := policies[info.FullMethod]; !ok {
		return errNoPolicy(info.FullMethod)
	}
	return next(srv, stream)
}
