package server

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/encoding"
	codecproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// codec is that of the library, but that it decodes by hand what nearly all traffic consists of:
// plain tasks that are submitted, and successes that are reported. What has any other field is left
// to the library, task by task and report by report; and so is a malformed message as a whole, to be
// judged in one way. It encodes as the library does, into buffers of a pool that suits.
type codec struct {
	encoding.CodecV2
	buffers mem.BufferPool
}

func newCodec(b mem.BufferPool) codec { return codec{encoding.GetCodecV2(codecproto.Name), b} }

// newBuffers makes a pool of buffers whose sizes are the powers of two that messages have. The
// default pool gives a message of 40 KiB, as a batch has, a buffer of 1 MiB, and clears all of it.
func newBuffers() (mem.BufferPool, error) {
	b, err := mem.NewBinaryTieredBufferPool(bufferSizes...)
	if err != nil {
		return nil, fmt.Errorf("server: buffers: %w", err)
	}
	return b, nil
}

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	n := proto.Size(m)
	code := proto.MarshalOptions{UseCachedSize: true}
	if mem.IsBelowBufferPoolingThreshold(n) {
		b, err := code.MarshalAppend(make([]byte, 0, n), m)
		return mem.BufferSlice{mem.SliceBuffer(b)}, err
	}
	b := c.buffers.Get(n)
	if _, err := code.MarshalAppend((*b)[:0], m); err != nil {
		c.buffers.Put(b)
		return nil, err
	}
	return mem.BufferSlice{mem.NewBuffer(b, c.buffers)}, nil
}

// Unmarshal decodes no more than is needed to refuse a request: of one that is too large nothing, so that
// it keeps its size, and of a list that is too long one item too many.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	if m, ok := v.(proto.Message); ok && data.Len() > maxRequest && sized(m) {
		m.ProtoReflect().SetUnknown(data.Materialize())
		return nil
	}
	switch m := v.(type) {
	case *stintv1.SubmitTasksRequest:
		s := text(data)
		if tasks, ok := readTasks(s, maxBatch); ok {
			m.Tasks = tasks
			return nil
		}
		if len(s) > smallMessage {
			return proto.Unmarshal(cutTasks([]byte(s), maxBatch), m)
		}
	case *stintv1.SubmitTaskRequest:
		s := text(data)
		if tasks, ok := readTasks(s, 1); ok && len(tasks) == 1 {
			m.Task = tasks[0]
			return nil
		}
		if len(s) > smallMessage {
			return proto.Unmarshal(cutTasks([]byte(s), 1), m)
		}
	case *stintv1.SessionRequest:
		s := text(data)
		if crowded(s) {
			m.Releases = make([]*stintv1.Release, maxParts+1) // of nothing: as many are refused
			return nil
		}
		if readSession(s, m) {
			return nil
		}
	}
	if b, ok := boundOf(v); ok && data.Len() > smallMessage {
		return proto.Unmarshal(upTo(data.Materialize(), b), v.(proto.Message))
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
