package server

import (
	"strings"

	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// codec is that of the library, but that it decodes by hand what nearly all traffic consists of:
// plain tasks that are submitted, and successes that are reported. What has any other field is left
// to the library, task by task and report by report; and so is a malformed message as a whole, to be
// judged in one way.
type codec struct{ encoding.CodecV2 }

func newCodec() codec { return codec{encoding.GetCodecV2(proto.Name)} }

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *stintv1.SubmitTasksRequest:
		if tasks, ok := readTasks(text(data), maxBatch); ok {
			m.Tasks = tasks
			return nil
		}
	case *stintv1.SubmitTaskRequest:
		if tasks, ok := readTasks(text(data), 1); ok && len(tasks) == 1 {
			m.Task = tasks[0]
			return nil
		}
	case *stintv1.SessionRequest:
		if readSession(text(data), m) {
			return nil
		}
	}
	return c.CodecV2.Unmarshal(data, v)
}

// text copies a message once: all of its texts are parts of the copy.
func text(data mem.BufferSlice) string {
	var b strings.Builder
	b.Grow(data.Len())
	for _, part := range data {
		b.Write(part.ReadOnlyData())
	}
	return b.String()
}
