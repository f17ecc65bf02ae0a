package server

import (
	"context"
	"fmt"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// endingStream ends a stream whose handler is a library's when the server leaves: such a
// handler waits for its peer for as long as that likes, and would hold up the leave. The handler
// returns soon after, since the stream is closed under it.
func (c *chain) endingStream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if !policies[info.FullMethod].foreign {
		return next(srv, stream)
	}
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- contained(func() error { return next(srv, &inContext{stream, ctx}) }) }()
	select {
	case err := <-done:
		return err
	case <-c.stopping:
	}
	select { // a health watch tells that it is NOT_SERVING now
	case err := <-done:
		return err
	case <-time.After(goodbye):
		return engine.ErrStopping
	}
}

// contained turns a panic of f into an error; f runs in a goroutine that nobody else guards.
func contained(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("server: panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f()
}

// inContext is a stream with another context.
type inContext struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *inContext) Context() context.Context { return s.ctx }
