package server

import (
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// fits refuses a unary request over maxRequest and says how large it is.
func fits(m proto.Message) error {
	if n := proto.Size(m); n > maxRequest {
		return refuseField(stintv1.ErrorReason_ERROR_REASON_REQUEST_TOO_LARGE, "",
			"the request has %d bytes encoded, %d are allowed; split it into several calls", n, maxRequest)
	}
	return nil
}
