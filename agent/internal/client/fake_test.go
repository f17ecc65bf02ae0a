package client

import (
	"bytes"
	"context"
	"net"
	"path"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// now is the clock of all tests.
var now = time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC)

// reply is one answer of the fake coordinator: a message or an error.
type reply struct {
	message proto.Message
	err     error
}

func ok(m proto.Message) reply { return reply{message: m} }

func fails(err error) reply { return reply{err: err} }

// fake is a coordinator that answers each method from a script, the last line again and again, and notes what it was
// asked. It knows no rule of a real one.
type fake struct {
	stintv1.UnimplementedTaskServiceServer
	stintv1.UnimplementedAgentServiceServer
	stintv1.UnimplementedQueueServiceServer

	mu     sync.Mutex
	script map[string][]reply // by method name
	asked  []proto.Message
	limits []time.Duration // time that each unary call was given
	watch  func(req *stintv1.WatchEventsRequest, stream stintv1.TaskService_WatchEventsServer) error
}

// intercept answers every unary call, so that the fake needs no method for each.
func (f *fake) intercept(ctx context.Context, req any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, proto.Clone(req.(proto.Message)))
	limit := time.Duration(0)
	if deadline, set := ctx.Deadline(); set {
		limit = time.Until(deadline)
	}
	f.limits = append(f.limits, limit)
	method := path.Base(info.FullMethod)
	lines := f.script[method]
	if len(lines) == 0 {
		return nil, status.Errorf(codes.Unimplemented, "no script for %s", method)
	}
	if len(lines) > 1 {
		f.script[method] = lines[1:]
	}
	return lines[0].message, lines[0].err
}

func (f *fake) WatchEvents(req *stintv1.WatchEventsRequest, stream stintv1.TaskService_WatchEventsServer) error {
	f.mu.Lock()
	f.asked = append(f.asked, proto.Clone(req))
	f.mu.Unlock()
	return f.watch(req, stream)
}

// bench is a Client over a fake, and what it wrote.
type bench struct {
	*Client
	fake       *fake
	out, notes bytes.Buffer
	slept      []time.Duration
}

// newBench starts a fake with a script; change may alter the options.
func newBench(t *testing.T, script map[string][]reply, change func(*Options)) *bench {
	t.Helper()
	b := &bench{fake: &fake{script: script}}
	server := grpc.NewServer(grpc.UnaryInterceptor(b.fake.intercept))
	stintv1.RegisterTaskServiceServer(server, b.fake)
	stintv1.RegisterAgentServiceServer(server, b.fake)
	stintv1.RegisterQueueServiceServer(server, b.fake)
	pipe := bufconn.Listen(1 << 20)
	served := make(chan error, 1)
	go func() { served <- server.Serve(pipe) }()
	conn, err := grpc.NewClient("passthrough:///fake",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-served //nolint:errcheck // Stop ends it with an error
	})
	o := Options{
		Coordinator: DefaultCoordinator,
		Out:         &b.out,
		Notes:       &b.notes,
		Now:         func() time.Time { return now },
		Sleep: func(ctx context.Context, d time.Duration) error {
			b.slept = append(b.slept, d)
			return ctx.Err()
		},
	}
	if change != nil {
		change(&o)
	}
	b.Client = New(conn, o)
	return b
}

// asked answers the requests of type T, in order.
func asked[T proto.Message](b *bench) []T {
	b.fake.mu.Lock()
	defer b.fake.mu.Unlock()
	var list []T
	for _, m := range b.fake.asked {
		if req, is := m.(T); is {
			list = append(list, req)
		}
	}
	return list
}
