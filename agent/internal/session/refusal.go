package session

import (
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// versionUnsupported is the ErrorInfo reason of ERROR_REASON_VERSION_UNSUPPORTED.
const versionUnsupported = "VERSION_UNSUPPORTED"

// fatal is true for an end of the stream that dialling again cannot mend: a bad hello, or a version that is not spoken.
func fatal(err error, atHello bool) bool {
	s := status.Convert(err)
	return atHello && s.Code() == codes.InvalidArgument || reason(s) == versionUnsupported
}

// reason is the typed reason of an error; "": it has none.
func reason(s *status.Status) string {
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// retryDelay is how long the coordinator asks to wait before the next try; 0: it asks nothing.
func retryDelay(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}
