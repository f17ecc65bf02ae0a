package bench

import (
	"context"
	"io"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// helperVariable makes the test program play one of the programs that a bench starts.
const helperVariable = "STINT_BENCH_TEST_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helperVariable) {
	case "":
		os.Exit(m.Run())
	case "echo":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := Echo(ctx, os.Stdin, os.Stdout)
		stop()
		if err != nil {
			os.Exit(1)
		}
	case "told":
		told := make(chan os.Signal, 1)
		signal.Notify(told, syscall.SIGTERM)
		_, _ = os.Stdout.WriteString("sitting 5\n")
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(4) // its input ended
		}()
		<-told
	case "fail":
		_, _ = os.Stderr.WriteString("the port is taken\n")
		os.Exit(3)
	case "stay":
		_, _ = os.Stdout.WriteString("hello\nsitting 5\n")
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

// fake is a coordinator that forgets everything but counts: each task goes to the first session
// with credit.
type fake struct {
	stintv1.UnimplementedTaskServiceServer
	stintv1.UnimplementedAgentServiceServer
	stintv1.UnimplementedQueueServiceServer
	address string
	tasks   chan *stintv1.Task

	mu       sync.Mutex
	counts   stintv1.TaskCounts
	messages []int    // reports in each message
	requires []string // of the last task
}

// serve starts a fake for the length of a test, which must leave no goroutine behind.
func serve(t *testing.T) *fake {
	t.Helper()
	before := goleak.IgnoreCurrent()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{address: listener.Addr().String(), tasks: make(chan *stintv1.Task, 100_000)}
	g := grpc.NewServer()
	stintv1.RegisterTaskServiceServer(g, f)
	stintv1.RegisterAgentServiceServer(g, f)
	stintv1.RegisterQueueServiceServer(g, f)
	ended := make(chan error)
	go func() { ended <- g.Serve(listener) }()
	t.Cleanup(func() {
		g.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t, before)
	})
	return f
}

func (f *fake) SubmitTask(_ context.Context, r *stintv1.SubmitTaskRequest) (*stintv1.SubmitTaskResponse, error) {
	f.put(r.GetTask())
	return &stintv1.SubmitTaskResponse{}, nil
}

func (f *fake) SubmitTasks(_ context.Context, r *stintv1.SubmitTasksRequest) (*stintv1.SubmitTasksResponse, error) {
	f.put(r.GetTasks()...)
	answer := &stintv1.SubmitTasksResponse{}
	for _, t := range r.GetTasks() {
		answer.Results = append(answer.Results, &stintv1.SubmitTasksResult{TaskId: t.GetId()})
	}
	return answer, nil
}

func (f *fake) put(tasks ...*stintv1.Task) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, t := range tasks {
		f.counts.Submitted++
		f.requires = t.GetRequires()
		if len(t.GetRequires()) == 0 && t.GetQueue() != "bench-waiting" {
			f.tasks <- t
		}
	}
}

func (f *fake) GetStatus(context.Context, *stintv1.GetStatusRequest) (*stintv1.GetStatusResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &stintv1.GetStatusResponse{Version: "fake", Counts: &stintv1.TaskCounts{
		Submitted: f.counts.Submitted, Completed: f.counts.Completed,
	}}, nil
}

func (f *fake) Session(stream grpc.BidiStreamingServer[stintv1.SessionRequest, stintv1.SessionResponse]) error {
	var sending sync.Mutex
	send := func(m *stintv1.SessionResponse) error {
		sending.Lock()
		defer sending.Unlock()
		return stream.Send(m)
	}
	if err := send(&stintv1.SessionResponse{Welcome: &stintv1.Welcome{HeartbeatInterval: durationpb.New(5 * time.Millisecond)}}); err != nil {
		return err
	}
	credit := make(chan int64, 1000)
	held := new(sync.Map) // tasks by the id of their lease
	defer held.Range(func(_, t any) bool {
		f.tasks <- t.(*stintv1.Task) // granted to an agent that is gone
		return true
	})
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { f.grant(stream.Context(), credit, held, send) })
	given := int64(0)
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil // the agent leaves
		}
		if more := m.GetCreditTotal() - given; more > 0 {
			given += more
			credit <- more
		}
		if err := send(f.take(m, held)); err != nil {
			return err
		}
	}
}

// grant sends up to ten tasks a message, while there is credit.
func (f *fake) grant(ctx context.Context, credit <-chan int64, held *sync.Map, send func(*stintv1.SessionResponse) error) {
	for free := int64(0); ; {
		tasks := f.tasks
		if free == 0 {
			tasks = nil
		}
		select {
		case <-ctx.Done():
			return
		case more := <-credit:
			free += more
			continue
		case t := <-tasks:
			m := &stintv1.SessionResponse{Grants: []*stintv1.Lease{{LeaseId: "lease-" + t.GetId(), Task: t}}}
			free--
			for free > 0 && len(m.Grants) < 10 && len(f.tasks) > 0 {
				select {
				case t := <-f.tasks:
					m.Grants = append(m.Grants, &stintv1.Lease{LeaseId: "lease-" + t.GetId(), Task: t})
					free--
				default:
				}
			}
			for _, l := range m.GetGrants() {
				held.Store(l.GetLeaseId(), l.GetTask())
			}
			if send(m) != nil {
				return
			}
		}
	}
}

func (f *fake) take(m *stintv1.SessionRequest, held *sync.Map) *stintv1.SessionResponse {
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := &stintv1.SessionResponse{}
	if n := len(m.GetReports()); n > 0 {
		f.messages = append(f.messages, n)
	}
	for _, r := range m.GetReports() {
		f.counts.Completed++
		held.Delete(r.GetLeaseId())
		answer.ReportAcks = append(answer.ReportAcks, &stintv1.ReportAck{LeaseId: r.GetLeaseId(), Outcome: stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED})
	}
	return answer
}
