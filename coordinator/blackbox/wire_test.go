package blackbox

import (
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// wantReason checks code and reason of an error.
func wantReason(t *testing.T, err error, code codes.Code, reason stintv1.ErrorReason) {
	t.Helper()
	got := ""
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			got = info.GetReason()
		}
	}
	if want := strings.TrimPrefix(reason.String(), "ERROR_REASON_"); status.Code(err) != code || got != want {
		t.Errorf("error %v with reason %q, want %v with %s", err, got, code, want)
	}
}
