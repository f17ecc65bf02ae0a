package server

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// An empty item takes two bytes of a message, and a hundred of memory. What stands here decides by the
// encoded message how much of it is decoded (S5).

// bound is a repeated field, and how many items the rules of the contract let it have.
type bound struct {
	field protowire.Number
	most  int
}

// boundOf is that of a request with a list.
func boundOf(v any) (b bound, ok bool) {
	switch v.(type) {
	case *stintv1.SubmitTasksRequest:
		return bound{submitTasks, maxBatch}, true
	case *stintv1.ExtendLeasesRequest:
		return bound{extendExtensions, maxBatch}, true
	case *stintv1.ReportLeasesRequest:
		return bound{reportReports, maxReports}, true
	case *stintv1.ReleaseLeasesRequest:
		return bound{releaseReleases, maxBatch}, true
	case *stintv1.AcquireLeasesRequest:
		return bound{acquireQueues, maxBatch}, true
	case *stintv1.WatchEventsRequest:
		return bound{watchTasks, maxBatch}, true
	}
	return bound{}, false
}

// taskBounds are those of a task in it.
var taskBounds = []bound{{taskDependsOn, maxParents}, {taskRequires, maxRequires}}

// upTo leaves out what follows the first item too many of a list: for that one the rules refuse it all.
func upTo(message []byte, bounds ...bound) []byte {
	if len(message) <= smallMessage {
		return message
	}
	for _, b := range bounds {
		message = b.cut(message)
	}
	return message
}

func (b bound) cut(message []byte) []byte {
	at, n := 0, 0
	for n <= b.most {
		field, _, size := protowire.ConsumeField(message[at:])
		if size < 0 {
			return message // here it ends, or is malformed, which ends the decoding
		}
		if at += size; field == b.field {
			n++
		}
	}
	return message[:at]
}

// sized tells whether a message that was decoded is measured: those of streams are not, and what is for
// a library's service may not be.
func sized(m proto.Message) bool {
	switch m.(type) {
	case *stintv1.SessionRequest, *stintv1.WatchEventsRequest:
		return false
	}
	return m.ProtoReflect().Descriptor().ParentFile().Package() == stintv1.File_stint_v1_task_proto.Package()
}

// crowded tells whether a session's message has more parts than one of honest items has room for.
func crowded(text string) bool {
	return len(text) > 2*maxParts && parts([]byte(text), requestHello, requestHeartbeat) > maxParts
}

// parts counts the fields of a message, and those inside the fields that are named.
func parts(message []byte, inside ...protowire.Number) (n int) {
	for {
		field, kind, tag := protowire.ConsumeTag(message)
		if tag < 0 {
			return n
		}
		size := protowire.ConsumeFieldValue(field, kind, message[tag:])
		if size < 0 {
			return n
		}
		if kind == protowire.BytesType && slices.Contains(inside, field) {
			value, _ := protowire.ConsumeBytes(message[tag:])
			n += parts(value)
		}
		n++
		message = message[tag+size:]
	}
}
