package server

import (
	"errors"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// message translates what an agent says. A malformed report is left out and refused by an ack,
// with all else taken; malformed lease ids are for the engine to answer.
func message(r *stintv1.SessionRequest, rules protovalidate.Validator) (m engine.Message, refused []*stintv1.ReportAck, err error) {
	for _, x := range r.GetReports() {
		if why := malformed(x, rules); why != "" {
			if len(refused) == localAcks {
				return m, nil, engine.ErrTooSlow // no agent works like that; the acks would fill the memory
			}
			refused = append(refused, invalidAck(x.GetLeaseId(), why))
			continue
		}
		t, err := report(x)
		if err != nil {
			return m, nil, err
		}
		m.Reports = append(m.Reports, t)
	}
	m.Releases = releases(r.GetReleases())
	if h := r.GetHeartbeat(); h != nil {
		m.Beats, m.Number, m.Held = true, h.GetNumber(), extensions(h.GetLeases())
		m.RoundTrip = max(h.GetRoundTrip().AsDuration(), 0)
	}
	m.Credit, m.Draining = max(r.GetCreditTotal(), 0), r.GetDraining()
	return m, refused, nil
}

// malformed says what is wrong with a report; empty: nothing. Successes are nearly all that
// comes in, and their rules are two: it costs less to see by hand that they are kept.
func malformed(r *stintv1.Report, rules protovalidate.Validator) string {
	if r.GetLeaseId() != "" && r.Result != nil && r.Failure == nil {
		return ""
	}
	var bad *protovalidate.ValidationError
	if err := rules.Validate(r); errors.As(err, &bad) {
		return violated(bad.ToProto().GetViolations()).text
	} else if err != nil {
		return err.Error()
	}
	if f := checkReport("report", r); f != nil {
		return tell(f)
	}
	return ""
}

func invalidAck(lease, why string) *stintv1.ReportAck {
	return &stintv1.ReportAck{
		LeaseId: cut(lease, maxEcho), Outcome: stintv1.ReportOutcome_REPORT_OUTCOME_INVALID, Message: cut(why, maxErrorText),
	}
}

// sendAll says what the engine has to say, in as many messages as its size asks for.
func sendAll(o engine.Out, send func(*stintv1.SessionResponse) error) error {
	p := &packer{send: send, message: &stintv1.SessionResponse{}}
	for _, a := range o.Acks {
		ack := shownAck(a)
		p.add(ack, func(m *stintv1.SessionResponse) { m.ReportAcks = append(m.ReportAcks, ack) })
	}
	for _, l := range o.Grants {
		lease, err := grantedLease(l)
		if err != nil {
			return err
		}
		p.add(lease, func(m *stintv1.SessionResponse) { m.Grants = append(m.Grants, lease) })
	}
	for _, c := range o.Cancels {
		cancel := shownCancel(c)
		p.add(cancel, func(m *stintv1.SessionResponse) { m.Cancels = append(m.Cancels, cancel) })
	}
	if o.HasHeartbeatAck {
		p.message.HeartbeatAck = &stintv1.HeartbeatAck{Number: o.HeartbeatAck}
	}
	if o.Drain {
		p.message.Drain = &stintv1.Drain{}
		if o.DrainLeft > 0 {
			p.message.Drain.TimeLeft = durationpb.New(o.DrainLeft)
		}
	}
	p.message.GoingAway = o.GoingAway
	return p.flush()
}

// packer fills messages up to maxReply, and sends each when the next item does not fit.
type packer struct {
	send    func(*stintv1.SessionResponse) error
	message *stintv1.SessionResponse
	size    int
	err     error // of the first send that failed
}

func (p *packer) add(item proto.Message, put func(*stintv1.SessionResponse)) {
	n := proto.Size(item)
	if p.size > 0 && p.size+n > maxReply {
		_ = p.flush() // kept in p.err
	}
	put(p.message)
	p.size += n
}

func (p *packer) flush() error {
	if p.err == nil {
		p.err = p.send(p.message)
	}
	p.message, p.size = &stintv1.SessionResponse{}, 0
	return p.err
}
