package client

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Agents shows all agents that have a session or hold a lease.
func (c *Client) Agents(ctx context.Context) error {
	req := &stintv1.ListAgentsRequest{PageSize: pageSize}
	var agents []*stintv1.Agent
	for more := true; more; more = req.GetPageToken() != "" {
		resp, err := call(ctx, c, "list agents", c.agents.ListAgents, req)
		if err != nil {
			return err
		}
		agents = append(agents, resp.GetAgents()...)
		req.PageToken = resp.GetNextPageToken()
	}
	return show(c.out, agentLayout, agents...)
}

// Drain tells an agent to take no more work, to finish what it holds within timeout (0: however long it takes) and to
// end; it shows the agent as it is now and does not wait.
func (c *Client) Drain(ctx context.Context, id string, timeout time.Duration) error {
	if timeout < 0 {
		return fmt.Errorf("client: timeout %v is negative; give 0s for none, or a time such as 60s", timeout)
	}
	req := &stintv1.DrainAgentRequest{AgentId: id}
	if timeout > 0 {
		req.Timeout = durationpb.New(timeout)
	}
	resp, err := change(ctx, c, "drain agent "+id, c.agents.DrainAgent, req)
	if err != nil {
		return err
	}
	return show(c.out, agentLayout, resp.GetAgent())
}

var agentLayout = layout[*stintv1.Agent]{
	header: []string{"AGENT", "STATE", "HELD", "SLOTS", "VERSION", "QUEUES", "LABELS", "CONNECTED", "HEARTBEAT", "ROUND TRIP"},
	row:    agentRow,
}

func agentRow(a *stintv1.Agent) []string {
	queues := "all"
	if len(a.GetQueues()) > 0 {
		queues = strings.Join(a.GetQueues(), ", ")
	}
	return []string{
		a.GetId(),
		bare(agentStatePrefix, a.GetState()),
		strconv.Itoa(int(a.GetHeld())),
		strconv.Itoa(int(a.GetSlots())),
		cell(a.GetVersion()),
		cell(queues),
		cell(labelText(a.GetLabels())),
		clock(a.GetConnectTime()),
		clock(a.GetLastHeartbeatTime()),
		span(a.GetRoundTrip()),
	}
}
