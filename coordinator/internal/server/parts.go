package server

import (
	"errors"

	"buf.build/go/protovalidate"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
)

// message translates what an agent says. A malformed report is left out and refused by an ack,
// with all else taken; malformed lease ids are for the engine to answer.
func message(r *stintv1.SessionRequest, rules protovalidate.Validator) (m engine.Message, refused []*stintv1.ReportAck, err error) {
	if n := len(r.GetReports()) + len(r.GetReleases()) + len(r.GetHeartbeat().GetLeases()); n > maxParts {
		return m, nil, refuse(stintv1.ErrorReason_ERROR_REASON_SESSION_PROTOCOL,
			"a message has more than %d parts; name each lease once, and report in several messages", maxParts)
	}
	code := encoder{items: len(r.GetReports())}
	m.Reports = make([]engine.Report, 0, min(code.items, maxBatch))
	for _, x := range r.GetReports() {
		if why := malformed(x, rules); why != "" {
			if len(refused) == localAcks {
				return m, nil, engine.ErrTooSlow // no agent works like that; the acks would fill the memory
			}
			refused = append(refused, invalidAck(x.GetLeaseId(), why))
			continue
		}
		t, err := code.report(x)
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
		LeaseId: echoed(lease), Outcome: stintv1.ReportOutcome_REPORT_OUTCOME_INVALID, Message: cut(why, maxErrorText),
	}
}
