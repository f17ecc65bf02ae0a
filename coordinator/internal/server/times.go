package server

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// instant translates a valid time. Unset is 0; a time that would be 0 is a microsecond later,
// so that it does not read as unset.
func instant(t *timestamppb.Timestamp) queue.Instant {
	if t == nil {
		return 0
	}
	i := queue.Instant(t.GetSeconds()*1_000_000 + int64(t.GetNanos())/1_000)
	if i == 0 {
		return 1
	}
	return i
}

// stamp translates an instant; 0 is unset.
func stamp(i queue.Instant) *timestamppb.Timestamp {
	if i == 0 {
		return nil
	}
	return timestamppb.New(time.UnixMicro(int64(i)))
}

// span translates a length of time; 0 is unset.
func span(d time.Duration) *durationpb.Duration {
	if d == 0 {
		return nil
	}
	return durationpb.New(d)
}

// within gives the length of time, or the default where it is unset.
func within(d *durationpb.Duration, unset time.Duration) time.Duration {
	if d == nil {
		return unset
	}
	return d.AsDuration()
}

// checkTime refuses a time outside of the years 1 to 9999.
func checkTime(path string, t *timestamppb.Timestamp) []fault {
	if t == nil || t.IsValid() {
		return nil
	}
	return []fault{{path, "must be a time of the years 1 to 9999 with nanos of 0 to 999,999,999"}}
}

// checkSpan refuses a length of time that is not well formed.
func checkSpan(path string, d *durationpb.Duration) []fault {
	if d == nil || d.IsValid() {
		return nil
	}
	return []fault{{path, "must be a duration within ±10,000 years whose nanos have the sign of its seconds"}}
}
