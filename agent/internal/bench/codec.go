package bench

import (
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// codec is that of the library, but for the messages that a flow consists of: those are sent as they
// were encoded, and read by hand. What has anything else is left to the library, and so is what is
// malformed.
type codec struct{ encoding.CodecV2 }

// lean are the options of a client with much to say: the clients of a flow share the machine with
// the coordinator.
func lean() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{encoding.GetCodecV2(proto.Name)})),
		experimental.WithBufferPool(pool),
		grpc.WithStaticStreamWindowSize(window), grpc.WithStaticConnWindowSize(window),
	}
}

// window is fixed, as an agent has it.
const window = 4 << 20

func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(encoded); ok {
		return mem.BufferSlice{mem.NewBuffer(m.bytes, pool)}, nil
	}
	return c.CodecV2.Marshal(v)
}

func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	switch m := v.(type) {
	case *delivery:
		if m.read(data.MaterializeToBuffer(pool)) {
			return nil
		}
		var whole stintv1.SessionResponse
		if err := c.CodecV2.Unmarshal(data, &whole); err != nil {
			return err
		}
		m.set(&whole)
		return nil
	case *receipt:
		if m.read(data.MaterializeToBuffer(pool)) {
			return nil
		}
		var whole stintv1.SubmitTasksResponse
		if err := c.CodecV2.Unmarshal(data, &whole); err != nil {
			return err
		}
		return m.check(&whole)
	}
	return c.CodecV2.Unmarshal(data, v)
}
