package engine

import (
	"context"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Acquire grants leases to a caller without a session; none is no error.
func (e *Engine) Acquire(ctx context.Context, a Acquire) ([]Lease, error) {
	if err := e.serving(); err != nil {
		return nil, err
	}
	for began := time.Now(); ; {
		cmd := &queue.Acquire{
			Agent: a.Agent, Request: a.Request, Max: a.Max, Length: a.Length,
			Wait: max(a.Wait-time.Since(began), 0), Queues: a.Queues, Labels: a.Labels,
		}
		leases, again, err := e.acquire(ctx, cmd)
		if err != nil {
			e.tell(&queue.Abandon{Acquire: cmd}) // what was or would be granted goes back
			return nil, err
		}
		if len(leases) > 0 || !again {
			return leases, nil
		}
	}
}

// acquire tells to ask again where leases were granted that cannot be handed over. They have ended
// by then, or a repeat of the same request would find them.
func (e *Engine) acquire(ctx context.Context, cmd *queue.Acquire) (leases []Lease, again bool, err error) {
	if err := e.do(ctx, cmd); err != nil {
		return nil, false, err
	}
	if cmd.Err != nil {
		return nil, false, cmd.Err
	}
	leases, withheld, err := e.leases(ctx, cmd.Grants)
	if err == nil && len(withheld) > 0 {
		err = e.do(ctx, &queue.ReportLeases{Reports: withheld})
	}
	return leases, len(withheld) > 0, first(err, ctx.Err())
}

// Extend sets the ends of unary leases anew.
func (e *Engine) Extend(ctx context.Context, x []Extension) ([]ExtendOutcome, error) {
	if err := e.running(); err != nil {
		return nil, err
	}
	cmd := &queue.ExtendLeases{Extensions: e.signer.extensions(x)}
	if err := e.do(ctx, cmd); err != nil {
		return nil, err
	}
	out := make([]ExtendOutcome, len(x))
	for i := range x {
		c := &cmd.Extensions[i]
		out[i] = ExtendOutcome{LeaseID: x[i].LeaseID, Extended: c.Extended, Left: c.Left, End: c.End}
	}
	return out, nil
}

// Report takes reports of unary leases, and successes of any.
func (e *Engine) Report(ctx context.Context, r []Report) ([]ReportAck, error) {
	if err := e.running(); err != nil {
		return nil, err
	}
	cmd := &queue.ReportLeases{Reports: e.signer.reports(r)}
	if err := e.do(ctx, cmd); err != nil {
		return nil, err
	}
	return acks(r, cmd.Reports), nil
}

// Release gives unary leases back.
func (e *Engine) Release(ctx context.Context, r []Release) ([]ReleaseOutcome, error) {
	if err := e.running(); err != nil {
		return nil, err
	}
	cmd := &queue.ReleaseLeases{Releases: e.signer.releases(r)}
	if err := e.do(ctx, cmd); err != nil {
		return nil, err
	}
	out := make([]ReleaseOutcome, len(r))
	for i := range r {
		c := &cmd.Releases[i]
		out[i] = ReleaseOutcome{LeaseID: r[i].LeaseID, Released: c.Released, End: c.End}
	}
	return out, nil
}

func (s *signer) extensions(in []Extension) []queue.Extension {
	if len(in) == 0 {
		return nil
	}
	p, out := s.pen(), make([]queue.Extension, len(in))
	for i := range in {
		x := &in[i]
		out[i] = queue.Extension{
			Lease: p.ref(x.LeaseID), Progress: x.Progress, HasProgress: x.HasProgress, Message: x.Message,
		}
	}
	return out
}

func (s *signer) reports(in []Report) []queue.Report {
	if len(in) == 0 {
		return nil
	}
	p, out := s.pen(), make([]queue.Report, len(in))
	for i := range in {
		r := &in[i]
		out[i] = queue.Report{
			Lease: p.ref(r.LeaseID), Success: r.Success, Result: r.Result, Failure: r.Failure,
			Cost: r.Cost, HasCost: r.HasCost, Digest: r.Digest, Invalid: r.Invalid,
		}
	}
	return out
}

func (s *signer) releases(in []Release) []queue.Release {
	if len(in) == 0 {
		return nil
	}
	p, out := s.pen(), make([]queue.Release, len(in))
	for i := range in {
		out[i] = queue.Release{Lease: p.ref(in[i].LeaseID), Started: in[i].Started}
	}
	return out
}

// cancels names the leases that the machine wants dropped, after those that are named already;
// the zero LeaseRef, which it could not name, is passed over.
func (s *signer) cancels(named []Cancel, ends []queue.LeaseEnd) []Cancel {
	for _, c := range ends {
		if c.Lease != (queue.LeaseRef{}) {
			named = append(named, Cancel{LeaseID: s.pen().id(c.Lease), Reason: c.Reason})
		}
	}
	return named
}

// acks are the answers to reports, under the ids that the agent used.
func acks(in []Report, done []queue.Report) []ReportAck {
	out := make([]ReportAck, len(in))
	for i := range in {
		d := &done[i]
		out[i] = ReportAck{LeaseID: in[i].LeaseID, Ack: d.Ack, End: d.End, Message: d.Invalid}
	}
	return out
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
