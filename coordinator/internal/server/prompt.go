package server

import (
	"time"

	"google.golang.org/grpc"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// promptStream bounds the wait for the first message of a stream, during which its handler heeds neither
// time nor the leave.
func (c *chain) promptStream(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	return next(srv, &prompt{ServerStream: stream, stopping: c.stopping})
}

// prompt is a stream that ends unless its first message comes in time.
type prompt struct {
	grpc.ServerStream
	stopping <-chan struct{}
	heard    bool
}

// RecvMsg may return before what it fills is free: only with an error, which ends the stream and so frees
// the receive.
func (p *prompt) RecvMsg(m any) error {
	if p.heard {
		return p.ServerStream.RecvMsg(m)
	}
	p.heard = true
	done := make(chan error, 1)
	go func() { done <- contained(func() error { return p.ServerStream.RecvMsg(m) }) }()
	late := time.NewTimer(handshake)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return refuse(stintv1.ErrorReason_ERROR_REASON_SESSION_TOO_SLOW,
			"the first message has not come whole within %v; send it as the stream opens, and what is large later", handshake)
	case <-p.stopping:
		return engine.ErrStopping
	}
}
