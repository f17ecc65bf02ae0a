package blackbox

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// region is a network of its own, with one cable to that of the coordinator, and an agent with its API in it.
type region struct {
	t       *testing.T
	name    string
	far     string // address of the coordinator's end, with its port once the agent runs
	agent   *process
	api     *sandbox
	agentID string
}

// needNetworks skips where no networks can be made.
func needNetworks(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			required(t, "%v; install iproute2 and nftables", err)
		}
	}
	trial := fmt.Sprintf("stint%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", trial).CombinedOutput(); err != nil {
		required(t, "no network can be made: %v: %s; run as root, in a container with the right to", err, out)
	}
	tool(t, "ip", "netns", "del", trial)
}

// tool runs a program of the system, which must succeed, and gives what it says.
func tool(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// subnet is the front of the addresses of a region, other ones for each process, so that two runs do not meet: of
// 198.18.0.0/15, which is set aside for tests of networks.
func subnet(n int) string {
	k := (os.Getpid()*4 + n) % 512
	return fmt.Sprintf("198.%d.%d", 18+k/256, k%256)
}

// newRegion makes the network; it goes with the end of the test.
func newRegion(t *testing.T, n int) *region {
	t.Helper()
	r := &region{t: t, name: fmt.Sprintf("stint%d-%d", os.Getpid(), n), far: subnet(n) + ".1", agentID: fmt.Sprintf("agent-%d", n)}
	cable := fmt.Sprintf("st%d-%d", os.Getpid()%100000, n)
	tool(t, "ip", "netns", "add", r.name)
	t.Cleanup(func() { tool(t, "ip", "netns", "del", r.name) }) // the cable goes with it
	tool(t, "ip", "link", "add", cable, "type", "veth", "peer", "name", "out", "netns", r.name)
	tool(t, "ip", "addr", "add", r.far+"/24", "dev", cable)
	tool(t, "ip", "link", "set", cable, "up")
	tool(t, "ip", "-n", r.name, "addr", "add", subnet(n)+".2/24", "dev", "out")
	tool(t, "ip", "-n", r.name, "link", "set", "out", "up")
	tool(t, "ip", "-n", r.name, "link", "set", "lo", "up")
	return r
}

// inside starts one of the agent's commands in the region.
func (r *region) inside(args ...string) *process {
	return command{name: "ip", args: append([]string{"netns", "exec", r.name, program(r.t, agentName)}, args...)}.start(r.t)
}

// start starts the API and the agent, which serves the coordinator at a port of the cable's other end.
func (r *region) start(port string) {
	r.t.Helper()
	r.api = &sandbox{callLog: filepath.Join(r.t.TempDir(), "calls.jsonl")}
	r.api.process = r.inside("sandbox", "--listen", "127.0.0.1:0", "--call-log", r.api.callLog, "--latency", honestLatency.String())
	r.api.addr = r.api.says(`msg=serving .*\bhttp=(\S+)`)[1]
	r.far = net.JoinHostPort(r.far, port)
	r.agent = r.inside("run", "--coordinator", r.far, "--api-endpoint", "http://"+r.api.addr,
		"--max-idle-cycles", "0", "--agent-id", r.agentID, "--slots", "1", "--log-level", "warn")
	tool(r.t, "ip", "netns", "exec", r.name, "nft", `add table inet forgotten;
		add set inet forgotten ports { type inet_service; };
		add chain inet forgotten out { type filter hook output priority 0; };
		add chain inet forgotten in { type filter hook input priority 0; };
		add rule inet forgotten out tcp sport @ports drop;
		add rule inet forgotten in tcp dport @ports drop;`)
}

// drop cuts the cable for what leaves the region ("output"), for what comes in ("input"), or both.
func (r *region) drop(ways ...string) {
	r.t.Helper()
	rules := "add table inet cut; delete table inet cut; add table inet cut;"
	for _, way := range ways {
		rules += fmt.Sprintf(" add chain inet cut %s { type filter hook %s priority 0; }; add rule inet cut %s meta %s out drop;",
			way, way, way, map[string]string{"input": "iifname", "output": "oifname"}[way])
	}
	tool(r.t, "ip", "netns", "exec", r.name, "nft", rules)
}

func (r *region) heal() {
	r.t.Helper()
	tool(r.t, "ip", "netns", "exec", r.name, "nft", "delete table inet cut")
}

// noLink is what an agent says when it gives a link up.
var noLink = regexp.MustCompile(`msg="no link, redial"`)

// forget has the path forget the connections that the agent has to the coordinator, as a NAT does: whatever is sent over them
// is lost from now on, and neither end is told. It gives how many there were.
func (r *region) forget() (forgotten int) {
	r.t.Helper()
	for line := range strings.Lines(tool(r.t, "ip", "netns", "exec", r.name, "ss", "-Htn", "state", "established", "dst", r.far)) {
		fields := strings.Fields(line) // queued to be read, queued to be sent, this end, the other
		if len(fields) < 4 {
			r.t.Fatalf("ss says %q", line)
		}
		_, port, err := net.SplitHostPort(fields[2])
		if err != nil {
			r.t.Fatal(err)
		}
		tool(r.t, "ip", "netns", "exec", r.name, "nft", "add element inet forgotten ports { "+port+" }")
		forgotten++
	}
	return forgotten
}
