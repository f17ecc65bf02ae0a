package blackbox

import (
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// coordinator is a running coordinator, with what it takes to start it again as it was.
type coordinator struct {
	*process
	grpc, http string
	dir        string // of its data
	flags      []string
	env        []string // NAME=VALUE, added to the environment
}

// servingLine carries the addresses; what precedes and follows them is the log's affair.
const servingLine = `msg=serving .*\bgrpc=(\S+) http=(\S+)`

// startCoordinator starts one on a fresh data folder and free ports, and waits until it serves. flags come last.
func startCoordinator(t *testing.T, flags ...string) *coordinator {
	t.Helper()
	return serveFrom(t, filepath.Join(t.TempDir(), "data"), flags...)
}

// serveFrom is startCoordinator on a folder that may hold data.
func serveFrom(t *testing.T, dir string, flags ...string) *coordinator {
	t.Helper()
	c := &coordinator{dir: dir, grpc: "127.0.0.1:0", http: "127.0.0.1:0", flags: flags}
	c.serve(t)
	return c
}

// serve starts it, on the ports that it had, and gives the time until it served.
func (c *coordinator) serve(t *testing.T) time.Duration {
	t.Helper()
	began := time.Now()
	c.process = command{name: coordinatorName, args: append([]string{"serve", "--listen", c.grpc, "--http", c.http,
		"--data-dir", c.dir}, c.flags...), env: c.env}.start(t)
	serving := c.says(servingLine)
	c.grpc, c.http = serving[1], serving[2]
	return time.Since(began)
}

// link is a connection to a coordinator, which finds it again after a restart.
type link struct {
	conn   *grpc.ClientConn
	tasks  stintv1.TaskServiceClient
	agents stintv1.AgentServiceClient
	queues stintv1.QueueServiceClient
}

// dial connects; the connection is closed at the end of the test.
func (c *coordinator) dial(t *testing.T) *link {
	t.Helper()
	conn, err := grpc.NewClient(c.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return &link{conn: conn, tasks: stintv1.NewTaskServiceClient(conn),
		agents: stintv1.NewAgentServiceClient(conn), queues: stintv1.NewQueueServiceClient(conn)}
}

// startAgent starts `stint-agent run` for the coordinator, against the API at the given address. It stays until it is
// ended. flags come last.
func startAgent(t *testing.T, c *coordinator, api string, flags ...string) *process {
	t.Helper()
	args := append([]string{"run", "--coordinator", c.grpc, "--api-endpoint", "http://" + api, "--max-idle-cycles", "0"}, flags...)
	return command{name: agentName, args: args}.start(t)
}

// cli runs one of the people's commands against the coordinator.
func cli(t *testing.T, c *coordinator, args ...string) outcome {
	t.Helper()
	return command{name: agentName, args: args, env: []string{"STINT_COORDINATOR=" + c.grpc}}.run(t)
}

// sandbox is the stand-in API.
type sandbox struct {
	*process
	addr    string
	callLog string
}

// startSandbox starts one with a call log, on a free port.
func startSandbox(t *testing.T, flags ...string) *sandbox {
	t.Helper()
	s := &sandbox{callLog: filepath.Join(t.TempDir(), "calls.jsonl")}
	s.process = command{name: agentName,
		args: append([]string{"sandbox", "--listen", "127.0.0.1:0", "--call-log", s.callLog}, flags...)}.start(t)
	s.addr = s.says(`msg=serving .*\bhttp=(\S+)`)[1]
	return s
}
