package server

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// An empty item takes two bytes of a message, and a hundred of memory. What stands here decides by the
// encoded message how much of it is decoded (S5). The values inside parameters, output and usage, which
// are of any shape, are not counted: an empty one takes some forty times its two bytes, so that a message
// of nothing else may take 150 MB, or 300 MB on a session. What bounds that is the size of a message.

// bound is a repeated field, and how many items the rules of the contract let it have.
type bound struct {
	field protowire.Number
	most  int
}

// boundOf is that of a request with a list; submits have cutTasks.
func boundOf(v any) (b bound, ok bool) {
	switch v.(type) {
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

// taskBounds are those of a task.
var taskBounds = []bound{{taskDependsOn, maxParents}, {taskRequires, maxRequires}}

// upTo leaves out what follows the first item too many of a list: for that one the rules refuse it all.
func upTo(message []byte, bounds ...bound) []byte {
	t := tally{bounds: bounds}
	return t.cut(message)
}

// tally counts the items of up to two lists.
type tally struct {
	bounds []bound
	items  [2]int
}

func (t *tally) cut(message []byte) []byte {
	for at := 0; ; {
		field, kind, size := protowire.ConsumeField(message[at:])
		if size < 0 {
			return message // here it ends, or is malformed, which ends the decoding
		}
		at += size
		for i, b := range t.bounds {
			if field != b.field || kind != protowire.BytesType {
				continue
			}
			if t.items[i]++; t.items[i] > b.most {
				return message[:at]
			}
		}
	}
}

// cutTasks is upTo for a submit of at most so many tasks and the lists in them. As the task of a submit of
// one may come in parts, which are merged, its items are counted over all of them.
func cutTasks(message []byte, most int) []byte {
	inside := tally{bounds: taskBounds}
	for at, n := 0, 0; ; {
		field, kind, size := protowire.ConsumeField(message[at:])
		if size < 0 {
			return message
		}
		from := at
		if at += size; field != submitTasks || kind != protowire.BytesType {
			continue
		}
		_, _, tag := protowire.ConsumeTag(message[from:])
		task, _ := protowire.ConsumeBytes(message[from+tag:])
		if short := inside.cut(task); len(short) < len(task) {
			return protowire.AppendBytes(slices.Clone(message[:from+tag]), short)
		}
		if most == 1 {
			continue
		}
		if n++; n > most {
			return message[:at]
		}
		inside.items = [2]int{}
	}
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
	return len(text) > 2*maxParts && parts(text, tagHello, tagHeartbeat) > maxParts
}

// parts counts the fields of a message, and those inside the fields that are named.
func parts(message string, inside ...uint64) (n int) {
	w := reader{rest: message}
	for tag, more := w.next(); more; tag, more = w.next() {
		n++
		if slices.Contains(inside, tag) {
			n += parts(w.bytes())
		} else {
			w.skip(tag)
		}
	}
	return n
}
