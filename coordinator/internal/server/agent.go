package server

import (
	"context"
	"fmt"
	"time"

	"buf.build/go/protovalidate"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// agentService serves AgentService.
type agentService struct {
	stintv1.UnsafeAgentServiceServer
	engine   engine.API
	rules    protovalidate.Validator
	stall    time.Duration   // bound of one Send of a session
	stopping <-chan struct{} // closed when the server leaves
}

func (s *agentService) AcquireLeases(ctx context.Context, r *stintv1.AcquireLeasesRequest) (*stintv1.AcquireLeasesResponse, error) {
	if f := append(checkSpan("lease_length", r.GetLeaseLength()), checkSpan("wait", r.GetWait())...); f != nil {
		return nil, invalidFields(f)
	}
	leases, err := s.engine.Acquire(ctx, engine.Acquire{
		Agent: r.GetAgentId(), Request: r.GetRequestId(), Max: max(int(r.GetMaxLeases()), 1),
		Length: within(r.GetLeaseLength(), defaultLease), Wait: within(r.GetWait(), 0),
		Queues: r.GetQueues(), Labels: labels(r.GetLabels()),
	})
	if err != nil {
		return nil, err
	}
	granted, err := grantedLeases(leases)
	if err != nil {
		return nil, err
	}
	if len(leases) > 0 && leases[0].Repeated { // all are: none of them is ours to give back
		return &stintv1.AcquireLeasesResponse{Leases: granted[:fittingIn(granted, maxRepeat)]}, nil
	}
	n := fitting(granted)
	if err := s.giveBack(ctx, leases[n:]); err != nil {
		return nil, err
	}
	return &stintv1.AcquireLeasesResponse{Leases: granted[:n]}, nil
}

// giveBack returns leases that do not fit into the reply: their caller would never know them.
func (s *agentService) giveBack(ctx context.Context, leases []engine.Lease) error {
	if len(leases) == 0 {
		return nil
	}
	back := make([]engine.Release, len(leases))
	for i, l := range leases {
		back[i] = engine.Release{LeaseID: l.ID}
	}
	_, err := s.engine.Release(ctx, back)
	return err
}

func (s *agentService) ExtendLeases(ctx context.Context, r *stintv1.ExtendLeasesRequest) (*stintv1.ExtendLeasesResponse, error) {
	outcomes, err := s.engine.Extend(ctx, extensions(r.GetExtensions()))
	if err != nil {
		return nil, err
	}
	out := &stintv1.ExtendLeasesResponse{}
	for _, o := range outcomes {
		out.Outcomes = append(out.Outcomes, shownExtended(o))
	}
	return out, nil
}

func (s *agentService) ReportLeases(ctx context.Context, r *stintv1.ReportLeasesRequest) (*stintv1.ReportLeasesResponse, error) {
	reports, err := allReports(r.GetReports())
	if err != nil {
		return nil, err
	}
	acks, err := s.engine.Report(ctx, reports)
	if err != nil {
		return nil, err
	}
	out := &stintv1.ReportLeasesResponse{}
	for _, a := range acks {
		out.Acks = append(out.Acks, shownAck(a))
	}
	return out, nil
}

// allReports translates reports that the rules of the contract have passed: all or none.
func allReports(list []*stintv1.Report) ([]engine.Report, error) {
	var faults []fault
	for i, r := range list {
		faults = append(faults, checkReport(fmt.Sprintf("reports[%d]", i), r)...)
	}
	if len(faults) > 0 {
		return nil, invalidFields(faults)
	}
	code := encoder{items: len(list)}
	out := make([]engine.Report, len(list))
	for i, r := range list {
		var err error
		if out[i], err = code.report(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *agentService) ReleaseLeases(ctx context.Context, r *stintv1.ReleaseLeasesRequest) (*stintv1.ReleaseLeasesResponse, error) {
	outcomes, err := s.engine.Release(ctx, releases(r.GetReleases()))
	if err != nil {
		return nil, err
	}
	out := &stintv1.ReleaseLeasesResponse{}
	for _, o := range outcomes {
		out.Outcomes = append(out.Outcomes, shownReleased(o))
	}
	return out, nil
}

func (s *agentService) ListAgents(ctx context.Context, r *stintv1.ListAgentsRequest) (*stintv1.ListAgentsResponse, error) {
	after, err := listAgents.cursor(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pageSize(r.GetPageSize())
	agents, err := s.engine.Agents(ctx, string(after), size)
	if err != nil {
		return nil, err
	}
	out := &stintv1.ListAgentsResponse{}
	for _, a := range agents {
		out.Agents = append(out.Agents, shownAgent(a))
	}
	n := fitting(out.Agents)
	if out.Agents = out.Agents[:n]; n > 0 && (n < len(agents) || n >= size) {
		out.NextPageToken = listAgents.token([]byte(agents[n-1].ID))
	}
	return out, nil
}

func (s *agentService) GetAgent(ctx context.Context, r *stintv1.GetAgentRequest) (*stintv1.GetAgentResponse, error) {
	a, err := s.engine.Agent(ctx, r.GetAgentId())
	if err != nil {
		return nil, err
	}
	return &stintv1.GetAgentResponse{Agent: shownAgent(a)}, nil
}

func (s *agentService) DrainAgent(ctx context.Context, r *stintv1.DrainAgentRequest) (*stintv1.DrainAgentResponse, error) {
	if f := checkSpan("timeout", r.GetTimeout()); f != nil {
		return nil, invalidFields(f)
	}
	timeout := within(r.GetTimeout(), 0)
	if r.Timeout != nil {
		timeout = max(timeout, time.Nanosecond) // 0 is "at once" here, and "no limit" to the engine
	}
	a, err := s.engine.DrainAgent(ctx, r.GetAgentId(), timeout)
	if err != nil {
		return nil, err
	}
	return &stintv1.DrainAgentResponse{Agent: shownAgent(a)}, nil
}
