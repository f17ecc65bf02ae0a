package server

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// sizeUnary refuses a request over maxRequest and says how large it is.
func (c *chain) sizeUnary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if m, ok := req.(proto.Message); ok {
		if n := proto.Size(m); n > maxRequest {
			return nil, refuseField(stintv1.ErrorReason_ERROR_REASON_REQUEST_TOO_LARGE, "",
				"the request has %d bytes encoded, %d are allowed; split it into several calls", n, maxRequest)
		}
	}
	return next(ctx, req)
}
